"""Pairs the words of a text with what is spoken for them."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from deployments.models.kokoro.reading.english import Spoken, spoken_spans

_WORD = re.compile(r"\S+")


@dataclass(frozen=True, slots=True)
class Reading:
    """Written words, and how they are spoken, with the marks around them."""

    source: str
    spoken: str


def read(text: str, language: str | None) -> list[Reading]:
    """Return the readings of a text, in order.

    Args:
        text: a sentence.
        language: English has rules for numbers, dates and so on; in other languages, and for None, words are
            spoken as they are written: eSpeak NG reads numbers itself.
    """
    is_english = language is not None and language.startswith("en")
    spans = spoken_spans(text, british=language == "en-gb") if is_english else []
    return [
        Reading(text[start:end], _replaced(text, start, end, inside))
        for start, end, inside in _words(text, spans)
    ]


def _words(text: str, spans: Iterable[Spoken]) -> Iterator[tuple[int, int, list[Spoken]]]:
    """Yield the words, and as one the words that a span reaches, with the spans in each."""
    waiting = sorted(spans, key=lambda span: span.start)
    group: tuple[int, int, list[Spoken]] | None = None
    for word in _WORD.finditer(text):
        start, end = word.span()
        if group and group[2] and group[2][-1].end > start:
            group = (group[0], end, group[2])
        else:
            if group:
                yield group
            group = (start, end, [])
        while waiting and waiting[0].start < end:
            group[2].append(waiting.pop(0))
    if group:
        yield group


def _replaced(text: str, start: int, end: int, spans: Iterable[Spoken]) -> str:
    parts, reached = [], start
    for span in spans:
        parts += [text[reached : span.start], span.words]
        reached = span.end
    return "".join([*parts, text[reached:end]])

"""How English is read aloud: rules for what is not spoken as it is written.

The words of numbers come from the package num2words. Where several rules match, the first one wins.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from deployments.models.kokoro.reading import addresses, dates, quantities, words
from deployments.models.kokoro.reading.rules import Rule, Say


@dataclass(frozen=True, slots=True)
class Spoken:
    """A part of a text, and the words that are spoken for it."""

    start: int
    end: int
    words: str


def spoken_spans(text: str, *, british: bool = False) -> list[Spoken]:
    """Return the parts of a text that are not spoken as they are written, in order and without overlap.

    Args:
        text: a sentence.
        british: read 3/4/2024 as a day in April, rather than in March.
    """
    taken = bytearray(len(text))
    spans = []
    for pattern, say in _compiled(british):
        for match in pattern.finditer(text):
            start, end = match.span()
            if any(taken[start:end]) or (said := say(match)) is None:
                continue
            taken[start:end] = b"\1" * (end - start)
            spans.append(Spoken(start, end, said))
    return sorted(spans, key=lambda span: span.start)


@cache
def _compiled(british: bool) -> Sequence[tuple[re.Pattern[str], Say]]:
    return [(re.compile(pattern), say) for pattern, say in _rules(british)]


def _rules(british: bool) -> Iterator[Rule]:
    yield from addresses.rules()
    yield from dates.rules(british=british)
    yield from quantities.rules()
    yield from addresses.digit_rules()
    yield from quantities.number_rules()
    yield from words.numeral_rules()
    yield from dates.year_rules()
    yield from quantities.last_rules()
    yield from words.rules()

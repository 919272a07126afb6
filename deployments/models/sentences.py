# ruff: noqa: RUF001  # marks of other scripts
"""Splits long text into pieces to speak one after the other: sentences, or groups of sentences."""

import re
from collections.abc import Iterator, Sequence

from audiograph._words import has_words

MAX_SENTENCE = 400
"""Characters of a sentence; a longer one is split at punctuation or a blank."""
MAX_GROUP = 250
"""Characters of a group of sentences."""

_END = re.compile(
    r"""(?P<mark>[.!?…؟۔।॥։።]+)["'”’»›)\]]*(?=\s)  # followed by a blank
    |[。！？｡．]+[」』”’）】》]*                   # Chinese and Japanese have no blank
    |\n\s*\n""",
    re.VERBOSE,
)
_NO_END = re.compile(
    r"""(?:^|[\s(\["'“‘«„-])(?:
    [^\W\d_]                # an initial
    |(?:[^\W\d_]\.)+[^\W\d_]  # U.S.
    |\d{1,2}                # 1. of a list, 3. Mai
    |Mrs?|Ms|Mx|Drs?|Profs?|Sr|Jr|St|Mt|Ft|Rev|Hon|Gen|Col|Maj|Capt|Cmdr|Lt|Sgt|Gov|Sen|Rep|Pres|Supt
    |vs|cf|al|eg|ie|viz|approx|est|dept|Nos?|Nr|Vol|Ch|Figs?|Eq|Sec|pp?|Op|Eds?
    |Inc|Ltd|Corp|Co|Bros|Ave|Blvd|Rd
    |Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec
    |bzw|ca|evtl|ggf|Hr|Fr|Str|Mme|Mlle|Sra?|Srta
    )\.$""",
    re.VERBOSE,
)
_MAX_ABBREVIATION = 24
_SPLIT_MARKS = (re.compile(r"[;:—–،؛]\s|[；：]"), re.compile(r",\s|[，、]"), re.compile(r"\s"))
"""Marks at which to split a long sentence, the best first."""


def split_text(text: str, *, grouped: bool) -> list[str]:
    """Split a text into pieces to speak, each with at least one letter or digit.

    Args:
        text: the text to speak.
        grouped: group the sentences after the first, for voices that vary from run to run.
    """
    first, *rest = _merged([part for sentence in sentences(text) for part in _parts(sentence)])
    return [first, *(_groups(rest) if grouped else rest)]


def sentences(text: str) -> list[str]:
    """Split a text into sentences, without the blanks around them.

    A sentence ends at a mark before a blank, at a Chinese or Japanese mark, or at an empty line. It does not
    end at the dot of an abbreviation or of a number, or at any mark before a lowercase letter.
    """
    found, start = [], 0
    for match in _END.finditer(text):
        if _is_end(text, start, match):
            found.append(text[start : match.end()].strip())
            start = match.end()
    return [sentence for sentence in (*found, text[start:].strip()) if sentence] or [text]


def _is_end(text: str, start: int, match: re.Match[str]) -> bool:
    if match["mark"] is None:
        return True
    if text[match.end() :].lstrip()[:1].islower():
        return False
    before = text[max(start, match.end("mark") - _MAX_ABBREVIATION) : match.end("mark")]
    return match["mark"] != "." or not _NO_END.search(before)


def _parts(sentence: str) -> Iterator[str]:
    """Split a sentence into parts of at most `MAX_SENTENCE` characters."""
    while len(sentence) > MAX_SENTENCE:
        cut = _split_point(sentence)
        yield sentence[:cut].strip()
        sentence = sentence[cut:].strip()
    yield sentence


def _split_point(sentence: str) -> int:
    """Return the position after the last mark of the best kind in the second half of the limit."""
    for kind in _SPLIT_MARKS:
        ends = [match.end() for match in kind.finditer(sentence, MAX_SENTENCE // 2, MAX_SENTENCE)]
        if ends:
            return ends[-1]
    return MAX_SENTENCE


def _merged(parts: Sequence[str]) -> list[str]:
    """Merge parts without a letter or digit, such as a row of dashes, with the part before or after."""
    joined: list[str] = []
    for part in parts:
        if joined and not (has_words(part) and has_words(joined[-1])):
            joined[-1] = f"{joined[-1]} {part}"
        else:
            joined.append(part)
    return joined


def _groups(parts: Sequence[str]) -> list[str]:
    groups: list[str] = []
    for part in parts:
        if groups and len(groups[-1]) + 1 + len(part) <= MAX_GROUP:
            groups[-1] = f"{groups[-1]} {part}"
        else:
            groups.append(part)
    return groups

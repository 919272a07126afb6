# ruff: noqa: RUF001  # the marks of other scripts are meant
"""Long text in pieces that can be spoken one after the other: sentences, or a few of them at a time."""

import re
from collections.abc import Iterator, Sequence

LONGEST = 400
"""Characters of a sentence; a longer one is split where one would breathe."""
GROUP = 250
"""Characters of several sentences that are spoken in one go."""

_END = re.compile(
    r"""(?P<mark>[.!?…؟۔।॥։።]+)["'”’»›)\]]*(?=\s)  # with a blank after it
    |[。！？｡．]+[」』”’）】》]*                   # Chinese and Japanese have none
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
_ABBREVIATION = 24
"""Characters in which the longest abbreviation fits."""
_BREATHS = (re.compile(r"[;:—–،؛]\s|[；：]"), re.compile(r",\s|[，、]"), re.compile(r"\s"))
"""Where to split what is too long, the best first."""


def pieces(text: str, *, grouped: bool) -> list[str]:
    """The text in the pieces that it is spoken in, none of them without a letter or a digit.

    Args:
        text: what shall be said.
        grouped: several sentences at a time, after the first: for voices that vary from run to run.
    """
    first, *rest = _speakable([part for sentence in sentences(text) for part in _parts(sentence)])
    return [first, *(_groups(rest) if grouped else rest)]


def sentences(text: str) -> list[str]:
    """The sentences of a text, without the blanks around them.

    An end is a mark with a blank behind it (or a Chinese or Japanese one), or an empty line; but neither the
    dot of an abbreviation or of a number, nor any mark before a small letter.
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
    before = text[max(start, match.end("mark") - _ABBREVIATION) : match.end("mark")]
    return match["mark"] != "." or not _NO_END.search(before)


def _parts(sentence: str) -> Iterator[str]:
    """A sentence in parts of at most `LONGEST` characters."""
    while len(sentence) > LONGEST:
        cut = _breath(sentence)
        yield sentence[:cut].strip()
        sentence = sentence[cut:].strip()
    yield sentence


def _breath(sentence: str) -> int:
    """Where to split: after the last mark of the best kind in the second half of what fits."""
    for kind in _BREATHS:
        ends = [match.end() for match in kind.finditer(sentence, LONGEST // 2, LONGEST)]
        if ends:
            return ends[-1]
    return LONGEST


def _speakable(parts: Sequence[str]) -> list[str]:
    """What has nothing to say for itself, such as a row of dashes, goes with what is before it, or after."""
    joined: list[str] = []
    for part in parts:
        if joined and not (_is_speakable(part) and _is_speakable(joined[-1])):
            joined[-1] = f"{joined[-1]} {part}"
        else:
            joined.append(part)
    return joined


def _is_speakable(text: str) -> bool:
    return any(character.isalpha() or character.isdecimal() for character in text)


def _groups(parts: Sequence[str]) -> list[str]:
    groups: list[str] = []
    for part in parts:
        if groups and len(groups[-1]) + 1 + len(part) <= GROUP:
            groups[-1] = f"{groups[-1]} {part}"
        else:
            groups.append(part)
    return groups

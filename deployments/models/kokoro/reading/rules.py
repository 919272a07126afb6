# ruff: noqa: RUF001  # signs of typography
"""What a rule of reading is, and the patterns that rules share."""

import re
from collections.abc import Callable, Iterable
from typing import TypeAlias

Match: TypeAlias = re.Match[str]
Say: TypeAlias = Callable[[Match], str | None]
"""Returns the words for a match; None leaves it to the rules that follow."""
Rule: TypeAlias = tuple[str, Say]
"""A pattern, and what is said for its matches."""


def any_of(words: Iterable[str]) -> str:
    """Return a pattern of alternatives, the longest first."""
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


WHOLE = r"(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)"
NUMBER = rf"(?:{WHOLE}(?:\.\d+)?|\.\d+)"
SIGN = r"(?:(?<![\w.,)\]])[-−])?"
DASH = r"[-–—]"
ALONE = r"(?<![\w.])"
"""Before a number: it is not the end of a word or of another number."""
YEAR = r"(?:1[1-9]\d\d|20\d\d)"
END = r"(?P<end>\s*$)?"
"""Matches at the end of the sentence, whose dot may also be that of an abbreviation."""


def ended(words: str, match: Match) -> str:
    """Keep the dot of an abbreviation that ends the sentence; the pattern ends with `END`."""
    return f"{words}." if match["end"] is not None and match[0].rstrip().endswith(".") else words

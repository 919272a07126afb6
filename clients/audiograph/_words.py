"""Whether a text has words, as far as its characters tell."""

from __future__ import annotations

import re

_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
"""Unicode's Default_Ignorable_Code_Point, from DerivedCoreProperties.txt; U+3164 and others are letters."""


def has_words(text: str) -> bool:
    """Return whether a text has a visible letter or a digit."""
    return any(character.isalnum() for character in visible(text))


def visible(text: str) -> str:
    """Return a text without the characters that are never seen, such as fillers and joiners."""
    return _INVISIBLE.sub("", text)

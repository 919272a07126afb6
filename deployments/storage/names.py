"""Sanitization of caller-supplied names and texts, for the database and for file systems."""

import re
import unicodedata
from typing import TypeVar

from audiograph._wording import shown
from audiograph.errors import InvalidRequest

MAX_NAME_BYTES = 255
"""Limit of common file systems, in UTF-8."""

UNNAMED = "unnamed"

_UNSAFE = {"Cc", "Cs", "Zl", "Zp"}
"""Unicode categories removed from file names: control characters, lone surrogates, line separators."""
_BIDI = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Marks of writing direction, which can disguise a name's extension."""


def base_name(name: str) -> str:
    """Reduce a name to 1 to 255 bytes without folders, control characters or direction marks."""
    last = re.split(r"[/\\]", name)[-1]
    kept = "".join(char for char in _BIDI.sub("", last) if unicodedata.category(char) not in _UNSAFE)
    shortened = _shorten(kept.strip())
    return UNNAMED if shortened.strip(" .") == "" else shortened


def _shorten(name: str) -> str:
    """Shorten the stem, not the extension, and never within a character."""
    stem, dot, extension = name.rpartition(".")
    ending = f"{dot}{extension}"
    if not stem or len(ending.encode()) > 32:
        stem, ending = name, ""
    room = MAX_NAME_BYTES - len(ending.encode())
    return stem.encode()[:room].decode(errors="ignore") + ending


Text = TypeVar("Text", str, str | None)


def check_text(text: Text, field: str) -> Text:
    """Return a text unchanged if every database can store it.

    Raises:
        InvalidRequest: it contains NUL, which PostgreSQL cannot store, or a lone surrogate.
    """
    if text is not None and ("\0" in text or not _encodable(text)):
        raise InvalidRequest(
            f"{field} {shown(text)} contains NUL or a lone surrogate, which cannot be stored; remove it",
            field=field,
        )
    return text


def _encodable(text: str) -> bool:
    return not any("\ud800" <= char <= "\udfff" for char in text)

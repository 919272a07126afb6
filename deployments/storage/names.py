"""Names and texts that come from outside, made safe to store and to save under again."""

import re
import unicodedata
from typing import TypeVar

from audiograph.errors import InvalidRequest

MAX_NAME_BYTES = 255
"""What common file systems allow for a name, in UTF-8."""

UNNAMED = "unnamed"

_UNSAFE = {"Cc", "Cs", "Zl", "Zp"}
"""Unicode categories that no file name needs: control characters, halves of characters, line breaks."""
_BIDI = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Marks of writing direction, which can make a name read as if it ended otherwise."""


def base_name(name: str) -> str:
    """A name without folders, control characters or direction marks, of 1 to 255 bytes."""
    last = re.split(r"[/\\]", name)[-1]
    kept = "".join(char for char in _BIDI.sub("", last) if unicodedata.category(char) not in _UNSAFE)
    shortened = _shorten(kept.strip())
    return UNNAMED if shortened.strip(" .") == "" else shortened


def _shorten(name: str) -> str:
    """Cut the stem rather than the extension, and never within a character."""
    stem, dot, extension = name.rpartition(".")
    ending = f"{dot}{extension}"
    if not stem or len(ending.encode()) > 32:
        stem, ending = name, ""
    room = MAX_NAME_BYTES - len(ending.encode())
    return stem.encode()[:room].decode(errors="ignore") + ending


Text = TypeVar("Text", str, str | None)


def checked_text(text: Text, field: str) -> Text:
    """A text that every database can store.

    Raises:
        InvalidRequest: it holds NUL, which PostgreSQL cannot store, or half a character.
    """
    if text is not None and ("\0" in text or not _encodable(text)):
        raise InvalidRequest(f"{field} {text[:40]!r} holds a character that cannot be stored", field=field)
    return text


def _encodable(text: str) -> bool:
    return not any("\ud800" <= char <= "\udfff" for char in text)

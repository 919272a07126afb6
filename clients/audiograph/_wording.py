"""Values and names in messages: short, and on one line, however long they were sent."""

from reprlib import Repr
from typing import Any

MAX_SHOWN = 80
"""Characters of a value in a message."""

_MAX_BITS = 14_000
"""Python refuses to write out integers of more than 4300 digits, some 14,280 bits."""


_HUGE = "a number"


class _Brief(Repr):
    """Reads no more of a value than it shows; `shown` cuts the rest."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 4
        self.maxlist = self.maxtuple = self.maxset = self.maxfrozenset = self.maxdict = 10
        self.maxstring = self.maxlong = self.maxother = 3 * MAX_SHOWN

    def repr_int(self, value: int, level: int) -> str:
        """Write a number, or its size if Python cannot write it."""
        if value.bit_length() > _MAX_BITS:
            return f"{_HUGE} of {value.bit_length()} bits"
        return super().repr_int(value, level)


_BRIEF = _Brief()


def shown(value: Any) -> str:
    """Return a value as Python writes it, at most `MAX_SHOWN` characters of it."""
    return shortened(_BRIEF.repr(value))


def shortened(text: str, limit: int = MAX_SHOWN) -> str:
    """Return a text, cut to ``limit`` characters with an ellipsis at the end if it is longer."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def brief(value: Any) -> Any:
    """Return a value for an error's details: unchanged if it is short, otherwise as `shown`."""
    text = shown(value)
    is_whole = len(text) < MAX_SHOWN and "..." not in text and not text.startswith(_HUGE)
    return value if is_whole else text

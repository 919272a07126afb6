"""How English is read aloud."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spoken:
    """A part of a text, and the words that are spoken for it."""

    start: int
    end: int
    words: str


def spoken_spans(text: str) -> list[Spoken]:
    """Return the parts of a text that are not spoken as they are written, in order and without overlap."""
    return []

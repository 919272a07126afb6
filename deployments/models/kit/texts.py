"""The texts of a request to speak: by field, and whether there is anything to speak in them."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from audiograph._wording import shown
from audiograph.errors import InvalidRequest, RequestError
from audiograph.schemas import DialogueRequest, Request, SpeakRequest

_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
"""Unicode's Default_Ignorable_Code_Point, from DerivedCoreProperties.txt; U+3164 and others are letters."""


def texts_of(request: Request) -> dict[str, str]:
    """Return the texts of a request, by field."""
    if isinstance(request, SpeakRequest):
        return {"text": request.text}
    if isinstance(request, DialogueRequest):
        return {f"turns.{index}.text": turn.text for index, turn in enumerate(request.turns)}
    return {}


def has_words(text: str) -> bool:
    """Return whether a text has a visible letter or a digit."""
    return any(character.isalnum() for character in visible(text))


def visible(text: str) -> str:
    """Return a text without the characters that are never seen, such as fillers and joiners."""
    return _INVISIBLE.sub("", text)


def unspeakable(text: str, field: str) -> InvalidRequest:
    """Build the error for a text without anything to speak."""
    return InvalidRequest(
        f"{field} has nothing that can be spoken: {shown(text)}; write words, or leave it out", field=field
    )


def turn_field(request: Request, index: int, name: str) -> str:
    """Return the request's name for the ``text`` or ``voice`` of a turn; ``speak`` is one turn."""
    return f"turns.{index}.{name}" if isinstance(request, DialogueRequest) else name


@contextmanager
def naming_turn(request: Request, index: int) -> Iterator[None]:
    """Attribute errors about the ``text`` or ``voice`` of a turn to the request's field."""
    try:
        yield
    except RequestError as error:
        if error.field in ("text", "voice"):
            error.name_field(turn_field(request, index, error.field))
        raise

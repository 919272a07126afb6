"""The texts of a request to speak: by field, and whether there is anything to speak in them."""

from collections.abc import Iterator
from contextlib import contextmanager

from audiograph._wording import shown
from audiograph.errors import InvalidRequest, RequestError
from audiograph.schemas import DialogueRequest, Request, SpeakRequest


def texts_of(request: Request) -> dict[str, str]:
    """Return the texts of a request, by field."""
    if isinstance(request, SpeakRequest):
        return {"text": request.text}
    if isinstance(request, DialogueRequest):
        return {f"turns.{index}.text": turn.text for index, turn in enumerate(request.turns)}
    return {}


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

"""The texts of a request to speak: by field, and whether there is anything to speak in them."""

import unicodedata
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


def too_long(max_seconds: float, fraction: float) -> InvalidRequest:
    """Build the error for a text whose speech reached a limit of seconds after a fraction of it."""
    return InvalidRequest(
        f"text takes more than {max_seconds:.0f} s to speak: that was reached {fraction:.0%} of the way "
        "through; split it into several requests",
        field="text",
    )


def without_control_characters(text: str) -> str:
    """Replace control characters by spaces: some are commands of eSpeak NG, and NUL ends the text."""
    return "".join(" " if _is_control(character) else character for character in text)


def _is_control(character: str) -> bool:
    return character not in "\t\n\r" and unicodedata.category(character) in ("Cc", "Cs")


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

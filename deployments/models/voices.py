"""The voices that a request names: called otherwise, and checked for what is known of them."""

from collections.abc import Mapping
from typing import TypeVar

from audiograph.errors import InvalidRequest
from audiograph.schemas import DialogueRequest, Request, SpeakRequest, Turn, voices_named

Spoken = TypeVar("Spoken", SpeakRequest, Turn)


def recast(request: Request, names: Mapping[str, str | None]) -> Request:
    """A copy of a request that calls some voices otherwise; None is the model's default voice."""
    if isinstance(request, SpeakRequest):
        return _recast(request, names)
    if isinstance(request, DialogueRequest):
        return request.model_copy(update={"turns": [_recast(turn, names) for turn in request.turns]})
    return request


def _recast(spoken: Spoken, names: Mapping[str, str | None]) -> Spoken:
    if spoken.voice is None or spoken.voice not in names:
        return spoken
    return spoken.model_copy(update={"voice": names[spoken.voice]})


def check_transcripts(
    request: Request, transcripts: Mapping[str, str | None], *, or_else: str | None = None
) -> None:
    """Refuse recorded voices without a transcript.

    Args:
        request: names them.
        transcripts: of every recorded voice; None or empty where it is not known.
        or_else: another cure than to store the voice with its transcript.

    Raises:
        InvalidRequest: naming the field and the voice.
    """
    for field, voice in voices_named(request).items():
        if voice in transcripts and not transcripts[voice]:
            cure = "store it with its transcript (POST /v1/voices)" + (f", or {or_else}" if or_else else "")
            raise InvalidRequest(
                f"model {request.model!r} must know what is said in the recording of voice {voice!r}, which "
                f"has no transcript: {cure}",
                field=field,
                details={"value": voice},
            )

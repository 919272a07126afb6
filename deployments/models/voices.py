"""Recorded voices in requests: replacing their names, and requiring their transcripts."""

from collections.abc import Mapping
from typing import TypeVar

from audiograph.errors import InvalidRequest
from audiograph.schemas import DialogueRequest, Request, SpeakRequest, Turn, voices_named

RequestT = TypeVar("RequestT", bound=Request)
Spoken = TypeVar("Spoken", SpeakRequest, Turn)


def replace_voices(request: RequestT, names: Mapping[str, str | None]) -> RequestT:
    """Return a copy of a request with some voices renamed; None stands for the model's default voice."""
    if isinstance(request, SpeakRequest):
        return _replace(request, names)
    if isinstance(request, DialogueRequest):
        return request.model_copy(update={"turns": [_replace(turn, names) for turn in request.turns]})
    return request


def _replace(spoken: Spoken, names: Mapping[str, str | None]) -> Spoken:
    if spoken.voice is None or spoken.voice not in names:
        return spoken
    return spoken.model_copy(update={"voice": names[spoken.voice]})


def require_transcripts(
    request: Request, transcripts: Mapping[str, str | None], *, or_else: str | None = None
) -> None:
    """Require a transcript for every recorded voice.

    Args:
        request: names the voices.
        transcripts: by recorded voice; None or empty if the transcript is not known.
        or_else: a cure besides storing the voice with its transcript, as an imperative.

    Raises:
        InvalidRequest: a voice has no transcript; names the field and the voice.
    """
    for field, voice in voices_named(request).items():
        if voice in transcripts and not transcripts[voice]:
            cure = "store it with its transcript (POST /v1/voices)" + (f", or {or_else}" if or_else else "")
            raise InvalidRequest(
                f"model {request.model!r} needs the transcript of voice {voice!r}, which has none: {cure}",
                field=field,
                details={"value": voice},
            )

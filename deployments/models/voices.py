"""Recorded voices in requests: replacing their names, and requiring their transcripts."""

from collections.abc import Mapping
from typing import Any

from audiograph._wording import shown
from audiograph.errors import InvalidRequest
from audiograph.schemas import DialogueRequest, Request, SpeakRequest, voices_named
from deployments.models.base import RequestT


def replace_voices(request: RequestT, names: Mapping[str, str | None]) -> RequestT:
    """Return a copy of a request with some voices renamed; None stands for the model's default voice."""
    return request.model_copy(update=_updates(request, names))


def _updates(request: Request, names: Mapping[str, str | None]) -> dict[str, Any]:
    if isinstance(request, SpeakRequest):
        return _voice_update(request.voice, names)
    if isinstance(request, DialogueRequest):
        turns = [turn.model_copy(update=_voice_update(turn.voice, names)) for turn in request.turns]
        return {"turns": turns}
    return {}


def _voice_update(voice: str | None, names: Mapping[str, str | None]) -> dict[str, str | None]:
    return {"voice": names[voice]} if voice is not None and voice in names else {}


def require_transcripts(
    request: Request, transcripts: Mapping[str, str | None], *, parameter: str | None = None
) -> None:
    """Require a transcript for every recorded voice.

    Args:
        request: names the voices.
        transcripts: by recorded voice; None or empty if the transcript is not known.
        parameter: of the model, that gives transcripts as well.

    Raises:
        InvalidRequest: see `transcript_missing`.
    """
    for field, voice in voices_named(request).items():
        if voice in transcripts and not transcripts[voice]:
            raise transcript_missing(request.model, voice, field, parameter=parameter)


def transcript_missing(
    model: str | None, voice: str, field: str, *, parameter: str | None = None
) -> InvalidRequest:
    """Build the error for a voice without a transcript; its details have the parameter that may give one."""
    otherwise = f", or set parameters.{parameter}" if parameter else ""
    return InvalidRequest(
        f"model {model!r} needs the transcript of voice {shown(voice)}, which has none: store the voice with "
        f"its transcript (POST /v1/voices){otherwise}",
        field=field,
        details={"value": voice} | ({"parameter": parameter} if parameter else {}),
    )

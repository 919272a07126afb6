"""Who speaks with Higgs Audio: recorded voices and what they say, or whoever the model comes up with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from audiograph.errors import InvalidRequest
from audiograph.schemas import Turn
from deployments.models.base import RunContext
from deployments.models.higgs.engine import Reference
from deployments.models.higgs.text import plain
from deployments.models.kit.speaking import DEFAULT_VOICE, recorded, voices_of


@dataclass(frozen=True, slots=True)
class Speaker:
    """The voice of a turn."""

    name: str
    reference: Reference | None
    """How it sounds; None as long as that is up to the model."""


def cast(
    turns: Sequence[Turn], transcripts: Mapping[str, str | None], sample_rate: int, context: RunContext
) -> dict[str | None, Speaker]:
    """The speakers of a dialogue by what its turns call them.

    Args:
        turns: what is spoken.
        transcripts: what voices say in their recordings, where the request tells it.
        sample_rate: of the engine.
        context: knows the recordings.

    Raises:
        NotFound: there is no such voice.
        InvalidAudio: its recording is too short or too long.
        InvalidRequest: what is said in it is neither known nor told.
    """
    speakers: dict[str | None, Speaker] = {None: Speaker(DEFAULT_VOICE, None)}
    for voice in voices_of(turns):
        speakers[voice] = _speaker(voice, transcripts.get(voice), sample_rate, context)
    return speakers


def _speaker(voice: str, transcript: str | None, sample_rate: int, context: RunContext) -> Speaker:
    heard = recorded(voice, "Higgs Audio", sample_rate, context)
    said = plain(transcript or heard.transcript or "")
    if not said:
        raise InvalidRequest(
            f"voice {heard.name!r} has no transcript, which Higgs Audio needs to speak like it: give "
            "parameters.transcription (for a dialogue, parameters.audio_transcriptions), or store the voice "
            "again with its transcript",
            field="voice",
        )
    return Speaker(heard.name, Reference(heard.samples, said))

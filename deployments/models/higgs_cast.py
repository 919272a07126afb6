"""Who speaks with Higgs Audio: recorded voices and what they say, or whoever the model comes up with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from audiograph.errors import InvalidAudio, InvalidRequest
from audiograph.schemas import Turn
from deployments.models.base import RunContext
from deployments.models.higgs_engine import Reference
from deployments.models.higgs_text import plain

DEFAULT_VOICE = "default"
"""What the voice is called that the model chooses itself."""
SHORTEST_SECONDS, LONGEST_SECONDS = 0.5, 60.0
"""Of a recording: nobody is known again by less, and what is longer only takes room."""


@dataclass(frozen=True, slots=True)
class Speaker:
    """The voice of a turn."""

    name: str
    reference: Reference | None
    """How it sounds; None as long as that is up to the model."""


def voices_of(turns: Sequence[Turn]) -> list[str]:
    """The recorded voices of a dialogue, in the order in which they first speak."""
    return list(dict.fromkeys(turn.voice for turn in turns if turn.voice is not None))


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
    recorded = context.voice(voice, sample_rate=sample_rate)
    seconds = len(recorded.samples) / sample_rate
    if not SHORTEST_SECONDS <= seconds <= LONGEST_SECONDS:
        raise InvalidAudio(
            f"the recording of voice {recorded.name!r} has {seconds:.2f} s; Higgs Audio takes "
            f"{SHORTEST_SECONDS:g} to {LONGEST_SECONDS:g} s",
            field="voice",
        )
    said = plain(transcript or recorded.transcript or "")
    if not said:
        raise InvalidRequest(
            f"voice {recorded.name!r} has no transcript, which Higgs Audio needs to speak like it: give "
            "parameters.transcription (for a dialogue, parameters.audio_transcriptions), or store the voice "
            "again with its transcript",
            field="voice",
        )
    return Speaker(recorded.name, Reference(recorded.samples, said))

"""Speakers of Higgs Audio: recorded voices with their transcripts, and a voice that the model chooses."""

from collections.abc import Mapping

from audiograph.errors import InvalidRequest
from deployments.models.base import RunContext
from deployments.models.higgs.engine import Reference
from deployments.models.higgs.text import plain
from deployments.models.kit.speaking import Speaker, load_voice, speakers_of
from deployments.models.kit.speech_model import SpeechRequest

HiggsSpeaker = Speaker[Reference | None]
"""A speaker whose reference is None until the model has chosen the voice."""


def resolve_speakers(
    request: SpeechRequest, transcripts: Mapping[str, str | None], sample_rate: int, context: RunContext
) -> dict[str | None, HiggsSpeaker]:
    """Return the speakers of a request, by the voice that a turn names.

    Args:
        request: names the voices.
        transcripts: of the request, by voice; they take precedence over stored ones.
        sample_rate: of the engine, in Hz.
        context: loads the recordings.

    Raises:
        NotFound: a recording does not exist any more.
        InvalidAudio: a recording is too short or too long.
        InvalidRequest: a voice has no transcript.
    """

    def clone(voice: str) -> HiggsSpeaker:
        sample = load_voice(voice, "Higgs Audio", sample_rate, context)
        transcript = plain(transcripts.get(voice) or sample.transcript or "")
        if not transcript:
            raise InvalidRequest(
                f"voice {sample.name!r} has no transcript, which Higgs Audio needs to clone it: give "
                "parameters.transcription (for a dialogue, parameters.audio_transcriptions), or store the "
                "voice again with its transcript",
                field="voice",
            )
        return Speaker(sample.name, Reference(sample.samples, transcript))

    return speakers_of(request, None, clone)

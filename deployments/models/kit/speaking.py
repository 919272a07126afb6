"""Turns and voices of models that speak."""

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from audiograph.errors import InvalidAudio, naming_field
from audiograph.schemas import DialogueRequest, Turn
from deployments.models.base import RunContext, Samples, VoiceSample
from deployments.models.kit.speech_model import SpeechRequest
from deployments.models.kit.texts import turn_field

STAGE = "speaking"
"""The stage in progress reports."""
FRAMES_PER_LETTER = 1.7
"""At 25 frames per second, and some 15 spoken letters per second."""
FRAMES_PER_WIDE_LETTER = 6.0
"""Likewise in Chinese, Japanese and Korean, with some 4 spoken letters per second."""

DEFAULT_VOICE = "default"
"""The name of the voice that the model chooses itself."""
MIN_VOICE_SECONDS, MAX_VOICE_SECONDS = 0.5, 60.0
"""Length of a recorded voice: a shorter one cannot be cloned, and a longer one only takes memory."""

Reference = TypeVar("Reference")


@dataclass(frozen=True, slots=True)
class Speech:
    """The speech of one text."""

    samples: Samples
    """Mono ``[frames]`` within -1..1."""
    complete: bool
    """Whether the model ended it, rather than the limit of its tokens."""


@dataclass(frozen=True, slots=True)
class Speaker(Generic[Reference]):
    """A voice that speaks."""

    name: str
    reference: Reference
    """The model's own representation of the voice."""


def turns_of(request: SpeechRequest) -> list[Turn]:
    """Return the turns of a request; ``speak`` is one turn."""
    if isinstance(request, DialogueRequest):
        return request.turns
    return [Turn(text=request.text, voice=request.voice)]


def voices_of(turns: Sequence[Turn]) -> list[str]:
    """Return the named voices of a dialogue, in the order of their first turns."""
    return list(dict.fromkeys(turn.voice for turn in turns if turn.voice is not None))


def expected_frames(text: str) -> int:
    """Estimate the frames of 1/25 s that a text's speech takes, for progress reports."""
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return 1 + round(FRAMES_PER_WIDE_LETTER * wide + FRAMES_PER_LETTER * (len(text) - wide))


def cut_off_notes(request: SpeechRequest, speeches: Sequence[Speech], max_new_tokens: int) -> list[str]:
    """Return a note about the turns that reached the limit of tokens, if there are any."""
    cut = [str(number) for number, speech in enumerate(speeches, 1) if not speech.complete]
    if not cut:
        return []
    subject = f"Turns {', '.join(cut)}" if isinstance(request, DialogueRequest) else "The speech"
    return [f"{subject} reached max_new_tokens ({max_new_tokens}): the end may be cut off."]


def speakers_of(
    request: SpeechRequest, default: Reference, load: Callable[[str], Speaker[Reference]]
) -> dict[str | None, Speaker[Reference]]:
    """Return the speakers of a request, by the voice that a turn names.

    Args:
        request: names the voices; an error about one names the first turn that has it.
        default: the reference of turns that name no voice.
        load: loads the speaker of a recorded voice; see `load_voice`.
    """
    speakers: dict[str | None, Speaker[Reference]] = {None: Speaker(DEFAULT_VOICE, default)}
    for index, turn in enumerate(turns_of(request)):
        if turn.voice is not None and turn.voice not in speakers:
            with naming_field(turn_field(request, index, "voice")):
                speakers[turn.voice] = load(turn.voice)
    return speakers


def load_voice(voice: str, model: str, sample_rate: int, context: RunContext) -> VoiceSample:
    """Load a recorded voice that a model is to clone.

    Args:
        voice: its id.
        model: the name of the model, for messages.
        sample_rate: Hz; the recording is resampled.
        context: of the run.

    Raises:
        NotFound: the recording does not exist any more.
        InvalidAudio: the recording is too short or too long.
    """
    sample = context.voice(voice, sample_rate=sample_rate)
    seconds = len(sample.samples) / sample_rate
    if not MIN_VOICE_SECONDS <= seconds <= MAX_VOICE_SECONDS:
        raise InvalidAudio(
            f"the recording of voice {sample.name!r} has {seconds:.2f} s; {model} takes "
            f"{MIN_VOICE_SECONDS:g} to {MAX_VOICE_SECONDS:g} s",
            field="voice",
        )
    return sample

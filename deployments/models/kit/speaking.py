"""Texts, turns and voices of models that speak."""

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from audiograph.errors import InvalidAudio, InvalidRequest
from audiograph.schemas import DialogueRequest, SpeakRequest, Turn
from deployments.models.base import RunContext, Samples, VoiceSample
from deployments.models.kit.speech_model import SpeechRequest

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


def texts_of(request: SpeechRequest) -> dict[str, str]:
    """Return the texts of a request, by field."""
    if isinstance(request, SpeakRequest):
        return {"text": request.text}
    return {f"turns.{index}.text": turn.text for index, turn in enumerate(request.turns)}


def voices_of(turns: Sequence[Turn]) -> list[str]:
    """Return the named voices of a dialogue, in the order of their first turns."""
    return list(dict.fromkeys(turn.voice for turn in turns if turn.voice is not None))


def check_speakable(text: str, field: str) -> None:
    """Refuse a text without letters and digits.

    Raises:
        InvalidRequest: with the field and the text.
    """
    if not any(character.isalnum() for character in text):
        raise unspeakable(text, field)


def unspeakable(text: str, field: str) -> InvalidRequest:
    """Build the error for a text without anything to speak."""
    return InvalidRequest(f"{field} has nothing that can be spoken: {text[:40]!r}", field=field)


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
    turns: Sequence[Turn], default: Reference, load: Callable[[str], Speaker[Reference]]
) -> dict[str | None, Speaker[Reference]]:
    """Return the speakers of turns, by the voice that a turn names.

    Args:
        turns: of the request.
        default: the reference of turns that name no voice.
        load: loads the speaker of a recorded voice; see `load_voice`.
    """
    named: Mapping[str | None, Speaker[Reference]] = {voice: load(voice) for voice in voices_of(turns)}
    return {None: Speaker(DEFAULT_VOICE, default), **named}


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

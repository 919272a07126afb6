"""What models that speak need to know of their texts and of recorded voices."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from audiograph.errors import InvalidAudio, InvalidRequest
from audiograph.schemas import DialogueRequest, SpeakRequest, Turn
from deployments.models.base import RunContext, Samples, VoiceSample

FRAMES_PER_LETTER = 1.7
"""25 frames a second, in which some 15 letters are spoken."""
FRAMES_PER_WIDE_LETTER = 6.0
"""Of Chinese, Japanese and Korean, of which some 4 are spoken in a second."""

DEFAULT_VOICE = "default"
"""What the voice is called that the model chooses itself."""
SHORTEST_SECONDS, LONGEST_SECONDS = 0.5, 60.0
"""Of a recording: nobody is known again by less, and what is longer only takes room."""


@dataclass(frozen=True, slots=True)
class Speech:
    """What was made of a text."""

    samples: Samples
    """Mono ``[frames]`` within -1..1."""
    complete: bool
    """Whether it came to its own end, rather than that of its tokens."""


def turns_of(request: SpeakRequest | DialogueRequest) -> list[Turn]:
    """What is to be spoken, turn by turn; speech is one turn."""
    if isinstance(request, DialogueRequest):
        return request.turns
    return [Turn(text=request.text, voice=request.voice)]


def voices_of(turns: Sequence[Turn]) -> list[str]:
    """The recorded voices of a dialogue, in the order in which they first speak."""
    return list(dict.fromkeys(turn.voice for turn in turns if turn.voice is not None))


def check_spoken(text: str, field: str) -> None:
    """Refuse a text of nothing that can be spoken.

    Raises:
        InvalidRequest: it has neither letters nor digits.
    """
    if not any(character.isalnum() for character in text):
        raise InvalidRequest(f"{field} has nothing that can be spoken: {text[:40]!r}", field=field)


def expected_frames(text: str) -> int:
    """About how many frames of 1/25 s it takes to speak a text, for telling progress."""
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return 1 + round(FRAMES_PER_WIDE_LETTER * wide + FRAMES_PER_LETTER * (len(text) - wide))


def cut_off(
    request: SpeakRequest | DialogueRequest, speeches: Sequence[Speech], max_new_tokens: int
) -> list[str]:
    """A note of what did not come to its own end, if anything."""
    cut = [str(number) for number, speech in enumerate(speeches, 1) if not speech.complete]
    if not cut:
        return []
    what = f"Turns {', '.join(cut)}" if isinstance(request, DialogueRequest) else "The speech"
    return [f"{what} reached max_new_tokens ({max_new_tokens}): the end may be cut off."]


def recorded(voice: str, model: str, sample_rate: int, context: RunContext) -> VoiceSample:
    """A recorded voice for a model that clones it; `model` is what that is called.

    Raises:
        NotFound: there is no such voice.
        InvalidAudio: its recording is too short or too long.
    """
    found = context.voice(voice, sample_rate=sample_rate)
    seconds = len(found.samples) / sample_rate
    if not SHORTEST_SECONDS <= seconds <= LONGEST_SECONDS:
        raise InvalidAudio(
            f"the recording of voice {found.name!r} has {seconds:.2f} s; {model} takes "
            f"{SHORTEST_SECONDS:g} to {LONGEST_SECONDS:g} s",
            field="voice",
        )
    return found

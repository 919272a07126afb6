"""English that Kokoro speaks with its published weights, and Whisper's and openai-whisper's text of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np
import soxr
import whisper
from whisper import Whisper as Network

from audiograph.schemas import TranscribeRequest, TranscribeResult
from deployments.models.base import Samples
from deployments.models.kit.espeak.process import installed_espeak
from deployments.models.kit.languages import find_language
from deployments.models.kokoro.engine import SAMPLE_RATE, Engine, Line
from deployments.models.kokoro.model import Kokoro, KokoroOptions
from deployments.models.kokoro.narration import Narration
from deployments.models.kokoro.reading import read
from deployments.models.kokoro.script import script_of
from deployments.models.kokoro.timing import trimmed
from deployments.models.kokoro.voices import Mixture
from deployments.models.whisper.model import Whisper, WhisperOptions
from tests.deployments.models.fakes import FakeTicket, serve
from tests.support.real_weights import real_engine
from tests.support.transcription import FILE, RATE, result_of, talk_context

SPEAKER = Kokoro(KokoroOptions())
LISTENER = Whisper(WhisperOptions())
EXACT = Whisper(WhisperOptions(precision="float32"))
"""With openai-whisper's own precision."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence as it is said, and where in its recording."""

    text: str
    start: float
    end: float

    def moved(self, seconds: float) -> "Sentence":
        """Return the sentence in a recording that begins earlier."""
        return Sentence(self.text, self.start + seconds, self.end + seconds)


@dataclass(frozen=True, slots=True)
class Speech:
    """A recording of speech."""

    samples: Samples
    """Mono ``[frames]`` at 16 kHz."""
    sentences: Sequence[Sentence]

    @property
    def seconds(self) -> float:
        """The duration."""
        return len(self.samples) / RATE

    @property
    def text(self) -> str:
        """What is said."""
        return " ".join(sentence.text for sentence in self.sentences)

    def until(self, end: float) -> "Speech":
        """Return the first seconds, with the sentences that end in them."""
        return Speech(self.samples[: round(end * RATE)], [one for one in self.sentences if one.end <= end])


def speech(text: str, voice: str, speed: float = 1.0) -> Speech:
    """Speak English in any of the published styles; that of another language gives it an accent."""
    engine: Engine = real_engine(SPEAKER, "82m")
    language = "en-gb" if voice.startswith("b") else "en-us"
    espeak = installed_espeak()
    espeak_voice = find_language(language, espeak.voices)
    assert espeak_voice is not None
    phonemize = partial(espeak.phonemes, voice=espeak_voice)
    narration = Narration(script_of(text, language, phonemize, normalize=True))
    pieces = narration.script.pieces
    style = Mixture(((voice, 1.0),))
    lines = (Line(piece.symbols, style) for piece in pieces)
    utterances = engine.speak(lines, speed, lambda: None)
    for piece, utterance in zip(pieces, utterances, strict=True):
        narration.add(trimmed(piece, utterance))
    samples = soxr.resample(narration.samples(), SAMPLE_RATE, RATE).astype(np.float32)
    return Speech(
        samples, [Sentence(_aloud(one.text, language), one.start, one.end) for one in narration.segments]
    )


def joined(parts: Sequence[Speech], pauses: Sequence[float]) -> Speech:
    """Join recordings, each with a pause of some seconds behind it."""
    samples: list[Samples] = []
    sentences: list[Sentence] = []
    start = 0.0
    for part, pause in zip(parts, pauses, strict=True):
        silence = np.zeros(round(pause * RATE), np.float32)
        samples += [part.samples, silence]
        sentences += [sentence.moved(start) for sentence in part.sentences]
        start += part.seconds + len(silence) / RATE
    return Speech(np.concatenate(samples), sentences)


def whisper_base() -> Network:
    """Return Whisper base with OpenAI's own weights, in their own precision."""
    return real_engine(EXACT, "base")


def ours(*recordings: Samples, model: Whisper = LISTENER, **fields: Any) -> list[TranscribeResult]:
    """Transcribe recordings, mono ``[frames]`` at 16 kHz, together."""
    tickets = [
        FakeTicket(TranscribeRequest.model_validate({"file": FILE, **fields}), talk_context(samples[None]))
        for samples in recordings
    ]
    serve(model, real_engine(model, "base"), *tickets, capacity=len(tickets))
    return [result_of(ticket.output) for ticket in tickets]


def theirs(samples: Samples, **options: Any) -> dict[str, Any]:
    """Transcribe a recording by `whisper.transcribe`."""
    result: dict[str, Any] = whisper.transcribe(whisper_base(), samples, fp16=False, **options)
    return result


@cache
def _aloud(sentence: str, language: str) -> str:
    """Return a sentence with its numbers and abbreviations as words."""
    return " ".join(reading.spoken for reading in read(sentence, language))

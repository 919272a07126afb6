"""Speech by eSpeak NG: about 140 voices in 100 languages, hundreds of times faster than real time."""

import importlib.util
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any, ClassVar

import numpy as np
from pydantic import Field, field_validator

from audiograph._wording import shown
from audiograph._words import visible
from audiograph.errors import InternalError, InvalidRequest
from audiograph.schemas import SpeakRequest, TaskName, Turn, Voice
from deployments.models.base import LoadContext, Model, Options, Output, RunContext, Samples
from deployments.models.kit.dialogue import ProgressSlice, SpokenPart, progress_slices, spoken_output
from deployments.models.kit.espeak.process import Chunk, EspeakProcesses, installed_espeak
from deployments.models.kit.languages import find_language, is_language_tag
from deployments.models.kit.parameters import Parameters
from deployments.models.kit.speaking import turns_of
from deployments.models.kit.speech_model import SpeechModel, SpeechRequest
from deployments.models.kit.texts import (
    naming_turn,
    texts_of,
    too_long,
    unspeakable,
    without_control_characters,
)

MIN_WORDS_PER_MINUTE = 80
MAX_WORDS_PER_MINUTE = 450
"""The library's own range of speeds."""


_SPOKEN_SIGNS = frozenset("!#%&*/@\\")
"""The punctuation that the library names, in some languages at least; any other is a pause at most."""


class EspeakParameters(Parameters):
    """Parameters of the voice."""

    pitch: int = Field(50, ge=0, le=99)
    """Mean pitch of the voice."""
    range: int = Field(50, ge=0, le=99)
    """Range of the pitch: 0 is monotone."""
    volume: int = Field(100, ge=0, le=200)
    """Volume; 100 is normal."""
    word_gap: int = Field(0, ge=0, le=100)
    """Extra pause between words, in units of about 10 ms."""


class EspeakOptions(Options):
    """Options of the model in the configuration."""

    voice: str = "en-us"
    words_per_minute: int = Field(170, ge=MIN_WORDS_PER_MINUTE, le=MAX_WORDS_PER_MINUTE)
    """The pace at speed 1."""
    max_seconds: float = Field(7200, gt=0)
    """Maximum duration of the speech, which is held in memory."""

    @field_validator("voice")
    @classmethod
    def _exists(cls, voice: str) -> str:
        if EspeakSpeech.missing() is None and voice not in installed_espeak().voices:
            raise ValueError(f"no voice {shown(voice)}; known: {', '.join(installed_espeak().voices)}")
        return voice


class EspeakSpeech(SpeechModel[EspeakProcesses, SpeechRequest], Model[EspeakProcesses, SpeechRequest]):
    """``speak`` and ``dialogue`` with eSpeak NG (GPL-3.0, hence an optional package): mono at 22,050 Hz."""

    tasks: ClassVar[tuple[TaskName, ...]] = ("speak", "dialogue")
    variants = ("espeak-ng",)
    default_variant = "espeak-ng"
    deterministic = True
    options_class = EspeakOptions
    concurrency = 2  # each run is a separate process

    options: EspeakOptions

    @classmethod
    def missing(cls) -> str | None:
        """Return a sentence about the package espeakng-loader if it is not installed."""
        if importlib.util.find_spec("espeakng_loader") is None:
            return "espeak needs the package espeakng-loader (GPL-3.0): pip install espeakng-loader"
        return None

    @classmethod
    def voices(cls) -> list[Voice]:
        """Return the library's voices, read once per process; none if the package is not installed."""
        if cls.missing() is not None:
            return []
        return [
            Voice(id=voice.id, name=voice.name, language=voice.language, gender=voice.gender)
            for voice in installed_espeak().voices.values()
        ]

    def native_speed(self, speed: float) -> float:
        """Clamp a requested speed to the library's range."""
        normal = self.options.words_per_minute
        return min(max(speed, MIN_WORDS_PER_MINUTE / normal), MAX_WORDS_PER_MINUTE / normal)

    def check_request(self, request: SpeechRequest, variant: str) -> None:
        """Refuse parameters that are unknown or out of range, and text without anything to speak.

        Raises:
            InvalidRequest: with the field, its value and a valid one.
        """
        super().check_request(request, variant)
        EspeakParameters.checked(request.parameters, "espeak")

    def own_voice(self, name: str, ids: Collection[str]) -> str | None:
        """Return the voice of an id or a language tag: ``pt_BR`` is ``pt-br``, and ``fr-FR`` is ``fr``."""
        if name in ids or not is_language_tag(name):
            return super().own_voice(name, ids)
        return find_language(name, ids)

    def can_speak(self, text: str) -> bool:
        """Return whether a text has letters, digits, symbols or signs that some voice names.

        The library knows many symbols and emoji by name, more in some languages than in others.
        """
        return any(
            unicodedata.category(character)[0] in "LMNS" or character in _SPOKEN_SIGNS
            for character in visible(text)
        )

    def load(self, variant: str, context: LoadContext) -> EspeakProcesses:
        """Look up the installed library, which takes about 10 ms.

        Raises:
            ModelUnavailable: the library is not installed or does not start.
        """
        return installed_espeak()

    def run(self, engine: EspeakProcesses, request: SpeechRequest, context: RunContext) -> Output:
        """Speak a text or the turns of a dialogue; equal requests produce equal samples.

        A turn about which its voice is silent becomes a pause, with a note: no one can tell before that a
        voice does not name a sign. A cancel takes effect within 0.2 s.

        Raises:
            InvalidRequest: nothing in the request produces a sound, or the text takes more than the option
                ``max_seconds``, or it crashes the library.
        """
        turns = turns_of(request)
        parameters = _parameters(request.parameters, self._words_per_minute(request))
        parts: list[SpokenPart] = []
        remaining = self.options.max_seconds
        slices = progress_slices(context, len(turns))
        for index, (turn, progress) in enumerate(zip(turns, slices, strict=True)):
            with naming_turn(request, index):
                parts.append(self._speak(engine, turn, parameters, remaining, progress))
            remaining -= len(parts[-1].samples) / engine.sample_rate
        notes = _notes(turns, request.seed)
        if parameters["volume"] > 0:
            notes += _notes_on_silence(request, parts)
        return spoken_output(request, parts, engine.sample_rate, notes)

    def _words_per_minute(self, request: SpeechRequest) -> int:
        speed = request.speed if isinstance(request, SpeakRequest) else 1.0
        return round(self.options.words_per_minute * self.native_speed(speed))

    def _speak(
        self,
        engine: EspeakProcesses,
        turn: Turn,
        parameters: Mapping[str, int],
        max_seconds: float,
        progress: ProgressSlice,
    ) -> SpokenPart:
        voice = _checked_voice(engine, turn.voice or self.options.voice)
        speech = engine.speak(
            without_control_characters(turn.text), voice=voice, parameters=parameters, check=progress.check
        )
        with closing(speech):
            samples = _collect(speech, engine.sample_rate, max_seconds, progress)
        return SpokenPart(voice, turn.text, samples)

    def check_engine(self, engine: EspeakProcesses) -> None:
        """Test that a word can be spoken and is not silent."""
        parameters = _parameters({}, self.options.words_per_minute)
        word = engine.speak("one", voice=self.options.voice, parameters=parameters, check=lambda: None)
        if not any(any(chunk.samples) for chunk in word):
            raise InternalError("espeak-ng is silent")


def _collect(
    speech: Iterable[Chunk], sample_rate: int, max_seconds: float, progress: ProgressSlice
) -> Samples:
    """Collect chunks as float32 ``[frames]`` within -1..1, and report progress."""
    content = bytearray()
    for chunk, fraction in speech:
        content += chunk
        progress.report(fraction)
        if len(content) > 2 * sample_rate * max_seconds:
            raise too_long(max_seconds, fraction)
    samples: Samples = np.frombuffer(content, "<i2").astype(np.float32)
    samples /= 32768
    return samples


def _checked_voice(engine: EspeakProcesses, voice: str) -> str:
    if voice not in engine.voices:
        raise InvalidRequest(f"no voice {shown(voice)}; known: {', '.join(engine.voices)}", field="voice")
    return voice


def _parameters(given: Mapping[str, Any], words_per_minute: int) -> dict[str, int]:
    """Return the library's parameters: checked, complete, and with the rate."""
    return EspeakParameters.checked(given, "espeak").model_dump() | {"rate": words_per_minute}


def _notes(turns: Iterable[Turn], seed: int | None) -> list[str]:
    notes = []
    if any(without_control_characters(turn.text) != turn.text for turn in turns):
        notes.append("control characters in text were left out")
    if seed is not None:
        notes.append("seed has no effect: the same request is always spoken the same way")
    return notes


def _notes_on_silence(request: SpeechRequest, parts: Sequence[SpokenPart]) -> Iterator[str]:
    """Note the turns of which nothing is heard; refuse a request without any sound."""
    silent = [index for index, part in enumerate(parts) if not part.samples.any()]
    if len(silent) == len(parts):
        field, text = next(iter(texts_of(request).items()))
        raise unspeakable(text, field)
    for index in silent:
        part = parts[index]
        yield f"turn {index + 1} is a pause: voice {part.voice} has no words for {shown(part.text)}"

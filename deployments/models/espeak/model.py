"""Speech by eSpeak NG: some 140 voices in a hundred languages, no weights, hundreds of times real time."""

import importlib.util
import unicodedata
from collections.abc import Iterable, Mapping
from contextlib import closing
from typing import Any, ClassVar

import numpy as np
from pydantic import Field, field_validator

from audiograph.errors import InternalError, InvalidRequest
from audiograph.schemas import (
    DialogueRequest,
    Request,
    SpeakRequest,
    TaskName,
    Turn,
    Voice,
)
from deployments.models.base import (
    LoadContext,
    Loaded,
    Model,
    Options,
    Output,
    RunContext,
    Samples,
)
from deployments.models.espeak.process import Chunk, EspeakProcesses, espeak
from deployments.models.kit.dialogue import Span, SpokenPart, dialogue_output, spans, speech_output
from deployments.models.kit.parameters import Parameters

SLOWEST, FASTEST = 80, 450
"""Words a minute that the library takes."""


class EspeakParameters(Parameters):
    """How the voice speaks."""

    pitch: int = Field(50, ge=0, le=99)
    range: int = Field(50, ge=0, le=99, description="Of the pitch: 0 is monotone.")
    volume: int = Field(100, ge=0, le=200)
    word_gap: int = Field(0, ge=0, le=100, description="An added pause between words, in some 10 ms.")


class EspeakOptions(Options):
    """How speech sounds where a request does not say."""

    voice: str = "en-us"
    words_per_minute: int = Field(170, ge=SLOWEST, le=FASTEST, description="The pace of speed 1.")
    max_seconds: float = Field(7200, gt=0, description="The longest recording, which is held in memory.")

    @field_validator("voice")
    @classmethod
    def _exists(cls, voice: str) -> str:
        if EspeakSpeech.missing() is None and voice not in espeak().voices:
            raise ValueError(f"no voice {voice!r}; known: {', '.join(espeak().voices)}")
        return voice


class EspeakSpeech(Model[EspeakProcesses]):
    """``speak`` and ``dialogue`` with eSpeak NG (GPL-3.0, so an optional package). Mono at 22,050 Hz."""

    tasks: ClassVar[tuple[TaskName, ...]] = ("speak", "dialogue")
    variants = ("espeak-ng",)
    default_variant = "espeak-ng"
    needs_weights = False
    options_class = EspeakOptions
    concurrency = 2  # every run is a process of its own

    options: EspeakOptions

    @classmethod
    def missing(cls) -> str | None:
        """What must be installed."""
        if importlib.util.find_spec("espeakng_loader") is None:
            return "espeak needs the package espeakng-loader (GPL-3.0): pip install espeakng-loader"
        return None

    @classmethod
    def voices(cls) -> list[Voice]:
        """The library's voices; none where the package is missing. Read once a process."""
        if cls.missing() is not None:
            return []
        return [
            Voice(id=voice.id, name=voice.name, language=voice.language, gender=voice.gender)
            for voice in espeak().voices.values()
        ]

    def own_speed(self, speed: float) -> float:
        """As far as the library's range reaches."""
        natural = self.options.words_per_minute
        return min(max(speed, SLOWEST / natural), FASTEST / natural)

    def check_request(self, request: Request, variant: str) -> None:
        """Refuse parameters that are unknown or out of range, and text of nothing but blanks.

        Raises:
            InvalidRequest: naming the field, its value and what would be right.
        """
        assert isinstance(request, SpeakRequest | DialogueRequest)
        EspeakParameters.checked(request.parameters, "espeak")
        for field, text in _texts(request).items():
            if not any(unicodedata.category(character)[0] in "LMNPS" for character in text):
                raise _unspeakable(text, field)

    def load(self, variant: str, context: LoadContext) -> Loaded[EspeakProcesses]:
        """Start the library (some 10 ms).

        Raises:
            ModelUnavailable: it is missing or does not start.
        """
        return Loaded(espeak())

    def run(
        self, engine: EspeakProcesses, request: SpeakRequest | DialogueRequest, context: RunContext
    ) -> Output:
        """Speak the text, or each turn's, the same way each time. A cancel ends it within 0.2 s.

        Raises:
            InvalidRequest: the voice finds nothing to say in the text, or it would take more than the
                option ``max_seconds``, or the library crashed on it.
        """
        if isinstance(request, DialogueRequest):
            return self._dialogue(engine, request, context)
        pace = self.options.words_per_minute * self.own_speed(request.speed)
        parameters = _parameters(request.parameters, round(pace))
        turn = Turn(text=request.text, voice=request.voice)
        part = self._spoken(engine, turn, parameters, self.options.max_seconds, Span(context))
        return speech_output(part, engine.sample_rate, request.format, _notes([request.text], request.seed))

    def _dialogue(self, engine: EspeakProcesses, request: DialogueRequest, context: RunContext) -> Output:
        parameters = _parameters(request.parameters, self.options.words_per_minute)
        parts: list[SpokenPart] = []
        left = self.options.max_seconds
        for turn, span in zip(request.turns, spans(context, len(request.turns)), strict=True):
            parts.append(self._spoken(engine, turn, parameters, left, span))
            left -= len(parts[-1].samples) / engine.sample_rate
        notes = _notes([turn.text for turn in request.turns], request.seed)
        return dialogue_output(parts, engine.sample_rate, request.format, notes)

    def _spoken(
        self,
        engine: EspeakProcesses,
        turn: Turn,
        parameters: Mapping[str, int],
        max_seconds: float,
        span: Span,
    ) -> SpokenPart:
        voice = _known(engine, turn.voice or self.options.voice)
        speech = engine.speak(_clean(turn.text), voice=voice, parameters=parameters, check=span.check)
        with closing(speech):
            samples = _record(speech, engine.sample_rate, max_seconds, span)
        if parameters["volume"] > 0 and not samples.any():
            raise _unspeakable(turn.text, "text")
        return SpokenPart(voice, turn.text, samples)

    def check_engine(self, engine: EspeakProcesses) -> None:
        """Speak a word."""
        parameters = _parameters({}, self.options.words_per_minute)
        word = engine.speak("one", voice=self.options.voice, parameters=parameters, check=lambda: None)
        if not any(any(chunk.samples) for chunk in word):
            raise InternalError("espeak-ng is silent")


def _record(speech: Iterable[Chunk], sample_rate: int, max_seconds: float, span: Span) -> Samples:
    """Collect chunks, reporting progress, into float32 ``[frames]`` within -1..1."""
    recording = bytearray()
    for chunk, fraction in speech:
        recording += chunk
        span.progress(fraction)
        if len(recording) > 2 * sample_rate * max_seconds:
            raise InvalidRequest(
                f"text takes more than {max_seconds:.0f} s to speak: that was reached {fraction:.0%} of the "
                "way through; speak it in parts",
                field="text",
            )
    samples: Samples = np.frombuffer(recording, "<i2").astype(np.float32)
    samples /= 32768
    return samples


def _known(engine: EspeakProcesses, voice: str) -> str:
    if voice not in engine.voices:
        raise InvalidRequest(f"no voice {voice!r}; known: {', '.join(engine.voices)}", field="voice")
    return voice


def _parameters(given: Mapping[str, Any], words_per_minute: int) -> dict[str, int]:
    """As the library takes them."""
    return EspeakParameters.checked(given, "espeak").model_dump() | {"rate": words_per_minute}


def _texts(request: SpeakRequest | DialogueRequest) -> dict[str, str]:
    """What is to be said, by field."""
    if isinstance(request, SpeakRequest):
        return {"text": request.text}
    return {f"turns.{index}.text": turn.text for index, turn in enumerate(request.turns)}


def _notes(texts: Iterable[str], seed: int | None) -> list[str]:
    notes = []
    if any(_clean(text) != text for text in texts):
        notes.append("control characters in text were left out")
    if seed is not None:
        notes.append("seed has no effect: the same request is always spoken the same way")
    return notes


def _clean(text: str) -> str:
    """Control characters become blanks: the library would take some as commands, and NUL as the end."""
    return "".join(" " if _is_control(character) else character for character in text)


def _is_control(character: str) -> bool:
    return character not in "\t\n\r" and unicodedata.category(character) in ("Cc", "Cs")


def _unspeakable(text: str, field: str) -> InvalidRequest:
    return InvalidRequest(f"{field} has nothing that can be spoken: {text[:40]!r}", field=field)

"""Speech by Kokoro-82M (hexgrad, 2025), faster than real time on a CPU: mono at 24,000 Hz."""

import importlib.util
import unicodedata
from collections.abc import Collection, Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field, field_validator

from audiograph._wording import shown
from audiograph._words import has_words
from audiograph.errors import InternalError, InvalidRequest
from audiograph.schemas import SpeakRequest, TaskName, Voice, voices_named
from deployments.models.base import LoadContext, Model, Options, Output, RunContext
from deployments.models.kit.dialogue import spoken_output
from deployments.models.kit.languages import find_language, is_language_tag
from deployments.models.kit.parameters import Parameters
from deployments.models.kit.speaking import turns_of
from deployments.models.kit.speech_model import SpeechModel, SpeechRequest
from deployments.models.kit.texts import texts_of, without_control_characters
from deployments.models.kokoro.engine import SAMPLE_RATE, Engine, Line
from deployments.models.kokoro.speaker import Manner, Speaker
from deployments.models.kokoro.tiny import tiny_graph, tiny_voices
from deployments.models.kokoro.voices import BY_LANGUAGE, VOICES, is_own, mixture
from deployments.models.kokoro.weights import GRAPH
from deployments.models.kokoro.weights import VOICES as STYLES
from deployments.models.weights.published import Published

MIN_SPEED, MAX_SPEED = 0.5, 1.25
"""Range of speeds at which the model says every word clearly."""
_PACKAGES = ("onnxruntime", "num2words", "espeakng_loader")


class KokoroParameters(Parameters):
    """Parameters of the reading."""

    normalize: bool = True
    """Read numbers, dates, units, abbreviations and so on as words, in English."""


class KokoroOptions(Options):
    """Options of the model in the configuration."""

    voice: str = "af_heart"
    """Voice of requests that name none: one of the published ones, or a mixture."""
    max_seconds: float = Field(7200, gt=0)
    """Maximum duration of the speech, which is held in memory."""

    @field_validator("voice")
    @classmethod
    def _exists(cls, voice: str) -> str:
        try:
            mixture(voice)
        except InvalidRequest as error:
            raise ValueError(str(error)) from None
        return voice


class Kokoro(SpeechModel[Engine, SpeechRequest], Model[Engine, SpeechRequest]):
    """``speak`` and ``dialogue`` with Kokoro-82M (Apache-2.0), and the phonemes of eSpeak NG (GPL-3.0)."""

    tasks: ClassVar[tuple[TaskName, ...]] = ("speak", "dialogue")
    variants = ("82m",)
    default_variant = "82m"
    checkpoint = "hexgrad/Kokoro-82M"
    options_class = KokoroOptions
    concurrency = 16  # the sentences of all requests take turns on the processors
    deterministic = True
    times_words = True

    options: KokoroOptions

    @classmethod
    def missing(cls) -> str | None:
        """Return a sentence about the packages that are not installed."""
        absent = [name.replace("_", "-") for name in _PACKAGES if importlib.util.find_spec(name) is None]
        if not absent:
            return None
        return f"kokoro needs {', '.join(absent)}: pip install -r requirements/voices.txt"

    @classmethod
    def voices(cls) -> list[Voice]:
        """Return the published voices of the languages whose speech can be understood."""
        return VOICES

    def native_speed(self, speed: float) -> float:
        """Clamp a requested speed to the range in which the model says every word."""
        return min(max(speed, MIN_SPEED), MAX_SPEED)

    def own_voice(self, name: str, ids: Collection[str]) -> str | None:
        """Return a voice or mixture as it is named, and for a language tag the first voice of the language.

        A name that `check_request` refuses is returned as well, so that the caller learns why.
        """
        if is_own(name):
            return name
        language = find_language(name, BY_LANGUAGE) if is_language_tag(name) else None
        return BY_LANGUAGE[language] if language else None

    def can_speak(self, text: str) -> bool:
        """Return whether a text has words in a script that the model reads."""
        return super().can_speak(text) and _is_readable(text)

    def check_request(self, request: SpeechRequest, variant: str) -> None:
        """Refuse unknown parameters, voices that cannot be used, and text without anything to speak.

        Raises:
            InvalidRequest: with the field, its value and a valid one.
        """
        for field, text in texts_of(request).items():
            _check_script(text, field)
        super().check_request(request, variant)
        KokoroParameters.checked(request.parameters, "kokoro")
        for field, voice in voices_named(request).items():
            if is_own(voice):
                mixture(voice, field)

    def published(self, variant: str) -> Sequence[Published]:
        """List the graph and the voices."""
        return GRAPH, STYLES

    def load(self, variant: str, context: LoadContext) -> Engine:
        """Load the graph and the voices in half a second; without weights, a tone stands in for speech.

        On a GPU the graph runs there if the installed onnxruntime has CUDA, and else on the processors.
        """
        if context.weights is None:
            return Engine(tiny_graph(), tiny_voices(), context.device)
        graph, voices = context.weights
        with np.load(voices) as styles:
            return Engine(graph.read_bytes(), dict(styles), context.device)

    def unload(self, engine: Engine) -> None:
        """End the threads."""
        engine.close()

    def run(self, engine: Engine, request: SpeechRequest, context: RunContext) -> Output:
        """Speak a text or the turns of a dialogue; equal requests produce equal samples.

        A cancel takes effect within 0.2 s.

        Raises:
            InvalidRequest: the text has nothing to speak, or more than the option ``max_seconds``.
        """
        speaker = Speaker(engine, request, self._manner(request), self.options.max_seconds, context)
        return spoken_output(request, speaker.speak(), SAMPLE_RATE, _notes(request))

    def _manner(self, request: SpeechRequest) -> Manner:
        return Manner(
            voice=self.options.voice,
            speed=self.native_speed(request.speed) if isinstance(request, SpeakRequest) else 1.0,
            stretch=self.remaining_speed(request),
            normalize=KokoroParameters.checked(request.parameters, "kokoro").normalize,
            timed=request.word_timestamps,
        )

    def check_engine(self, engine: Engine) -> None:
        """Test that a syllable can be spoken and is not silent."""
        (utterance,) = engine.speak([Line("wan", mixture(self.options.voice))], 1.0, lambda: None)
        if not np.isfinite(utterance.samples).all() or not utterance.samples.any():
            raise InternalError("kokoro is silent, or its samples are no numbers")


def _check_script(text: str, field: str) -> None:
    """Refuse a text whose letters are all of another script: they would be named one by one."""
    if has_words(text) and not _is_readable(text):
        languages = "English, Spanish, French, Italian and Portuguese"
        raise InvalidRequest(
            f"{field} is in no language that kokoro speaks: {shown(text)}; it speaks {languages}", field=field
        )


def _is_readable(text: str) -> bool:
    return any(one.isnumeric() or "LATIN" in unicodedata.name(one, "") for one in text)


def _notes(request: SpeechRequest) -> list[str]:
    notes = []
    if any(without_control_characters(turn.text) != turn.text for turn in turns_of(request)):
        notes.append("control characters in text were left out")
    if request.seed is not None:
        notes.append("seed has no effect: the same request is always spoken the same way")
    return notes

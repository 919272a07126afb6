"""A model for tests of clients: it returns the recordings of the voices instead of generating speech."""

import math
import time
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from audiograph.errors import naming_field
from audiograph.schemas import TaskName, Turn
from deployments.models.base import LoadContext, Model, Options, Output, RunContext, Samples
from deployments.models.kit.dialogue import ProgressSlice, SpokenPart, progress_slices, spoken_output
from deployments.models.kit.speaking import turns_of
from deployments.models.kit.speech_model import SpeechModel, SpeechRequest
from deployments.models.kit.texts import turn_field

SAMPLE_RATE = 24_000
DEFAULT_VOICE = "tone"
TONE_HZ, TONE_SECONDS, TONE_LEVEL = 220.0, 1.0, 0.2
STEP_SECONDS = 0.05
"""Interval of the checks for a cancellation."""


class MockOptions(Options):
    """Simulated durations."""

    load_seconds: float = Field(1.0, ge=0, le=600)
    """Simulated load of a variant."""
    speak_seconds: float = Field(0.5, ge=0, le=600)
    """Simulated speech, per turn."""


class Mock(SpeechModel[None, SpeechRequest], Model[None, SpeechRequest]):
    """Returns the recording of each voice: one for ``speak``, and those of all turns joined for ``dialogue``.

    It needs no weights and no torch. It accepts any parameter and ignores it, so that requests for other
    models can be tried on it; a text without words it refuses as they do.
    """

    tasks: ClassVar[tuple[TaskName, ...]] = ("speak", "dialogue")
    variants = ("mock",)
    default_variant = "mock"
    deterministic = True
    clones_voices = True
    options_class = MockOptions
    concurrency = 16

    options: MockOptions

    def load(self, variant: str, context: LoadContext) -> None:
        """Wait for the configured time."""
        time.sleep(self.options.load_seconds)

    def run(self, engine: None, request: SpeechRequest, context: RunContext) -> Output:
        """Return the recordings of the voices; without a voice, a tone."""
        turns = turns_of(request)
        slices = progress_slices(context, len(turns))
        parts = []
        for index, (turn, progress) in enumerate(zip(turns, slices, strict=True)):
            with naming_field(turn_field(request, index, "voice")):
                parts.append(self._speak(turn, progress))
        return spoken_output(request, parts, SAMPLE_RATE, _notes(request.parameters, request.seed))

    def _speak(self, turn: Turn, progress: ProgressSlice) -> SpokenPart:
        steps = math.ceil(self.options.speak_seconds / STEP_SECONDS)
        for step in range(steps):
            progress.report(step / steps)
            time.sleep(self.options.speak_seconds / steps)
        progress.report(1.0)
        if turn.voice is None:
            return SpokenPart(DEFAULT_VOICE, turn.text, _tone())
        voice = progress.context.voice(turn.voice, sample_rate=SAMPLE_RATE)
        return SpokenPart(voice.name, turn.text, voice.samples)


def _tone() -> Samples:
    times = np.arange(round(TONE_SECONDS * SAMPLE_RATE)) / SAMPLE_RATE
    tone: Samples = (TONE_LEVEL * np.sin(2 * np.pi * TONE_HZ * times)).astype(np.float32)
    return tone


def _notes(parameters: dict[str, Any], seed: int | None) -> list[str]:
    ignored = [*parameters, *(["seed"] if seed is not None else [])]
    return [f"{name} was ignored: nothing is generated" for name in ignored]

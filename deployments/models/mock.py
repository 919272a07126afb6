"""Speech without a model: a voice's own recording, handed back. To try clients, and everything else, on."""

import math
import time
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from audiograph.schemas import DialogueRequest, SpeakRequest, TaskName, Turn
from deployments.models.base import (
    LoadContext,
    Loaded,
    Model,
    Options,
    Output,
    RunContext,
    Samples,
)
from deployments.models.kit.dialogue import Span, SpokenPart, dialogue_output, spans, speech_output

SAMPLE_RATE = 24_000
DEFAULT_VOICE = "tone"
TONE_HZ, TONE_SECONDS, TONE_LEVEL = 220.0, 1.0, 0.2
STEP_SECONDS = 0.05
"""Between two looks at whether the caller has canceled."""


class MockOptions(Options):
    """How long it seems to work."""

    load_seconds: float = Field(1.0, ge=0, le=600, description="As long as a small model takes.")
    speak_seconds: float = Field(0.5, ge=0, le=600, description="For each turn.")


class Mock(Model[None]):
    """``speak`` copies the voice's recording; ``dialogue`` joins those of its turns. No torch, no weights.

    It takes any parameter and uses none, so that every request for another model can be tried on it.
    """

    tasks: ClassVar[tuple[TaskName, ...]] = ("speak", "dialogue")
    variants = ("mock",)
    default_variant = "mock"
    needs_weights = False
    clones_voices = True
    options_class = MockOptions
    concurrency = 16

    options: MockOptions

    def load(self, variant: str, context: LoadContext) -> Loaded[None]:
        """Take as long as is configured."""
        time.sleep(self.options.load_seconds)
        return Loaded(None)

    def run(self, engine: None, request: SpeakRequest | DialogueRequest, context: RunContext) -> Output:
        """Hand back what the voices sound like."""
        if isinstance(request, DialogueRequest):
            return self._dialogue(request, context)
        part = self._speak(Turn(text=request.text, voice=request.voice), Span(context))
        return speech_output(part, SAMPLE_RATE, request.format, _notes(request.parameters, request.seed))

    def _dialogue(self, request: DialogueRequest, context: RunContext) -> Output:
        turns_and_spans = zip(request.turns, spans(context, len(request.turns)), strict=True)
        parts = [self._speak(turn, span) for turn, span in turns_and_spans]
        return dialogue_output(parts, SAMPLE_RATE, request.format, _notes(request.parameters, request.seed))

    def _speak(self, turn: Turn, span: Span) -> SpokenPart:
        steps = math.ceil(self.options.speak_seconds / STEP_SECONDS)
        for step in range(steps):
            span.progress(step / steps)
            time.sleep(self.options.speak_seconds / steps)
        span.progress(1.0)
        if turn.voice is None:
            return SpokenPart(DEFAULT_VOICE, turn.text, _tone())
        voice = span.context.voice(turn.voice, sample_rate=SAMPLE_RATE)
        return SpokenPart(voice.name, turn.text, voice.samples)


def _tone() -> Samples:
    times = np.arange(round(TONE_SECONDS * SAMPLE_RATE)) / SAMPLE_RATE
    tone: Samples = (TONE_LEVEL * np.sin(2 * np.pi * TONE_HZ * times)).astype(np.float32)
    return tone


def _notes(parameters: dict[str, Any], seed: int | None) -> list[str]:
    ignored = [*parameters, *(["seed"] if seed is not None else [])]
    return [f"{name} was ignored: nothing is generated" for name in ignored]

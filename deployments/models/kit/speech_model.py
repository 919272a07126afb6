"""The base of all models that speak: voices, and the speed that a request names."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import ClassVar

import numpy as np

from audiograph._words import has_words
from audiograph.schemas import DialogueRequest, SpeakRequest, SpeakResult, Voice
from deployments.audio.tempo import time_stretch
from deployments.models.base import AudioOutput, Engine, Family, FileOutput, Output, RequestT
from deployments.models.kit.texts import texts_of, unspeakable
from deployments.models.voices import replace_voices, require_transcripts

SpeechRequest = SpeakRequest | DialogueRequest
"""The requests of a model that serves both ``speak`` and ``dialogue``."""

SPEED_TOLERANCE = 1e-3
"""Below this, stretching is inaudible and skipped."""


class SpeechModel(Family[Engine, RequestT]):
    """Mixin for models that speak, beside `Model`, `BatchedModel` or `ContinuousModel`.

    For example ``class Parrot(SpeechModel[Engine, SpeechRequest], Model[Engine, SpeechRequest])``.
    """

    clones_voices: ClassVar[bool] = False
    """True for models whose requests may name recorded voices, which `RunContext.voice` loads."""
    sampled: ClassVar[bool] = True
    """False for models that speak equal requests in the same way, whatever their seed."""
    needs_transcripts: ClassVar[bool] = False
    """True for models that can only clone a voice whose transcript is known."""

    @classmethod
    def voices(cls) -> list[Voice]:
        """Return the model's own voices, by whose ids requests may name them."""
        return []

    def own_voice(self, name: str, ids: Collection[str]) -> str | None:
        """Return the id of the model's own voice that a name means, among the ids; None if it means none."""
        return name if name in ids else None

    def can_speak(self, text: str) -> bool:
        """Return whether a text has anything that this model could speak, as far as its letters tell."""
        return has_words(text)

    def check_request(self, request: RequestT, variant: str) -> None:
        """Refuse texts without anything to speak; a family with more to check calls this first.

        Raises:
            InvalidRequest: with the field, such as ``turns.1.text``, and its text.
        """
        for field, text in texts_of(request).items():
            if not self.can_speak(text):
                raise unspeakable(text, field)

    def native_speed(self, speed: float) -> float:
        """Return the speed that the model applies itself for a requested one; the rest is time-stretched."""
        return 1.0

    def without_voices(self, request: RequestT, missing: Collection[str]) -> RequestT:
        """Return a copy of a checked request in which the default voice replaces missing voices."""
        return replace_voices(request, dict.fromkeys(missing))

    def check_voices(self, request: RequestT, transcripts: Mapping[str, str | None]) -> None:
        """Refuse recorded voices that this model cannot clone, before a job exists.

        Args:
            request: checked, and `without_voices` that are missing.
            transcripts: by recorded voice of the request; None if the transcript is not known.

        Raises:
            InvalidRequest: with the field, the voice and the cure.
        """
        if self.needs_transcripts:
            require_transcripts(request, transcripts)

    def postprocess(self, request: RequestT, output: Output) -> Output:
        """Time-stretch ``speak`` by the part of its speed that the model did not apply itself."""
        if not isinstance(request, SpeakRequest):
            return output
        remaining = request.speed / self.native_speed(request.speed)
        return output if abs(remaining - 1) < SPEED_TOLERANCE else time_stretched(output, remaining)


def time_stretched(output: Output, speed: float) -> Output:
    """Return the output of ``speak`` with its audio ``speed`` times as fast, at the same pitch."""
    result = output.result
    assert isinstance(result, SpeakResult)
    return replace(
        output,
        result=result.model_copy(update={"duration": result.duration / speed}),
        files=[_stretched(file, speed) for file in output.files],
        audio_seconds=output.audio_seconds and output.audio_seconds / speed,
    )


def _stretched(file: AudioOutput | FileOutput, speed: float) -> AudioOutput | FileOutput:
    if isinstance(file, FileOutput):
        return file
    samples = time_stretch(file.frames(), file.sample_rate, speed)
    return replace(file, samples=np.ascontiguousarray(samples.T))

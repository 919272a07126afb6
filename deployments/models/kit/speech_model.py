"""The base of all models that speak: voices, and the speed that a request names."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import ClassVar

import numpy as np

from audiograph._words import has_words
from audiograph.schemas import DialogueRequest, SpeakRequest, SpeakResult, Voice
from deployments.audio.tempo import time_stretch
from deployments.models.base import AudioOutput, Engine, Family, FileOutput, Output, RequestT
from deployments.models.kit.subtitles import speech_files
from deployments.models.kit.texts import texts_of, unspeakable
from deployments.models.kit.word_times import moved_segment
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
    needs_transcripts: ClassVar[bool] = False
    """True for models that can only clone a voice whose transcript is known."""
    deterministic: ClassVar[bool] = False
    """True for models that speak equal requests in the same way, whatever their seed."""
    times_words: ClassVar[bool] = False
    """True for models that honor ``word_timestamps``."""

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
        """Time-stretch ``speak`` by the part of its speed that the model did not apply itself.

        Then its sentences, if they are timed, are written to files as well.
        """
        if not self.times_words and isinstance(request, SpeechRequest) and request.word_timestamps:
            output = _with_note(output, "word_timestamps was ignored: this model does not time its words.")
        if not isinstance(request, SpeakRequest):
            return output
        remaining = self.remaining_speed(request)
        stretched = output if remaining == 1 else time_stretched(output, remaining)
        return _with_subtitles(stretched)

    def remaining_speed(self, request: SpeechRequest) -> float:
        """Return the factor by which the speech of a request is time-stretched; 1 if it is not."""
        if not isinstance(request, SpeakRequest):
            return 1.0
        remaining = request.speed / self.native_speed(request.speed)
        return 1.0 if abs(remaining - 1) < SPEED_TOLERANCE else remaining


def _with_note(output: Output, note: str) -> Output:
    notes = [*output.result.notes, note]
    return replace(output, result=output.result.model_copy(update={"notes": notes}))


def _with_subtitles(output: Output) -> Output:
    """Add the files of `speech_files` to the output of ``speak``, if its sentences are timed."""
    result = output.result
    if not isinstance(result, SpeakResult) or result.segments is None:
        return output
    return replace(output, files=[*output.files, *speech_files(result)])


def time_stretched(output: Output, speed: float) -> Output:
    """Return the output of ``speak`` with its audio ``speed`` times as fast, at the same pitch."""
    result = output.result
    assert isinstance(result, SpeakResult)
    segments = result.segments and [moved_segment(segment, 0.0, speed) for segment in result.segments]
    return replace(
        output,
        result=result.model_copy(update={"duration": result.duration / speed, "segments": segments}),
        files=[_stretched(file, speed) for file in output.files],
        audio_seconds=output.audio_seconds and output.audio_seconds / speed,
    )


def _stretched(file: AudioOutput | FileOutput, speed: float) -> AudioOutput | FileOutput:
    if isinstance(file, FileOutput):
        return file
    samples = time_stretch(file.frames(), file.sample_rate, speed)
    return replace(file, samples=np.ascontiguousarray(samples.T))

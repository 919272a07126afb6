"""The speed that is asked of ``speak``, where a model's own does not reach it: here for all models."""

from dataclasses import replace
from typing import Any

import numpy as np

from audiograph.schemas import Request, SpeakRequest, SpeakResult
from deployments.audio.tempo import stretched
from deployments.models.base import AudioOutput, FileOutput, Model, Output
from deployments.replica.outputs import frames_of

CLOSE = 1e-3
"""What nobody hears, and is not worth a pass."""


def missing_speed(model: Model[Any], request: Request) -> float:
    """How many times as fast what the model spoke must become; 1 if it is right as it is."""
    if not isinstance(request, SpeakRequest):
        return 1.0
    missing = request.speed / model.own_speed(request.speed)
    return 1.0 if abs(missing - 1) < CLOSE else missing


def at_speed(output: Output, speed: float) -> Output:
    """The same speech, ``speed`` times as fast, at its own pitch."""
    result = output.result
    assert isinstance(result, SpeakResult)
    return replace(
        output,
        result=result.model_copy(update={"duration": result.duration / speed}),
        files=[_faster(file, speed) for file in output.files],
        audio_seconds=output.audio_seconds and output.audio_seconds / speed,
    )


def _faster(file: AudioOutput | FileOutput, speed: float) -> AudioOutput | FileOutput:
    if isinstance(file, FileOutput):
        return file
    samples = stretched(frames_of(file), file.sample_rate, speed)
    return replace(file, samples=np.ascontiguousarray(samples.T))

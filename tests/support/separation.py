"""Mixtures for tests of models that separate, and the stems of their outputs."""

from typing import Any

import numpy as np

from audiograph.schemas import SeparateResult
from deployments.models.base import AudioOutput, Output, Samples
from tests.deployments.models.fakes import FakeContext

RATE = 44_100
FILE = "song"
"""Id of the only file in a `song_context`."""


def noise(seconds: float, rate: int = RATE, channels: int = 2, level: float = 0.1) -> Samples:
    """Return normally distributed samples ``[channels, frames]``, equal in every call."""
    rng = np.random.default_rng(0)
    return rng.normal(0, level, (channels, round(seconds * rate))).astype(np.float32)


def song_context(samples: Samples, rate: int = RATE, **options: Any) -> FakeContext:
    """Return a context with samples ``[channels, frames]`` as its only file."""
    return FakeContext({FILE: (samples, rate)}, **options)


def audio_of(output: Output) -> list[AudioOutput]:
    """Return the files of an output, all of which are audio."""
    files = [file for file in output.files if isinstance(file, AudioOutput)]
    assert len(files) == len(output.files)
    return files


def stems_of(output: Output) -> dict[str, Samples]:
    """Return the samples ``[channels, frames]`` of an output by stem."""
    return {file.name: file.frames().T for file in audio_of(output)}


def result_of(output: Output) -> SeparateResult:
    """Return the result of an output, as that of a separation."""
    assert isinstance(output.result, SeparateResult)
    return output.result

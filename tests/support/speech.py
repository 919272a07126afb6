"""A sentence for models that speak, and the audio and results of their outputs."""

import numpy as np

from audiograph.schemas import SpeakResult
from deployments.models.base import AudioOutput, Output, Samples

FOX = "The quick brown fox jumps over the lazy dog."


def speech_of(output: Output) -> AudioOutput:
    """Return the audio file of an output."""
    (file,) = (file for file in output.files if isinstance(file, AudioOutput))
    return file


def samples_of(output: Output) -> Samples:
    """Return the samples of an output, as an array in memory."""
    samples = speech_of(output).samples
    assert isinstance(samples, np.ndarray)
    return samples


def result_of(output: Output) -> SpeakResult:
    """Return the result of an output, as that of ``speak``."""
    assert isinstance(output.result, SpeakResult)
    return output.result

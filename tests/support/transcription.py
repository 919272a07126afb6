"""Recordings and requests for tests of models that transcribe, and the results of their outputs."""

from typing import Any

import numpy as np

from audiograph.schemas import TranscribeRequest, TranscribeResult
from deployments.models.base import Output, Samples
from tests.deployments.models.fakes import FakeContext, FakeTicket

RATE = 16_000
FILE = "talk"
"""Id of the only file in a `talk_context`."""


def noise(seconds: float, seed: int = 0) -> Samples:
    """Return normally distributed samples ``[1, frames]``, equal in every call with the same seed."""
    return np.random.default_rng(seed).normal(0, 0.1, (1, round(seconds * RATE))).astype(np.float32)


def talk_context(samples: Samples, **options: Any) -> FakeContext:
    """Return a context with samples ``[1, frames]`` as its only file."""
    return FakeContext({FILE: (samples, RATE)}, **options)


def noise_ticket(
    seconds: float = 3.0, *, seed: int = 0, cancel_after: int | None = None, **fields: Any
) -> FakeTicket[TranscribeRequest]:
    """Return a ticket of a request to transcribe noise."""
    context = talk_context(noise(seconds, seed), cancel_after=cancel_after)
    return FakeTicket(TranscribeRequest(file=FILE, **fields), context)


def result_of(output: Output) -> TranscribeResult:
    """Return the result of an output, as that of a transcription."""
    assert isinstance(output.result, TranscribeResult)
    return output.result

"""Recordings and requests for tests of models that generate music, and the music of their outputs."""

from typing import Any

import numpy as np

from audiograph.schemas import GenerateMusicRequest, MusicResult
from deployments.models.base import AudioOutput, Output, Samples
from deployments.models.musicgen.engine import MusicEngine
from deployments.models.musicgen.model import MusicGen, MusicGenOptions
from tests.deployments.models.fakes import FakeContext, FakeTicket, serve

MODEL = MusicGen(MusicGenOptions())
RATE = 32_000
FILE = "tune"
"""Id of the only file in a `tune_context`."""
PROMPT = "a slow waltz"


def tone(seconds: float, channels: int = 1, rate: int = RATE) -> Samples:
    """Return an A of 440 Hz, ``[channels, frames]``."""
    wave = 0.3 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * rate)) / rate).astype(np.float32)
    return np.repeat(wave[None], channels, axis=0)


def tune_context(seconds: float, channels: int = 1, rate: int = RATE) -> FakeContext:
    """Return a context with a `tone` as its only file."""
    return FakeContext({FILE: (tone(seconds, channels, rate), rate)})


def music_ticket(
    prompt: str = PROMPT, *, context: FakeContext | None = None, **fields: Any
) -> FakeTicket[GenerateMusicRequest]:
    """Return a ticket of a request for 1 s of music with seed 7, unless the fields say otherwise."""
    fields = {"duration": 1.0, "seed": 7} | fields
    return FakeTicket(GenerateMusicRequest(prompt=prompt, **fields), context)


def music(engine: MusicEngine, prompt: str = PROMPT, **fields: Any) -> Samples:
    """Generate the music of one `music_ticket` alone, ``[channels, frames]``."""
    ticket = music_ticket(prompt, **fields)
    serve(MODEL, engine, ticket)
    return music_of(ticket.output)


def music_of(output: Output) -> Samples:
    """Return the samples ``[channels, frames]`` of an output."""
    (file,) = output.files
    assert isinstance(file, AudioOutput)
    return file.frames().T


def result_of(output: Output) -> MusicResult:
    """Return the result of an output, as that of generated music."""
    assert isinstance(output.result, MusicResult)
    return output.result

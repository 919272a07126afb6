"""Time stretching at constant pitch, by libav's ``atempo`` (WSOLA, Verhelst and Roelands 1993)."""

import math
from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.filter import Graph

from deployments.audio.source import BLOCK_SAMPLES, Block

MAX_FACTOR = 2.0
"""Limit of one filter, in either direction: it rejects factors below 0.5, and above 2 it skips samples."""
TAIL_SECONDS = 0.1
"""Silence appended to the input, so that the filter's window passes over the end of the audio."""


def time_stretch(samples: Block, sample_rate: int, speed: float) -> Block:
    """Change the tempo of ``[frames, channels]`` by the factor ``speed``, keeping the pitch.

    Returns:
        Samples ``[round(frames / speed), channels]``.
    """
    frames = round(len(samples) / speed)
    if speed == 1 or not frames:
        return samples[:frames]
    source = np.pad(samples, ((0, round(TAIL_SECONDS * sample_rate * max(1.0, speed))), (0, 0)))
    result = np.concatenate(list(_apply_filters(source, sample_rate, _factors(speed))))
    missing = max(0, frames - len(result))
    return np.pad(result[:frames], ((0, missing), (0, 0)))


def _factors(speed: float) -> list[float]:
    """Split a speed into equal factors within the limits of one filter."""
    count = max(1, math.ceil(abs(math.log(speed, MAX_FACTOR)) - 1e-9))
    return [speed ** (1 / count)] * count


def _apply_filters(samples: Block, sample_rate: int, factors: list[float]) -> Iterator[Block]:
    """Yield the output of one ``atempo`` filter per factor, in a row."""
    channels = samples.shape[1]
    layout = f"{channels}c"
    graph = Graph()
    source = graph.add_abuffer(
        sample_rate=sample_rate, format="flt", layout=layout, time_base=Fraction(1, sample_rate)
    )
    filters = [graph.add("atempo", repr(factor)) for factor in factors]
    graph.link_nodes(source, *filters, graph.add("abuffersink")).configure()
    for start in range(0, len(samples), BLOCK_SAMPLES):
        packed = np.ascontiguousarray(samples[start : start + BLOCK_SAMPLES], np.float32).reshape(1, -1)
        frame = AudioFrame.from_ndarray(packed, format="flt", layout=layout)
        frame.sample_rate, frame.time_base, frame.pts = sample_rate, Fraction(1, sample_rate), start
        graph.push(frame)
        yield from _ready(graph, channels)
    graph.push(None)
    yield from _ready(graph, channels)


def _ready(graph: Graph, channels: int) -> Iterator[Block]:
    """Yield the blocks that the graph can output so far."""
    while True:
        try:
            frame = graph.pull()
        except (av.BlockingIOError, av.EOFError):  # it needs more input, or has ended
            return
        assert isinstance(frame, AudioFrame)
        yield frame.to_ndarray().astype(np.float32, copy=False).reshape(-1, channels)

"""Faster and slower without another pitch: libav's ``atempo`` (WSOLA, Verhelst and Roelands 1993)."""

import math
from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.filter import Graph

from deployments.audio.decoder import BLOCK_SAMPLES, Block

LEAST, MOST = 0.5, 2.0
"""What one filter does well: it takes no less, and beyond the latter it skips what it should blend."""
TAIL_SECONDS = 0.1
"""Of silence that go in last, so that the filter's window has passed over the end of the sound."""


def stretched(samples: Block, sample_rate: int, speed: float) -> Block:
    """The same ``[frames, channels]``, ``speed`` times as fast, at the same pitch.

    The result has ``frames / speed`` of them, rounded.
    """
    wanted = round(len(samples) / speed)
    if speed == 1 or not wanted:
        return samples[:wanted]
    source = np.pad(samples, ((0, round(TAIL_SECONDS * sample_rate * max(1.0, speed))), (0, 0)))
    result = np.concatenate(list(_filtered(source, sample_rate, _steps(speed))))
    missing = max(0, wanted - len(result))
    return np.pad(result[:wanted], ((0, missing), (0, 0)))


def _steps(speed: float) -> list[float]:
    """The speed as a product of equal factors, each within `LEAST` and `MOST`."""
    count = max(1, math.ceil(abs(math.log(speed, MOST)) - 1e-9))
    return [speed ** (1 / count)] * count


def _filtered(samples: Block, sample_rate: int, steps: list[float]) -> Iterator[Block]:
    channels = samples.shape[1]
    layout = f"{channels}c"
    graph = Graph()
    source = graph.add_abuffer(
        sample_rate=sample_rate, format="flt", layout=layout, time_base=Fraction(1, sample_rate)
    )
    filters = [graph.add("atempo", repr(step)) for step in steps]
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
    while True:
        try:
            frame = graph.pull()
        except (av.BlockingIOError, av.EOFError):  # it wants more, or has told everything
            return
        assert isinstance(frame, AudioFrame)
        yield frame.to_ndarray().astype(np.float32, copy=False).reshape(-1, channels)

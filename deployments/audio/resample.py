"""Sample rate conversion of consecutive blocks, without discontinuities."""

from collections.abc import Iterator

import numpy as np
import soxr

from deployments.audio.source import Block


class Resampler:
    """Converter of consecutive blocks ``[frames, channels]`` from one sample rate in Hz to another.

    The conversion is band-limited, with aliases more than 100 dB down. It adds no delay, and keeps the
    duration to within a frame.
    """

    def __init__(self, channels: int, source_rate: int, target_rate: int) -> None:
        self._channels = channels
        self._stream: soxr.ResampleStream | None = None
        if source_rate != target_rate:
            self._stream = soxr.ResampleStream(
                source_rate, target_rate, channels, dtype="float32", quality="HQ"
            )

    def __call__(self, block: Block) -> Block:
        """Convert a block and return the frames that are ready, possibly none."""
        if self._stream is None:
            return block
        converted: Block = self._stream.resample_chunk(np.ascontiguousarray(block, np.float32))
        return converted

    def finish(self) -> Block:
        """Return the remaining frames."""
        empty = np.empty((0, self._channels), np.float32)
        if self._stream is None:
            return empty
        converted: Block = self._stream.resample_chunk(empty, last=True)
        return converted


def resample(blocks: Iterator[Block], channels: int, source_rate: int, target_rate: int) -> Iterator[Block]:
    """Convert blocks ``[frames, channels]`` from one sample rate in Hz to another; see `Resampler`."""
    resampler = Resampler(channels, source_rate, target_rate)
    for block in blocks:
        yield resampler(block)
    yield resampler.finish()

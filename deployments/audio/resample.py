"""Sample rate conversion of blocks, one after the other, without a seam."""

from collections.abc import Iterator

import numpy as np
import soxr

from deployments.audio.decoder import Block


class Resampler:
    """Converts blocks ``[frames, channels]`` as they come, from one sample rate in Hz to another.

    Band-limited, with aliases more than 100 dB down; not delayed, and of the same length to within a frame.
    """

    def __init__(self, channels: int, source_rate: int, target_rate: int) -> None:
        self._channels = channels
        self._stream: soxr.ResampleStream | None = None
        if source_rate != target_rate:
            self._stream = soxr.ResampleStream(
                source_rate, target_rate, channels, dtype="float32", quality="HQ"
            )

    def __call__(self, block: Block) -> Block:
        """What is known of the converted sound once this block is; it may lag behind, or be empty."""
        if self._stream is None:
            return block
        converted: Block = self._stream.resample_chunk(np.ascontiguousarray(block, np.float32))
        return converted

    def finish(self) -> Block:
        """The rest."""
        rest = np.empty((0, self._channels), np.float32)
        if self._stream is None:
            return rest
        converted: Block = self._stream.resample_chunk(rest, last=True)
        return converted


def resampled(blocks: Iterator[Block], channels: int, source_rate: int, target_rate: int) -> Iterator[Block]:
    """Convert blocks ``[frames, channels]`` from one sample rate in Hz to another; see `Resampler`."""
    resampler = Resampler(channels, source_rate, target_rate)
    for block in blocks:
        yield resampler(block)
    yield resampler.finish()

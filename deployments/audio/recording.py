"""Audio that is too long for memory: read from a file block by block, and kept on disk in between."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deployments.audio.decoder import BLOCK_SAMPLES, Block


@dataclass(frozen=True, slots=True)
class AudioStream:
    """A stored file that is being decoded."""

    sample_rate: int
    """Hz."""
    channels: int
    blocks: Iterator[Block]
    """All of it, once: float32 ``[frames, channels]``. Raises InvalidAudio like `storage.audio.decode`."""


class Recording:
    """Float32 samples ``[frames, channels]`` on disk, read and written by one thread at a time.

    The file has no name: its space is free again as soon as it is closed, or its process is gone, however
    that ends.

    Args:
        channels: how many.
        folder: on which disk; the system's folder for temporary files if None.
    """

    def __init__(self, channels: int, folder: Path | None = None) -> None:
        self.channels = channels
        self.frames = 0
        self.peak = 0.0
        """The largest absolute value of all samples; NaN if one of them is."""
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  # closed by `close`

    def append(self, block: Block) -> None:
        """Write ``[frames, channels]`` at the end."""
        if not len(block):
            return
        samples = np.ascontiguousarray(block, np.float32)
        assert samples.shape == (len(block), self.channels), samples.shape
        self._file.seek(self._position(self.frames))
        self._file.write(samples.data)
        self.frames += len(samples)
        self.peak = float(np.maximum(self.peak, np.abs(samples).max()))

    def read(self, start: int, stop: int) -> Block:
        """Frames ``start`` to ``stop``; those before the beginning and after the end are zeros."""
        block = np.zeros((stop - start, self.channels), np.float32)
        first, last = max(start, 0), min(stop, self.frames)
        if first < last:
            self._file.seek(self._position(first))
            self._file.readinto(block[first - start : last - start].data.cast("B"))
        return block

    def blocks(self) -> Iterator[Block]:
        """All of it, in order, in small blocks."""
        step = max(1, BLOCK_SAMPLES // self.channels)
        for start in range(0, self.frames, step):
            yield self.read(start, min(start + step, self.frames))

    def close(self) -> None:
        """Give up the samples and their space."""
        self._file.close()

    def _position(self, frame: int) -> int:
        return 4 * self.channels * frame

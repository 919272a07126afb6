"""Audio that is too long for memory: streams of decoded blocks, and recordings on disk."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deployments.audio.source import BLOCK_SAMPLES, Block


@dataclass(frozen=True, slots=True)
class AudioStream:
    """Audio of a file that is decoded block by block."""

    sample_rate: int
    """Hz."""
    channels: int
    blocks: Iterator[Block]
    """Float32 ``[frames, channels]``, to be iterated once. Raises InvalidAudio like `decode`."""


class Recording:
    """Float32 samples ``[frames, channels]`` on disk, for use by one thread at a time.

    The file has no name: its space is freed as soon as it is closed or its process ends, even by a kill.

    Args:
        channels: number of channels.
        folder: location of the file; the system's folder for temporary files if None.
    """

    def __init__(self, channels: int, folder: Path | None = None) -> None:
        self.channels = channels
        self.frames = 0
        self.peak = 0.0
        """Largest absolute value of all samples; NaN if one of them is NaN."""
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  # closed by `close`

    def append(self, block: Block) -> None:
        """Append ``[frames, channels]``."""
        if not len(block):
            return
        samples = np.ascontiguousarray(block, np.float32)
        assert samples.shape == (len(block), self.channels), samples.shape
        self._file.seek(self._position(self.frames))
        self._file.write(samples.data)
        self.frames += len(samples)
        self.peak = float(np.maximum(self.peak, np.abs(samples).max()))

    def read(self, start: int, stop: int) -> Block:
        """Read frames ``start`` to ``stop``; those before the beginning and after the end are zeros."""
        block = np.zeros((stop - start, self.channels), np.float32)
        first, last = max(start, 0), min(stop, self.frames)
        if first < last:
            self._file.seek(self._position(first))
            self._file.readinto(block[first - start : last - start].data.cast("B"))
        return block

    def blocks(self) -> Iterator[Block]:
        """Yield all samples in order, in blocks of about 256 KiB."""
        step = max(1, BLOCK_SAMPLES // self.channels)
        for start in range(0, self.frames, step):
            yield self.read(start, min(start + step, self.frames))

    def close(self) -> None:
        """Discard the samples and free their space."""
        self._file.close()

    def _position(self, frame: int) -> int:
        return 4 * self.channels * frame

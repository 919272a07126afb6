"""One continuous sound from pieces whose times, sample rates and channels may change."""

from collections.abc import Iterator

import numpy as np

from deployments.audio.downmix import to_channels
from deployments.audio.resample import Resampler
from deployments.audio.source import BLOCK_SAMPLES, Block

TOLERANCE_SECONDS = 0.05
"""Times are rounded, and recorders' clocks drift: a smaller difference is none."""
MAX_GAP_SECONDS = 3600.0
"""A longer jump is the beginning of another timeline, as where two broadcasts were joined."""


class Timeline:
    """Places decoded pieces one behind the other, so that times in the sound are times in the file.

    Silence fills the gaps between them: where a sender was muted, where packets were lost. The first piece
    decides the sample rate and the channels, and later ones are converted. A piece that begins before the end
    of the one before it is not cut.
    """

    def __init__(self, sample_rate: int, channels: int) -> None:
        self._sample_rate, self._channels = sample_rate, channels
        self._form = (sample_rate, channels)
        self._resampler = Resampler(channels, sample_rate, sample_rate)
        self._end: float | None = None  # of the pieces so far, by the times of the file
        self._seconds = 0.0
        self._gaps: list[float] = []
        self._changes: list[str] = []

    def place(self, block: Block, sample_rate: int, time: float | None) -> Iterator[Block]:
        """Yield the next samples up to those of a piece ``[frames, channels]``.

        ``time`` is that of its first sample in seconds; None if it follows the piece before it.
        """
        if (sample_rate, block.shape[1]) != self._form:
            yield from self._change(sample_rate, block.shape[1])
        if time is not None:
            yield from self._fill(time)
        yield self._convert(block)
        self._advance(len(block) / sample_rate)

    def restart(self) -> None:
        """Let the times of the next pieces begin anew, as in the next link of a chain."""
        self._end = None

    def finish(self) -> Iterator[Block]:
        """Yield the last samples."""
        yield self._resampler.finish()

    def notes(self) -> list[str]:
        """Return sentences on the gaps and the changes."""
        notes = []
        if self._gaps:
            count = "1 gap" if len(self._gaps) == 1 else f"{len(self._gaps)} gaps"
            notes.append(f"The sound has {count}, of {sum(self._gaps):.2f} s in all; silence stands there.")
        if self._changes:
            more = f", and {len(self._changes) - 1} more" if len(self._changes) > 1 else ""
            notes.append(
                f"The sound changes from {_described(self._sample_rate, self._channels)} to "
                f"{self._changes[0]}{more}; it was converted to what it begins with."
            )
        return notes

    def _change(self, sample_rate: int, channels: int) -> Iterator[Block]:
        yield self._resampler.finish()
        self._form = (sample_rate, channels)
        self._resampler = Resampler(self._channels, sample_rate, self._sample_rate)
        if self._form != (self._sample_rate, self._channels):
            self._changes.append(f"{_described(*self._form)} at {self._seconds:.2f} s")

    def _fill(self, time: float) -> Iterator[Block]:
        gap = time - (self._end if self._end is not None else time)
        if abs(gap) > TOLERANCE_SECONDS or self._end is None:
            self._end = time
        if TOLERANCE_SECONDS < gap <= MAX_GAP_SECONDS:
            self._gaps.append(gap)
            self._seconds += gap
            frames, step = round(gap * self._form[0]), max(1, BLOCK_SAMPLES // self._channels)
            for start in range(0, frames, step):
                yield self._resampler(np.zeros((min(step, frames - start), self._channels), np.float32))

    def _convert(self, block: Block) -> Block:
        return self._resampler(to_channels(block, self._channels))

    def _advance(self, seconds: float) -> None:
        self._seconds += seconds
        if self._end is not None:
            self._end += seconds


def _described(sample_rate: int, channels: int) -> str:
    return f"{sample_rate} Hz with {channels} channel{'s' if channels > 1 else ''}"

"""Mixing to mono, also of channels that cancel each other."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from deployments.audio.source import Block

CANCELED = 0.05
"""Power of the mix, relative to that of independent channels, below which the channels cancel each other."""
RECOVERED = 0.2
"""Relative power above which the mix is used again."""
SILENCE = 1e-10
"""Power of a channel below which a window decides nothing (-100 dB)."""
WINDOW_SECONDS = 0.25
FADE_SECONDS = 0.02


class MonoMixer:
    """Averages the channels of consecutive blocks ``[frames, channels]`` to ``[frames, 1]``.

    Where the average loses nearly all of the power, because a microphone or a cable has the wrong polarity,
    the loudest channel is taken instead, with a crossfade.
    """

    def __init__(self, sample_rate: int) -> None:
        self._sample_rate = sample_rate
        self._alone: int | None = None  # the channel that is taken instead of the mix
        self._frames = 0
        self._replaced = 0
        self._first: tuple[int, float] | None = None

    def __call__(self, block: Block) -> Block:
        """Mix a block."""
        if block.shape[1] == 1:
            return block
        windows = max(1, len(block) // round(WINDOW_SECONDS * self._sample_rate))
        return np.concatenate([self._mix_window(window) for window in np.array_split(block, windows)])

    def _mix_window(self, block: Block) -> Block:
        mix: Block = block.mean(axis=1, keepdims=True, dtype=np.float32)
        before, self._alone = self._alone, self._choose(block, mix)
        self._count(len(block))
        if before == self._alone:
            return _heard(block, mix, before)
        return _crossfade(_heard(block, mix, before), _heard(block, mix, self._alone), self._fade(len(block)))

    def mix(self, blocks: Iterator[Block]) -> Iterator[Block]:
        """Mix all blocks."""
        return map(self, blocks)

    def notes(self) -> list[str]:
        """Return a sentence on the part whose channels cancel each other, if there is one."""
        if self._first is None:
            return []
        channel, start = self._first
        part = f"{self._replaced / self._sample_rate:.2f} s from {start:.2f} s on"
        whole = self._replaced >= self._frames
        return [
            f"The channels cancel each other in mono{'' if whole else f' ({part})'}: they are out of phase. "
            f"Where mono is needed, channel {channel + 1} alone is heard{'' if whole else ' there'}."
        ]

    def _choose(self, block: Block, mix: Block) -> int | None:
        power = np.square(block, dtype=np.float64).mean(axis=0)
        if power.max() < SILENCE:
            return self._alone
        independent = float(power.sum()) / block.shape[1] ** 2
        relative = float(np.square(mix, dtype=np.float64).mean()) / independent
        if relative > RECOVERED or (self._alone is None and relative > CANCELED):
            return None
        return self._alone if self._alone is not None else int(power.argmax())

    def _count(self, frames: int) -> None:
        if self._alone is not None:
            self._first = self._first or (self._alone, self._frames / self._sample_rate)
            self._replaced += frames
        self._frames += frames

    def _fade(self, frames: int) -> NDArray[np.float32]:
        """Return the weights of the new sound, ``[frames, 1]``; there is nothing to fade at the beginning."""
        length = min(frames, round(FADE_SECONDS * self._sample_rate)) if self._frames > frames else 0
        weights = np.ones((frames, 1), np.float32)
        weights[:length, 0] = np.linspace(0, 1, length, dtype=np.float32)
        return weights


def _heard(block: Block, mix: Block, alone: int | None) -> Block:
    return mix if alone is None else block[:, alone : alone + 1]


def _crossfade(old: Block, new: Block, weights: NDArray[np.float32]) -> Block:
    faded: Block = old + weights * (new - old)
    return faded

"""Shifted passes over a mixture, their chunks and batches, and the weighted sum of separated chunks.

The arithmetic is that of `demucs.apply.apply_model`.
"""

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from deployments.audio.recording import Recording
from deployments.models.base import Samples

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from demucs.apply import BagOfModels
    from demucs.apply import Model as DemucsModel

MAX_SHIFT_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of a separation; the first three are those of `demucs.apply.apply_model`."""

    shifts: int = 1
    """Randomly shifted passes per model, which are averaged; 0 for one pass without a shift."""
    overlap: float = 0.25
    """Fraction of a chunk that the next one covers as well."""
    segment: float | None = None
    """Length of a chunk in seconds; the model's own if None."""
    batch_size: int = 1
    """Chunks in a batch; halved when memory runs out."""
    batches: int = 1
    """Batches computed at the same time, each with its share of the processors; 1 when memory runs out."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Frames of the mixture that a model separates at once; ``start`` is negative before the mixture."""

    start: int
    length: int


class NormalizedMixture:
    """A recording, normalized by the mean and standard deviation of its mono mix.

    `demucs.api.Separator` normalizes the same way.
    """

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self.frames = recording.frames
        self.mean, self.deviation = _statistics(recording)

    def read(self, start: int, length: int) -> Samples:
        """Read normalized frames ``[2, length]``: zeros outside the mixture, one channel repeated as two."""
        first = max(start, 0)
        block = self._recording.read(first, max(first, min(start + length, self.frames)))
        padded = np.zeros((2, length), np.float32)
        padded[:, first - start : first - start + len(block)] = self._normalized(block).T
        return padded

    def restore(self, sources: Samples) -> Samples:
        """Scale separated samples of any shape back to the mixture's own level."""
        restored: Samples = sources * np.float32(self.deviation) + np.float32(self.mean)
        return restored

    def _normalized(self, block: Samples) -> Samples:
        normalized: Samples = (block - np.float32(self.mean)) / np.float32(self.deviation)
        return normalized


class ShiftedPass:
    """One pass of one model over the mixture, in overlapping chunks from a shifted start.

    Args:
        model: on the device where it runs.
        scale: weight of the pass in the sum of all passes, by source: ``[sources, 1, 1]``.
        start: frame of the first chunk, 0 or negative.
        frames: length of the mixture.
        settings: of the separation.
    """

    def __init__(
        self, model: "DemucsModel", scale: "Tensor", start: int, frames: int, settings: Settings
    ) -> None:
        self.model = model
        self.device = scale.device
        self._scale = scale
        self._frames = frames
        self._has_given_segment = settings.segment is not None
        self._segment = int(model.samplerate * (settings.segment or model.segment))
        self._stride = int((1 - settings.overlap) * self._segment)
        self._starts = range(start, frames, self._stride)
        first = next(n for n, at in enumerate(self._starts) if at + self._segment > 0)
        self._starts = self._starts[first:]  # the others lie wholly before the mixture
        self._taken = 0
        self.done = 0
        """Number of chunks that were added to the sum."""

    @property
    def chunks(self) -> int:
        """Number of all chunks."""
        return len(self._starts)

    @property
    def position(self) -> int:
        """The frame before which this pass adds nothing more to the sum."""
        return self._starts[self.done] if self.done < len(self._starts) else self._frames

    @property
    def next_start(self) -> int:
        """The first frame of the next chunk to be taken; the end of the mixture if all are taken."""
        return self._starts[self._taken] if self._taken < len(self._starts) else self._frames

    def take(self, max_chunks: int) -> "Batch | None":
        """Take the next chunks that share one input length, as a batch; None if all are taken."""
        chunks = [self._chunk(start) for start in self._starts[self._taken : self._taken + max_chunks]]
        if not chunks:
            return None
        length = self._input_length(chunks[0])
        together = list(takewhile(lambda chunk: self._input_length(chunk) == length, chunks))
        self._taken += len(together)
        return Batch(self, together, length)

    def rewind(self) -> None:
        """Return chunks that were taken but not added, so that they are taken again."""
        self._taken = self.done

    def weight(self, chunk: Chunk) -> "Tensor":
        """Return the weight of a chunk's frames in the sum of all passes, ``[sources, 1, length]``.

        Chunks fade in and out as triangles; where they overlap, their weights add up to the pass's scale.
        """
        import torch

        triangle = self._triangle()
        total = torch.zeros(chunk.length, device=self.device)
        for start in self._starts_near(chunk):
            first, last = max(start, chunk.start), min(start + self._segment, chunk.start + chunk.length)
            total[first - chunk.start : last - chunk.start] += triangle[first - start : last - start]
        return self._scale * (triangle[: chunk.length] / total)

    def _chunk(self, start: int) -> Chunk:
        return Chunk(start, min(self._segment, self._frames - start))

    def _input_length(self, chunk: Chunk) -> int:
        """Return the frames to pad a chunk to: the given segment, or a length that suits the layers."""
        from demucs.htdemucs import HTDemucs

        if isinstance(self.model, HTDemucs) and self._has_given_segment:
            return self._segment
        if hasattr(self.model, "valid_length"):
            return int(self.model.valid_length(chunk.length))
        return chunk.length

    def _starts_near(self, chunk: Chunk) -> Sequence[int]:
        """Return the starts of all chunks that overlap one, its own included."""
        index = self._starts.index(chunk.start)
        reach = -(-self._segment // self._stride) - 1
        return self._starts[max(0, index - reach) : index + reach + 1]

    def _triangle(self) -> "Tensor":
        import torch

        half = self._segment // 2
        rising = torch.arange(1, half + 1, device=self.device)
        falling = torch.arange(self._segment - half, 0, -1, device=self.device)
        triangle = torch.cat([rising, falling])
        return triangle / triangle.max()


class RollingSum:
    """A sum of overlapping blocks ``[sources, 2, frames]``, taken from the front as it becomes final."""

    def __init__(self, sources: int, device: "torch.device | str") -> None:
        import torch

        self._begin = 0
        self._buffer = torch.zeros(sources, 2, 0, device=device)

    def reserve(self, end: int) -> None:
        """Make room for blocks that end at the frame ``end``."""
        import torch

        missing = end - self._begin - self._buffer.shape[-1]
        if missing > 0:
            self._buffer = torch.nn.functional.pad(self._buffer, (0, missing))

    def add(self, start: int, block: "Tensor", weight: "Tensor") -> None:
        """Add a block ``[sources, 2, frames]`` times its weight; frames already taken are dropped."""
        skipped = max(0, self._begin - start)
        at = start + skipped - self._begin
        length = block.shape[-1] - skipped
        self._buffer[..., at : at + length].addcmul_(block[..., skipped:], weight[..., skipped:])

    def take(self, end: int) -> "Tensor":
        """Remove and return the sum ``[sources, 2, frames]`` up to the frame ``end``, which must be final."""
        length = max(0, end - self._begin)
        taken, rest = self._buffer[..., :length], self._buffer[..., length:]
        self._buffer = rest.clone()
        self._begin += length
        return taken


@dataclass(frozen=True, slots=True)
class Batch:
    """Chunks of one pass that its model separates together."""

    shifted_pass: ShiftedPass
    chunks: Sequence[Chunk]
    input_length: int
    """Frames that the model is given for each chunk."""

    @property
    def end(self) -> int:
        """The frame at which the last chunk ends."""
        return self.chunks[-1].start + self.chunks[-1].length

    def read(self, mixture: NormalizedMixture) -> "Tensor":
        """Read the model's input ``[chunks, 2, input_length]``: each chunk amid the frames around it."""
        import torch

        length = self.input_length
        inputs = [mixture.read(chunk.start - (length - chunk.length) // 2, length) for chunk in self.chunks]
        return torch.from_numpy(np.stack(inputs)).to(self.shifted_pass.device)

    def add(self, separated: "Tensor", total: RollingSum) -> None:
        """Add the model's output ``[chunks, sources, 2, input_length]`` to a sum: all of it, or nothing.

        Raises:
            RuntimeError: out of memory, before anything is added.
        """
        from demucs.utils import center_trim

        weights = [self.shifted_pass.weight(chunk) for chunk in self.chunks]
        for chunk, sources, weight in zip(self.chunks, separated, weights, strict=True):
            total.add(chunk.start, center_trim(sources, chunk.length), weight)
        self.shifted_pass.done += len(self.chunks)


def shifted_passes(
    bag: "BagOfModels", frames: int, settings: Settings, sources: Collection[int], rng: random.Random
) -> list[ShiftedPass]:
    """Return the passes of every model and shift that contribute to one of the sources.

    Shifts are drawn for the other models as well: the shifts of a pass do not depend on the sources.
    """
    import torch

    weights = torch.tensor(bag.weights, device=device_of(bag))
    scales = weights / weights.sum(dim=0) / max(1, settings.shifts)
    max_shift = int(MAX_SHIFT_SECONDS * bag.samplerate)
    passes = []
    for model, model_weights, scale in zip(bag.models, bag.weights, scales, strict=True):
        starts = [rng.randint(0, max_shift) - max_shift for _ in range(settings.shifts)] or [0]
        if any(model_weights[source] for source in sources):
            passes += [ShiftedPass(model, scale[:, None, None], start, frames, settings) for start in starts]
    return passes


def device_of(bag: "BagOfModels") -> "torch.device":
    """Return the device that a bag's models are on."""
    device: torch.device = next(bag.parameters()).device
    return device


def _statistics(recording: Recording) -> tuple[float, float]:
    """Return the mean and the standard deviation of the mono mix; the latter is never 0."""
    count = recording.frames
    mean = sum(_mono(block).sum() for block in recording.blocks()) / count
    squares = sum(np.square(_mono(block) - mean).sum() for block in recording.blocks())
    return float(mean), float(np.sqrt(squares / max(1, count - 1))) + 1e-8


def _mono(block: Samples) -> NDArray[np.float64]:
    """Return the mean of the channels, as a product: `numpy.mean` is slow over an axis so short."""
    channels = block.shape[1]
    mono: NDArray[np.float64] = block.astype(np.float64) @ np.full(channels, 1 / channels)
    return mono

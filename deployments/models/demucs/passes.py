"""How Demucs' models go through a mixture: in passes, of overlapping chunks, some of which make a batch."""

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deployments.audio.recording import Recording
from deployments.models.base import Samples

MAX_SHIFT_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Settings:
    """How to separate; see `demucs.apply.apply_model`."""

    shifts: int = 1
    overlap: float = 0.25
    segment: float | None = None
    """Seconds; the model's own if None."""
    batch_size: int = 1
    """Chunks in a batch; halved when memory runs out."""
    batches: int = 1
    """Batches at a time, each with its share of the processors; one when memory runs out."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """What a model hears at a time: frames of the mixture, counted from its beginning."""

    start: int
    length: int


class NormalizedMixture:
    """A recording as `demucs.api.Separator` normalizes it: by mean and deviation of its mono mix."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self.frames = recording.frames
        self.mean, self.deviation = _statistics(recording)

    def read(self, start: int, length: int) -> Samples:
        """``[2, length]``, zeros where there is no mixture; one channel is heard as two."""
        first = max(start, 0)
        block = self._recording.read(first, max(first, min(start + length, self.frames)))
        heard = np.zeros((2, length), np.float32)
        heard[:, first - start : first - start + len(block)] = self._normalized(block).T
        return heard

    def restore(self, sources: Samples) -> Samples:
        """Separated samples at the mixture's own level."""
        restored: Samples = sources * np.float32(self.deviation) + np.float32(self.mean)
        return restored

    def _normalized(self, block: Samples) -> Samples:
        normalized: Samples = (block - np.float32(self.mean)) / np.float32(self.deviation)
        return normalized


class Pass:
    """One model's way through the mixture, in chunks from a shifted start."""

    def __init__(self, model: Any, scale: Any, start: int, frames: int, settings: Settings) -> None:
        self.model = model
        self.device = scale.device
        self._scale = scale
        self._frames = frames
        self._segment_given = settings.segment is not None
        self._segment = int(model.samplerate * (settings.segment or model.segment))
        self._stride = int((1 - settings.overlap) * self._segment)
        self._starts = range(start, frames, self._stride)
        first = next(n for n, at in enumerate(self._starts) if at + self._segment > 0)
        self._starts = self._starts[first:]  # the others lie wholly before the mixture
        self._taken = 0
        self.done = 0
        """How many chunks are added."""

    @property
    def chunks(self) -> int:
        """How many there are."""
        return len(self._starts)

    @property
    def position(self) -> int:
        """The frame before which this pass has nothing more to add."""
        return self._starts[self.done] if self.done < len(self._starts) else self._frames

    @property
    def ahead(self) -> int:
        """Where the next chunk to be taken starts; the end of the mixture if all are taken."""
        return self._starts[self._taken] if self._taken < len(self._starts) else self._frames

    def take(self, most: int) -> "Batch | None":
        """The next chunks, as many as are heard at one length; None if all are taken."""
        chunks = [self._chunk(start) for start in self._starts[self._taken : self._taken + most]]
        if not chunks:
            return None
        heard = self._heard(chunks[0])
        together = list(takewhile(lambda chunk: self._heard(chunk) == heard, chunks))
        self._taken += len(together)
        return Batch(self, together, heard)

    def rewind(self) -> None:
        """Take those again that are not done."""
        self._taken = self.done

    def share(self, chunk: Chunk) -> Any:
        """How much a chunk counts in the sum of all passes, ``[sources, 1, length]``.

        Chunks fade in and out as triangles; where they overlap, their shares add up to the model's scale.
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

    def _heard(self, chunk: Chunk) -> int:
        """How many frames the model is given for a chunk: what its layers can divide, or was trained on."""
        from demucs.htdemucs import HTDemucs

        if isinstance(self.model, HTDemucs) and self._segment_given:
            return self._segment
        if hasattr(self.model, "valid_length"):
            return int(self.model.valid_length(chunk.length))
        return chunk.length

    def _starts_near(self, chunk: Chunk) -> Sequence[int]:
        index = self._starts.index(chunk.start)
        reach = -(-self._segment // self._stride) - 1
        return self._starts[max(0, index - reach) : index + reach + 1]

    def _triangle(self) -> Any:
        import torch

        half = self._segment // 2
        rising = torch.arange(1, half + 1, device=self.device)
        falling = torch.arange(self._segment - half, 0, -1, device=self.device)
        triangle = torch.cat([rising, falling])
        return triangle / triangle.max()


class RollingSum:
    """A sum of overlapping blocks ``[sources, 2, frames]``, taken from the front as it becomes final."""

    def __init__(self, sources: int, device: Any) -> None:
        import torch

        self._begin = 0
        self._buffer = torch.zeros(sources, 2, 0, device=device)

    def reserve(self, end: int) -> None:
        """Make room for blocks that end before a frame."""
        import torch

        missing = end - self._begin - self._buffer.shape[-1]
        if missing > 0:
            self._buffer = torch.nn.functional.pad(self._buffer, (0, missing))

    def add(self, start: int, block: Any, weight: Any) -> None:
        """Add a block times its weight; what lies before the part that was taken is dropped."""
        skipped = max(0, self._begin - start)
        at = start + skipped - self._begin
        length = block.shape[-1] - skipped
        self._buffer[..., at : at + length].addcmul_(block[..., skipped:], weight[..., skipped:])

    def take(self, end: int) -> Any:
        """The sum up to a frame, to which nothing will be added any more."""
        length = max(0, end - self._begin)
        taken, rest = self._buffer[..., :length], self._buffer[..., length:]
        self._buffer = rest.clone()
        self._begin += length
        return taken


@dataclass(frozen=True, slots=True)
class Batch:
    """Chunks of one pass that its model hears together."""

    source: Pass
    chunks: Sequence[Chunk]
    heard: int
    """Frames that the model is given for each of them."""

    @property
    def end(self) -> int:
        """The frame before which it ends."""
        return self.chunks[-1].start + self.chunks[-1].length

    def read(self, mixture: NormalizedMixture) -> Any:
        """A tensor ``[chunks, 2, heard]`` on the device of the model: each chunk amid what surrounds it."""
        import torch

        spans = [mixture.read(c.start - (self.heard - c.length) // 2, self.heard) for c in self.chunks]
        return torch.from_numpy(np.stack(spans)).to(self.source.device)

    def add(self, separated: Any, total: RollingSum) -> None:
        """Add what the model made of it, ``[chunks, sources, 2, heard]``: all of it, or nothing.

        Raises:
            RuntimeError: out of memory, before anything is added.
        """
        from demucs.utils import center_trim

        shares = [self.source.share(chunk) for chunk in self.chunks]
        for chunk, sources, share in zip(self.chunks, separated, shares, strict=True):
            total.add(chunk.start, center_trim(sources, chunk.length), share)
        self.source.done += len(self.chunks)


def passes_of(
    bag: Any, frames: int, settings: Settings, wanted: Collection[int], shifter: random.Random
) -> list[Pass]:
    """Every model and shift that adds something to a wanted source."""
    import torch

    weights = torch.tensor(bag.weights, device=device_of(bag))
    scales = weights / weights.sum(dim=0) / max(1, settings.shifts)
    most = int(MAX_SHIFT_SECONDS * bag.samplerate)
    passes = []
    for model, model_weights, scale in zip(bag.models, bag.weights, scales, strict=True):
        starts = [shifter.randint(0, most) - most for _ in range(settings.shifts)] or [0]
        if any(model_weights[source] for source in wanted):
            passes += [Pass(model, scale[:, None, None], start, frames, settings) for start in starts]
    return passes


def _statistics(recording: Recording) -> tuple[float, float]:
    """Mean and standard deviation of the mono mix; the latter never 0."""
    count = recording.frames
    mean = sum(_mono(block).sum() for block in recording.blocks()) / count
    squares = sum(np.square(_mono(block) - mean).sum() for block in recording.blocks())
    return float(mean), float(np.sqrt(squares / max(1, count - 1))) + 1e-8


def _mono(block: Samples) -> NDArray[np.float64]:
    """The mean of the channels, as a product: NumPy's own mean is slow over an axis so short."""
    channels = block.shape[1]
    mono: NDArray[np.float64] = block.astype(np.float64) @ np.full(channels, 1 / channels)
    return mono


def device_of(bag: Any) -> Any:
    """Where a bag's models are."""
    return next(bag.parameters()).device

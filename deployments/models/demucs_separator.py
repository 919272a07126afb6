"""`demucs.apply.apply_model` in batches of chunks, for recordings that are longer than memory.

As there, each model of a bag hears the whole mixture in overlapping chunks, once for every random shift, and
weighted sums of all that are the sources. Here these passes advance side by side through time, so that of
the sums no more than a window is in memory, chunks of a pass that have one length share a batch, and what
adds nothing to the sources asked for is not computed.
"""

import logging
import random
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deployments.models.base import Samples
from deployments.models.memory import is_out_of_memory
from deployments.storage.recording import Recording

logger = logging.getLogger("audiograph.models")

MAX_SHIFT_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Settings:
    """How to separate; see `demucs.apply.apply_model`."""

    shifts: int = 1
    overlap: float = 0.25
    segment: float | None = None
    """Seconds; the model's own if None."""
    batch_size: int = 1
    """Chunks at a time; halved when memory runs out."""


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of separated sources."""

    sources: Samples
    """``[sources, frames, channels]``; those that were not asked for are zeros or incomplete."""
    progress: float
    """The fraction of all chunks that are done."""


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
        self._scale = scale
        self._frames = frames
        self._segment_given = settings.segment is not None
        self._segment = int(model.samplerate * (settings.segment or model.segment))
        self._stride = int((1 - settings.overlap) * self._segment)
        self._starts = range(start, frames, self._stride)
        self._next = next(n for n, at in enumerate(self._starts) if at + self._segment > 0)
        self.chunks = len(self._starts) - self._next
        """How many there are; those that lie wholly before the mixture are left out."""

    @property
    def position(self) -> int:
        """The frame before which this pass has nothing more to add."""
        return self._starts[self._next] if self._next < len(self._starts) else self._frames

    def ahead(self, most: int) -> list[Chunk]:
        """The next chunks, as many as may share a batch."""
        chunks = [self._chunk(start) for start in self._starts[self._next : self._next + most]]
        return [chunk for chunk in chunks if self._heard(chunk) == self._heard(chunks[0])]

    def listen(self, chunks: Sequence[Chunk], mixture: NormalizedMixture) -> list[Any]:
        """Separate chunks in one batch: a tensor ``[sources, 2, length]`` for each."""
        import torch
        from demucs.utils import center_trim

        heard = self._heard(chunks[0])
        spans = [mixture.read(c.start - (heard - c.length) // 2, heard) for c in chunks]
        batch = torch.from_numpy(np.stack(spans)).to(self._scale.device)
        return [
            center_trim(sources, chunk.length)
            for sources, chunk in zip(self.model(batch), chunks, strict=True)
        ]

    def share(self, chunk: Chunk) -> Any:
        """How much a chunk counts in the sum of all passes, ``[sources, 1, length]``.

        Chunks fade in and out as triangles; where they overlap, their shares add up to the model's scale.
        """
        import torch

        triangle = self._triangle()
        total = torch.zeros(chunk.length, device=triangle.device)
        for start in self._starts_near(chunk):
            first, last = max(start, chunk.start), min(start + self._segment, chunk.start + chunk.length)
            total[first - chunk.start : last - chunk.start] += triangle[first - start : last - start]
        return self._scale * (triangle[: chunk.length] / total)

    def advance(self, chunks: Sequence[Chunk]) -> None:
        """These are done."""
        self._next += len(chunks)

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
        rising = torch.arange(1, half + 1, device=self._scale.device)
        falling = torch.arange(self._segment - half, 0, -1, device=self._scale.device)
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


def separate(
    bag: Any, recording: Recording, settings: Settings, wanted: Collection[int], shifter: random.Random
) -> Iterator[Part]:
    """Separate a recording at the bag's sample rate into the bag's sources, from its beginning to its end.

    Args:
        bag: a `demucs.apply.BagOfModels`, on the device where it runs.
        recording: one or two channels.
        settings: how.
        wanted: indices of the sources that matter.
        shifter: draws the shifts, in the order of `apply_model`.

    Raises:
        RuntimeError: out of memory with a single chunk at a time.
    """
    import torch

    mixture = NormalizedMixture(recording)
    passes = _passes(bag, mixture.frames, settings, wanted, shifter)
    chunks, done = sum(one.chunks for one in passes), 0
    total = RollingSum(len(bag.sources), _device(bag))
    most = settings.batch_size
    with torch.inference_mode():
        while passes:
            current = min(passes, key=lambda one: one.position)
            count, most = _step(current, mixture, total, most)
            done += count
            passes = [one for one in passes if one.position < mixture.frames]
            end = min((one.position for one in passes), default=mixture.frames)
            sources = total.take(end).permute(0, 2, 1).cpu().numpy()
            yield Part(mixture.restore(sources), done / chunks)


def _step(current: Pass, mixture: NormalizedMixture, total: RollingSum, most: int) -> tuple[int, int]:
    """Take a pass one batch further, of fewer chunks if memory runs out.

    Returns how many chunks are done, and how many to try the next time.
    """
    chunks = current.ahead(most)
    try:
        total.reserve(chunks[-1].start + chunks[-1].length)
        separated = current.listen(chunks, mixture)
    except Exception as error:
        if len(chunks) == 1 or not is_out_of_memory(error):
            raise
        logger.warning("out of memory with %d chunks at a time; going on with half as many", len(chunks))
    else:
        for chunk, sources in zip(chunks, separated, strict=True):
            total.add(chunk.start, sources, current.share(chunk))
        current.advance(chunks)
        return len(chunks), most
    _empty_cache()  # here the exception is gone, and with it what its frames held
    return _step(current, mixture, total, len(chunks) // 2)


def _passes(
    bag: Any, frames: int, settings: Settings, wanted: Collection[int], shifter: random.Random
) -> list[Pass]:
    """Every model and shift that adds something to a wanted source."""
    import torch

    weights = torch.tensor(bag.weights, device=_device(bag))
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


def _device(bag: Any) -> Any:
    return next(bag.parameters()).device


def _empty_cache() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()

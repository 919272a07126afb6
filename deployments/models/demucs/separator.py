"""Demucs separation in batches of chunks, for recordings that are longer than memory.

The result is that of `demucs.apply.apply_model`: each model of a bag separates the whole mixture in
overlapping chunks, once per random shift, and the sources are the weighted sum of all these passes. Here the
passes advance side by side, so that memory holds only a window of the sum. Chunks of equal length share a
batch, several batches run at the same time, and models that contribute nothing to the needed sources are
skipped.
"""

import logging
import random
from collections import deque
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from deployments.audio.recording import Recording
from deployments.models.base import Samples
from deployments.models.demucs.passes import (
    Batch,
    NormalizedMixture,
    RollingSum,
    Settings,
    ShiftedPass,
    device_of,
    shifted_passes,
)
from deployments.models.kit.resources import is_out_of_memory, limit_thread

if TYPE_CHECKING:
    from torch import Tensor

    from demucs.apply import BagOfModels
    from demucs.apply import Model as DemucsModel

logger = logging.getLogger("audiograph.models")


@dataclass(frozen=True, slots=True)
class SeparatedBlock:
    """Consecutive frames of all sources."""

    sources: Samples
    """``[sources, frames, channels]``; sources that were not requested are zeros or incomplete."""
    progress: float
    """Fraction of all chunks that are done."""


class BatchRunner:
    """Runs batches in threads that share the processors evenly; a single one in the caller's thread.

    A network's many operations are each too small to keep several processors busy: two batches at the same
    time, one per processor, take 0.7 to 0.9 of the time that both take in turn on both processors.
    """

    def __init__(self, settings: Settings, mixture: NormalizedMixture) -> None:
        import torch

        self._settings = settings
        self._mixture = mixture
        self._processors = max(1, torch.get_num_threads() // settings.batches)
        self._threads = ThreadPoolExecutor(
            settings.batches, "demucs", initializer=limit_thread, initargs=(self._processors,)
        )

    def __enter__(self) -> "BatchRunner":
        self._limit = limit_thread(self._processors)  # the caller's thread, which sums up meanwhile
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown(cancel_futures=True)
        self._limit.restore_original_limits()

    def run(self, passes: Sequence[ShiftedPass]) -> Iterator[tuple[Batch, "Callable[[], Tensor]"]]:
        """Run all batches, always taking the next one from the pass that is furthest behind.

        Yields each batch with a function that waits for the model's output ``[chunks, sources, 2, frames]``.
        They come in the order in which they were taken, so that sums do not depend on which ends first.
        """
        running: deque[tuple[Batch, Callable[[], Tensor]]] = deque()
        limit = self._settings.batches + 1  # one in reserve, so that no thread idles while a batch is added
        while True:
            while len(running) < limit and (
                batch := _furthest_behind(passes).take(self._settings.batch_size)
            ):
                running.append((batch, self._start(batch)))
            if not running:
                return
            yield running.popleft()  # kept nowhere else: its output would stay in memory

    def _start(self, batch: Batch) -> "Callable[[], Tensor]":
        model = batch.shifted_pass.model
        if self._settings.batches == 1:
            return lambda: _infer(model, batch.read(self._mixture))
        return self._threads.submit(_infer, model, batch.read(self._mixture)).result


def separate(
    bag: "BagOfModels",
    recording: Recording,
    settings: Settings,
    sources: Collection[int],
    rng: random.Random,
) -> Generator[SeparatedBlock]:
    """Separate a recording into the bag's sources, block by block from its beginning to its end.

    Args:
        bag: the models, on the device where they run.
        recording: one or two channels, at the bag's sample rate.
        settings: of the separation.
        sources: indices of the sources that are needed; the others may be incomplete.
        rng: draws the shifts, in the order of `demucs.apply.apply_model`.

    Raises:
        RuntimeError: out of memory, even with a single chunk at a time.
    """
    import torch

    mixture = NormalizedMixture(recording)
    passes = shifted_passes(bag, mixture.frames, settings, sources, rng)
    settings = replace(settings, batches=min(settings.batches, _chunks(passes)))
    total = RollingSum(len(bag.sources), device_of(bag))
    with torch.inference_mode():
        while True:
            try:
                yield from _separate_remaining(passes, mixture, total, settings)
            except Exception as error:
                if _is_smallest(settings) or not is_out_of_memory(error):
                    raise
                logger.warning("out of memory with %s; continuing with less at a time", settings)
            else:
                return
            _empty_cache()  # only now: the exception's frames held tensors
            settings = _smaller(settings)


def _separate_remaining(
    passes: Sequence[ShiftedPass], mixture: NormalizedMixture, total: RollingSum, settings: Settings
) -> Generator[SeparatedBlock]:
    """Separate all chunks that are not done yet."""
    chunks = _chunks(passes)
    for shifted_pass in passes:
        shifted_pass.rewind()
    with BatchRunner(settings, mixture) as runner:
        for batch, output in runner.run(passes):
            total.reserve(batch.end)
            batch.add(output(), total)
            end = min(shifted_pass.position for shifted_pass in passes)
            sources = total.take(end).permute(0, 2, 1).cpu().numpy()
            done = sum(shifted_pass.done for shifted_pass in passes)
            yield SeparatedBlock(mixture.restore(sources), done / chunks)


def _chunks(passes: Sequence[ShiftedPass]) -> int:
    return sum(shifted_pass.chunks for shifted_pass in passes)


def _furthest_behind(passes: Sequence[ShiftedPass]) -> ShiftedPass:
    return min(passes, key=lambda shifted_pass: shifted_pass.next_start)


def _is_smallest(settings: Settings) -> bool:
    return settings.batches == 1 and settings.batch_size == 1


def _smaller(settings: Settings) -> Settings:
    """Reduce to one batch at a time, or halve the batch if there was only one."""
    if settings.batches > 1:
        return replace(settings, batches=1)
    return replace(settings, batch_size=settings.batch_size // 2)


def _infer(model: "DemucsModel", inputs: "Tensor") -> "Tensor":
    import torch

    with torch.inference_mode():  # the mode is thread-local
        output: Tensor = model(inputs)
        return output


def _empty_cache() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()

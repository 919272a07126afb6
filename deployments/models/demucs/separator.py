"""`demucs.apply.apply_model` in batches of chunks, for recordings that are longer than memory.

As there, each model of a bag hears the whole mixture in overlapping chunks, once for every random shift, and
weighted sums of all that are the sources. Here these passes advance side by side through time, so that of
the sums no more than a window is in memory, chunks of a pass that have one length share a batch, some batches
run at a time, and what adds nothing to the sources asked for is not computed.
"""

import logging
import random
from collections import deque
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from deployments.audio.recording import Recording
from deployments.models.base import Samples
from deployments.models.demucs.passes import (
    Batch,
    NormalizedMixture,
    Pass,
    RollingSum,
    Settings,
    device_of,
    passes_of,
)
from deployments.replica.memory import is_out_of_memory
from deployments.replica.processors import limit_thread

logger = logging.getLogger("audiograph.models")


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of separated sources."""

    sources: Samples
    """``[sources, frames, channels]``; those that were not asked for are zeros or incomplete."""
    progress: float
    """The fraction of all chunks that are done."""


class Ensemble:
    """Runs batches at a time, each in a thread with its share of the processors; a lone one in the caller's.

    A network's many operations are too small to keep several processors busy, each one on its own: two
    batches on two processors, one on each, take 0.7 to 0.9 of the time that both take in turn.
    """

    def __init__(self, settings: Settings, mixture: NormalizedMixture) -> None:
        import torch

        self._settings = settings
        self._mixture = mixture
        self._share = max(1, torch.get_num_threads() // settings.batches)
        self._threads = ThreadPoolExecutor(
            settings.batches, "demucs", initializer=limit_thread, initargs=(self._share,)
        )

    def __enter__(self) -> "Ensemble":
        self._limit = limit_thread(self._share)  # the caller's, who adds up meanwhile
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown(cancel_futures=True)
        self._limit.restore_original_limits()

    def play(self, passes: Sequence[Pass]) -> Iterator[tuple[Batch, Callable[[], Any]]]:
        """Batches, from the pass that is furthest behind, and what waits for ``[chunks, sources, 2, heard]``.

        They come in the order in which they were taken: sums are then the same whichever ends first.
        """
        running: deque[tuple[Batch, Callable[[], Any]]] = deque()
        most = self._settings.batches + 1  # one waits, so that no thread does while a batch is added
        while True:
            while len(running) < most and (batch := _furthest_behind(passes).take(self._settings.batch_size)):
                running.append((batch, self._start(batch)))
            if not running:
                return
            yield running.popleft()  # kept nowhere else: what came of it would stay in memory

    def _start(self, batch: Batch) -> Callable[[], Any]:
        if self._settings.batches == 1:
            return lambda: _infer(batch.source.model, batch.read(self._mixture))
        return self._threads.submit(_infer, batch.source.model, batch.read(self._mixture)).result


def separate(
    bag: Any, recording: Recording, settings: Settings, wanted: Collection[int], shifter: random.Random
) -> Generator[Part]:
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
    passes = passes_of(bag, mixture.frames, settings, wanted, shifter)
    settings = replace(settings, batches=min(settings.batches, sum(one.chunks for one in passes)))
    total = RollingSum(len(bag.sources), device_of(bag))
    with torch.inference_mode():
        while True:
            try:
                yield from _parts(passes, mixture, total, settings)
            except Exception as error:
                if _least(settings) or not is_out_of_memory(error):
                    raise
                logger.warning("out of memory with %s; going on with less", settings)
            else:
                return
            _empty_cache()  # here the exception is gone, and with it what its frames held
            settings = _smaller(settings)


def _parts(
    passes: Sequence[Pass], mixture: NormalizedMixture, total: RollingSum, settings: Settings
) -> Generator[Part]:
    """What is not done yet, part by part."""
    chunks = sum(one.chunks for one in passes)
    for one in passes:
        one.rewind()
    with Ensemble(settings, mixture) as ensemble:
        for batch, separated in ensemble.play(passes):
            total.reserve(batch.end)
            batch.add(separated(), total)
            end = min(one.position for one in passes)
            sources = total.take(end).permute(0, 2, 1).cpu().numpy()
            yield Part(mixture.restore(sources), sum(one.done for one in passes) / chunks)


def _furthest_behind(passes: Sequence[Pass]) -> Pass:
    return min(passes, key=lambda one: one.ahead)


def _least(settings: Settings) -> bool:
    return settings.batches == 1 and settings.batch_size == 1


def _smaller(settings: Settings) -> Settings:
    """One batch at a time, or half of it if it was alone."""
    if settings.batches > 1:
        return replace(settings, batches=1)
    return replace(settings, batch_size=settings.batch_size // 2)


def _infer(model: Any, heard: Any) -> Any:
    import torch

    with torch.inference_mode():  # which is a thread's own
        return model(heard)


def _empty_cache() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()

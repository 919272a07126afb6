"""Loads and unloads a variant's engine, and measures the memory that it takes and frees."""

import asyncio
import gc
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic

from audiograph.errors import AudiographError, ModelUnavailable
from audiograph.schemas import LoadedVariant
from deployments.config import WeightsPolicy
from deployments.models.base import Engine, Family
from deployments.models.kit.resources import is_out_of_memory
from deployments.models.loading import Loaded, load_supplied
from deployments.models.weights.supply import Supply, supply
from deployments.replica.memory import Memory, requested_bytes

logger = logging.getLogger("audiograph.models")

LOG_SECONDS = 10.0
"""Time between two lines of the log about a download."""


@dataclass(eq=False, slots=True)
class Variant(Generic[Engine]):
    """One variant in the cache. Its engine stays loaded while it has holders."""

    name: str
    slots: asyncio.Semaphore
    """Free runs of the engine."""
    loading: "asyncio.Task[None] | None" = None
    supply: Supply | None = None
    """Its weights, once they are on this machine."""
    listeners: list[Callable[[str], None]] = field(default_factory=list)
    """Called with the stage of the load, for those that wait for it."""
    loaded: Loaded[Engine] | None = None
    bytes: int = 0
    """Memory that loading took, measured; while it does not fit, the memory that it was found to need."""
    holders: int = 0
    running: int = 0
    """Number of running requests, of which a batch has several; for display only."""
    leaving: bool = False
    """Set while it is unloaded, or waits for its holders: new holders wait for the next load."""
    used_at: float = field(default_factory=time.monotonic)
    timer: asyncio.TimerHandle | None = None

    @property
    def ready(self) -> bool:
        """Whether it is loaded, and fits into the budget."""
        return self.loaded is not None and self.loading is not None and self.loading.done()

    @property
    def idle(self) -> bool:
        """Whether it may be unloaded now."""
        return self.ready and not self.holders and not self.leaving

    def record(self) -> LoadedVariant:
        """Describe the variant for the API."""
        assert self.loaded is not None
        seconds = 0.0 if self.running else time.monotonic() - self.used_at
        return LoadedVariant(
            variant=self.name,
            weights=self.loaded.weights,
            origins=list(self.loaded.supply.origins),
            bytes=self.bytes,
            users=self.running,
            idle_seconds=round(seconds, 3),
        )


class Loader(Generic[Engine]):
    """Loads and unloads the variants of one model. Blocking: use it in threads, one call at a time.

    On a CPU it measures the resident memory of the process. So a first load also counts the libraries that it
    imports, which no unload frees.
    """

    def __init__(
        self,
        model: Family[Engine, Any],
        name: str,
        memory: Memory,
        policy: WeightsPolicy,
        work_dir: Path,
    ) -> None:
        self._model = model
        self._name = name
        self._memory = memory
        self._policy = policy
        self._work_dir = work_dir

    def fetch(self, variant: Variant[Engine], stage: Callable[[str], None]) -> None:
        """Bring a variant's weights to this machine, as the policy says; tell the stage meanwhile.

        Raises:
            AudiographError: the weights are missing, or ModelUnavailable for any unexpected error.
        """
        logged_at = time.monotonic()

        def report(done: int, total: int | None) -> None:
            nonlocal logged_at
            stage(fetching_stage(done, total))
            if time.monotonic() - logged_at > LOG_SECONDS:
                logged_at = time.monotonic()
                logger.info("%s %s: %s", self._name, variant.name, fetching_stage(done, total))

        with self._as_unavailable(variant.name):
            published = self._model.published(variant.name)
            variant.supply = supply(published, self._policy, self._work_dir, report)

    def load(self, variant: Variant[Engine]) -> bool:
        """Load a variant and measure its bytes; return False, with an estimate, if the device is full.

        Raises:
            AudiographError: the model's own error, or ModelUnavailable for any unexpected one.
        """
        before = self._memory.settle()
        try:
            variant.loaded = self._load_engine(variant)
        except (Exception, SystemExit) as error:
            if not is_out_of_memory(error):
                raise
            variant.bytes = max(0, self._memory.used() - before) + (requested_bytes(error) or 0)
            return False
        variant.bytes = max(0, self._memory.settle() - before)
        gc.freeze()  # it is long-lived: collections, which stop every thread, need not visit it again
        return True

    def unload(self, variant: Variant[Engine]) -> int:
        """Unload a variant, drop the last reference to its engine, and return the freed bytes, measured."""
        assert variant.loaded is not None
        before = self._memory.settle()
        try:
            self._model.unload(variant.loaded.engine)
        except Exception:
            logger.exception("unloading %s %s failed; its engine is dropped", self._name, variant.name)
        variant.loaded = None
        gc.unfreeze()
        after = self._memory.settle()
        gc.freeze()
        return max(0, before - after)

    def check(self, variant: Variant[Engine]) -> None:
        """Run the model's health test on a loaded variant."""
        assert variant.loaded is not None
        self._model.check_engine(variant.loaded.engine)

    def _load_engine(self, variant: Variant[Engine]) -> Loaded[Engine]:
        assert variant.supply is not None
        with self._as_unavailable(variant.name):
            return load_supplied(
                self._model, variant.name, self._memory.device, variant.supply, self._work_dir
            )

    @contextmanager
    def _as_unavailable(self, name: str) -> Iterator[None]:
        """Turn an unexpected error into ModelUnavailable, and log it."""
        if missing := self._model.missing():
            raise ModelUnavailable(f"model {self._name!r} cannot run here: {missing}")
        try:
            yield
        except AudiographError:
            raise
        except (Exception, SystemExit) as error:
            if is_out_of_memory(error):
                raise
            logger.exception("loading %s %s failed", self._name, name)
            raise ModelUnavailable(
                f"{self._name} {name} could not be loaded: {type(error).__name__}: {error}"
            ) from error


def fetching_stage(done: int, total: int | None) -> str:
    """Return the stage of a job that waits for weights: the bytes that were fetched, of all."""
    of_all = f" of {total / 1e6:.0f}" if total else ""
    return f"fetching weights: {done / 1e6:.0f}{of_all} MB"

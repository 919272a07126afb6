"""Loading and unloading one variant's engine, with the memory that it takes and gives back measured."""

import asyncio
import gc
import logging
import time
from dataclasses import dataclass, field
from typing import Generic

from audiograph.errors import AudiographError, ModelUnavailable
from audiograph.schemas import LoadedVariant
from deployments.models.base import Engine, LoadContext, Loaded, Model
from deployments.replica.memory import Memory, asked_bytes, is_out_of_memory

logger = logging.getLogger("audiograph.models")


@dataclass(eq=False, slots=True)
class Variant(Generic[Engine]):
    """One variant in the cache. Its holders have counted themselves in and may use the engine."""

    name: str
    slots: asyncio.Semaphore
    """How many runs the engine can still take."""
    loading: "asyncio.Task[None] | None" = None
    loaded: Loaded[Engine] | None = None
    bytes: int = 0
    """What loading took, measured; while it does not fit, what it was found to need."""
    holders: int = 0
    running: int = 0
    """Requests, of which a batch has several; for the eye only."""
    leaving: bool = False
    """It is being unloaded, or will be when its holders are done: new ones wait for the next load."""
    used_at: float = field(default_factory=time.monotonic)
    timer: asyncio.TimerHandle | None = None

    @property
    def ready(self) -> bool:
        """Whether it is loaded, and the load has been found to fit."""
        return self.loaded is not None and self.loading is not None and self.loading.done()

    @property
    def idle(self) -> bool:
        """Whether it may be unloaded now."""
        return self.ready and not self.holders and not self.leaving

    def record(self) -> LoadedVariant:
        """The variant as the API shows it."""
        assert self.loaded is not None
        seconds = 0.0 if self.running else time.monotonic() - self.used_at
        return LoadedVariant(
            variant=self.name,
            weights=self.loaded.weights,
            bytes=self.bytes,
            users=self.running,
            idle_seconds=round(seconds, 3),
        )


class Loader(Generic[Engine]):
    """Loads and unloads the variants of one model. Blocking: for threads, and one call at a time.

    On a CPU the measure is the resident memory of the process, so a first load also counts the libraries
    that it imports, which no unloading gives back.
    """

    def __init__(self, model: Model[Engine], name: str, context: LoadContext, memory: Memory) -> None:
        self._model = model
        self._name = name
        self._context = context
        self._memory = memory

    def load(self, variant: Variant[Engine]) -> bool:
        """Load a variant and measure its bytes; False, with a guess at them, if the device is full.

        Raises:
            AudiographError: what the model raised, or ModelUnavailable for anything unexpected.
        """
        before = self._memory.settle()
        try:
            variant.loaded = self._load_engine(variant.name)
        except (Exception, SystemExit) as error:
            if not is_out_of_memory(error):
                raise
            variant.bytes = max(0, self._memory.used() - before) + (asked_bytes(error) or 0)
            return False
        variant.bytes = max(0, self._memory.settle() - before)
        gc.freeze()  # it lives long: no collection, which stops every thread, need look at it again
        return True

    def unload(self, variant: Variant[Engine]) -> int:
        """Unload a variant, drop the last reference to its engine, and measure the bytes that came back."""
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

    def _load_engine(self, name: str) -> Loaded[Engine]:
        if missing := self._model.missing():
            raise ModelUnavailable(f"model {self._name!r} cannot run here: {missing}")
        try:
            return self._model.load(name, self._context)
        except AudiographError:
            raise
        except (Exception, SystemExit) as error:
            if is_out_of_memory(error):
                raise
            logger.exception("loading %s %s failed", self._name, name)
            raise ModelUnavailable(
                f"{self._name} {name} could not be loaded: {type(error).__name__}: {error}"
            ) from error

"""One replica of one model: runs requests as a stream of events, and obeys load, unload and status.

A plain class; `graphs.app` makes a Ray Serve deployment of it. Every method that Serve calls is async: the
synchronous ones would wait behind long requests, and a health check that waits gets the replica killed.
"""

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from dataclasses import asdict, replace
from typing import Any

from pydantic import ValidationError

from audiograph.errors import AudiographError, InternalError, InvalidRequest, ModelUnavailable, NotServed
from audiograph.schemas import ANY_REQUEST, Replica, ReplicaChange, Request
from deployments.config import AppConfig
from deployments.logs import configure_logging
from deployments.models.base import LoadContext
from deployments.models.registry import configured_model
from deployments.replica.batching import Batcher
from deployments.replica.context import Event, ReplicaContext
from deployments.replica.lanes import Ran
from deployments.replica.memory import device_memory, is_out_of_memory, request_too_big
from deployments.replica.metrics import ModelMetrics
from deployments.replica.outputs import carried, discard, provenance, store_outputs
from deployments.replica.processors import use_processors
from deployments.replica.speed import at_speed, missing_speed
from deployments.replica.variants import Variants
from deployments.storage.artifacts import ArtifactStore
from deployments.storage.wanted import WantedVariants
from deployments.threads import Threads, ended

logger = logging.getLogger("audiograph.models")

HEALTH_SECONDS = 10.0
"""How long the test of the idle engines may take before the replica counts as broken."""
STORE_THREADS = 4
SPARE_THREADS = 2
"""For a load or unload, and for a health test, while every engine is busy."""


class ModelReplica:
    """Serves one configured model. One event loop; models, files and storage are touched in threads.

    Args:
        name: of the model, as configured.
        config: of the application.

    Raises:
        ValueError: the model's class or options are wrong.
        RuntimeError: it was given a GPU that PyTorch does not see.
    """

    def __init__(self, name: str, config: AppConfig) -> None:
        configure_logging()
        entry = config.models[name]
        use_processors(entry)
        self._name = name
        self._entry = entry
        self._limits = config.limits
        self._scratch = config.work_dir / "scratch"
        self._model = configured_model(name, entry)
        self._memory = device_memory(entry)
        self._store = ArtifactStore.open(config.storage)
        self._metrics = ModelMetrics(name)
        self._budget = entry.memory_bytes or self._memory.limit
        threads = Threads(
            f"{name}-engine", len(self._model.variants) * self._model.concurrency + SPARE_THREADS
        )
        self._storing = Threads(f"{name}-store", STORE_THREADS)
        self._variants = Variants(
            self._model,
            name=name,
            context=LoadContext(self._memory.device, entry.weights or config.weights, config.work_dir),
            threads=threads,
            memory=self._memory,
            budget=self._budget,
            idle_seconds=entry.idle_seconds,
            changed=self._metrics.loaded,
        )
        self._batcher = Batcher(
            self._model,
            name=name,
            variants=self._variants,
            threads=threads,
            memory=self._memory,
            max_batch_size=entry.max_batch_size,
            batch_wait_seconds=entry.batch_wait_seconds,
        )
        self._ongoing = 0
        self._preload: asyncio.Task[None] | None = None
        self._check: asyncio.Task[None] | None = None

    async def run(self, call: dict[str, Any]) -> AsyncIterator[Event]:
        """Serve one request.

        Args:
            call: ``task``, ``request`` (with model and variant filled in), ``job_id``, ``attempt``; with
                ``return_audio`` nothing is stored, and the result has ``audio`` in place of ``artifacts``,
                as `deployments.replica.outputs.carried` tells.

        Yields:
            ``{"type": "progress", "progress", "stage", "eta_seconds"}``, at most four a second;
            ``{"type": "partial", "data"}``; and last either ``{"type": "result", "result", "artifacts",
            "weights", "timings": {"queue", "load", "run", "audio_seconds"}}`` or
            ``{"type": "error", "error"}``, for every failure.

        Closing the generator cancels the run. It then ends when the model's thread has.
        """
        events: asyncio.Queue[Event | None] = asyncio.Queue()  # None is the end
        context = ReplicaContext(
            device=self._memory.device,
            job_id=call["job_id"],
            store=self._store,
            limits=self._limits,
            scratch=self._scratch,
            send=events.put_nowait,
        )
        self._ongoing += 1
        serving = asyncio.get_running_loop().create_task(self._serve(call, context, events))
        serving.add_done_callback(lambda _: events.put_nowait(None))
        try:
            while event := await events.get():
                yield event
            await serving  # raises what it could not tell as an event
        finally:
            context.cancel()
            serving.cancel()
            try:
                await ended(serving)
            finally:
                context.close()
                self._ongoing -= 1
                await self._forget(events)

    async def load(self, variant: str) -> dict[str, Any]:
        """Load a variant, and tell the device memory that it took: a `ReplicaChange` as a dict.

        Raises:
            AudiographError: there is no such variant, or it cannot be loaded.
        """
        self._check_variant(variant)
        taken = await self._variants.load(variant)
        if taken is None:
            return self._change([], 0, f"{variant} was loaded already")
        return self._change([variant], taken, None)

    async def unload(self, variant: str | None = None) -> dict[str, Any]:
        """Unload a variant, or all, when the work on it has ended: a `ReplicaChange` as a dict.

        Raises:
            NotServed: there is no such variant.
        """
        if variant is not None:
            self._check_variant(variant)
        freed = await self._variants.unload(variant)
        message = None if freed else f"{variant or 'no variant'} was {'not ' if variant else ''}loaded"
        return self._change(list(freed), sum(freed.values()), message)

    async def status(self) -> dict[str, Any]:
        """What is loaded and running: a `Replica` as a dict."""
        return Replica(
            id=_replica_id(self._name),
            device=self._memory.device,
            memory_bytes=self._memory.used(),
            memory_limit_bytes=self._budget,
            ongoing=self._ongoing,
            loaded=self._variants.loaded(),
        ).model_dump(mode="json")

    async def check_health(self) -> None:
        """Test the engines that are idle; one that works for long is not a fault.

        The first call also starts loading what shall be loaded from the start. Serve makes it before it
        sends requests, but after it has frozen the garbage collector's view of what there is: an engine
        loaded in the constructor could never be freed.

        Raises:
            ModelUnavailable: the test does not end.
            Exception: what the model's test raised.
        """
        loop = asyncio.get_running_loop()
        self._preload = self._preload or loop.create_task(self._load_wanted())
        if self._check is None or self._check.done():
            self._check = loop.create_task(self._variants.check_idle())
        await asyncio.wait({self._check}, timeout=HEALTH_SECONDS)
        if not self._check.done():
            raise ModelUnavailable(f"an engine of {self._name} gave no sign of life in {HEALTH_SECONDS:g} s")
        self._check.result()

    async def _serve(
        self, call: dict[str, Any], context: ReplicaContext, events: "asyncio.Queue[Event | None]"
    ) -> None:
        outcome = "canceled"
        try:
            final = await self._answer(call, context)
            outcome = "succeeded"
        except Exception as error:
            told = self._told(error, context.job_id)
            outcome = told.code
            final = {"type": "error", "error": told.to_wire()}
        finally:
            self._metrics.ended(call["request"].get("variant") or "", call["task"], outcome)
        context.flush()
        events.put_nowait(final)

    async def _answer(self, call: dict[str, Any], context: ReplicaContext) -> Event:
        request, variant, task = self._checked(call)
        if not self._variants.has(variant):
            context.progress(0.0, "loading")
        ran = await self._batcher.submit(variant, task, request, context)
        if (speed := missing_speed(self._model, request)) != 1:
            ran = replace(ran, output=await self._storing.run(at_speed, ran.output, speed))
        if call.get("return_audio"):
            made: Event = {"audio": await self._storing.run(carried, ran.output)}
        else:
            made = {"artifacts": await self._store_files(request, task, ran, context)}
        audio_seconds = ran.output.audio_seconds
        self._metrics.ran(variant, task, ran.timings, audio_seconds)
        return {
            "type": "result",
            "result": ran.output.result.model_dump(mode="json"),
            **made,
            "weights": ran.weights,
            "timings": {**asdict(ran.timings), "audio_seconds": audio_seconds},
        }

    async def _store_files(self, request: Request, task: str, ran: Ran, context: ReplicaContext) -> list[str]:
        """Store the run's files; none is left of a canceled run, whenever that happens."""
        origin = provenance(request, task, context.job_id, ran.weights)
        stored: list[str] = []
        try:
            await self._storing.run(store_outputs, self._store, ran.output, origin, context, stored)
        except asyncio.CancelledError:
            await self._discard(stored)
            raise
        return stored

    async def _forget(self, events: "asyncio.Queue[Event | None]") -> None:
        """Delete the artifacts of a result that the caller did not wait for."""
        while not events.empty():
            event = events.get_nowait()
            if event and event["type"] == "result":
                await self._discard(event.get("artifacts", []))

    async def _discard(self, artifacts: list[str]) -> None:
        try:
            await self._storing.run(discard, self._store, artifacts)
        except Exception:
            logger.exception("artifacts of a canceled run stay until retention takes them: %s", artifacts)

    def _checked(self, call: dict[str, Any]) -> tuple[Request, str, str]:
        try:
            request = ANY_REQUEST.validate_python({**call["request"], "task": call["task"]})
        except ValidationError as error:
            fault = error.errors()[0]
            place = ".".join(map(str, fault["loc"][1:]))  # the first part is the task
            raise InvalidRequest(f"{place}: {fault['msg']}", field=place) from error
        variant = request.variant or self._entry.default_variant or self._model.default_variant
        self._check_variant(variant)
        if request.task not in self._model.tasks:
            raise NotServed(f"model {self._name!r} does not serve {request.task!r}", field="task")
        return request, variant, request.task

    def _check_variant(self, variant: str) -> None:
        if variant not in self._model.variants:
            known = ", ".join(self._model.variants)
            raise NotServed(
                f"model {self._name!r} has no variant {variant!r}; variants: {known}", field="variant"
            )

    def _told(self, error: Exception, job_id: str) -> AudiographError:
        """The error as the caller sees it; what nobody foresaw is in the log alone."""
        if isinstance(error, AudiographError):
            return error
        if is_out_of_memory(error):
            return request_too_big(error, self._name, self._memory)
        logger.error("a run of %s failed", self._name, exc_info=error, extra={"audio_job_id": job_id})
        return InternalError(
            f"model {self._name!r} failed with {type(error).__name__}; the server's log has the rest, "
            f"under job {job_id}"
        )

    def _change(self, variants: list[str], size: int, message: str | None) -> dict[str, Any]:
        change = ReplicaChange(
            replica=_replica_id(self._name),
            changed=bool(variants),
            variants=variants,
            bytes=size,
            message=message,
        )
        return change.model_dump(mode="json")

    async def _load_wanted(self) -> None:
        """Load what the configuration and the operators want loaded; requests do not wait for all of it."""
        try:
            wanted = await self._storing.run(self._wanted)
        except Exception:
            logger.exception("what %s shall load at start is not known; it loads as asked", self._name)
            return
        for variant in wanted:
            try:
                await self._variants.load(variant)
            except Exception:
                logger.exception("%s %s is wanted, but could not be loaded", self._name, variant)

    def _wanted(self) -> list[str]:
        self._store.database.migrate()  # this may be the first process of a new installation
        wishes = WantedVariants(self._store.database).wanted(self._name)
        wishes = dict.fromkeys(self._entry.preload, True) | wishes
        return [variant for variant, wanted in wishes.items() if wanted and variant in self._model.variants]


def _replica_id(name: str) -> str:
    from ray import serve
    from ray.serve.exceptions import RayServeException

    try:
        return str(serve.get_replica_context().replica_id.unique_id)
    except RayServeException:  # not within Serve
        return f"{name}-{os.getpid()}"

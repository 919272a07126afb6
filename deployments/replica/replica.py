"""One replica of one model: runs requests as streams of messages, and obeys load, unload and status.

A plain class; `graphs.app` makes a Ray Serve deployment of it. Every method that Serve calls is async:
synchronous ones would wait behind long requests, and Serve kills a replica whose health check waits.
"""

import asyncio
import logging
import os
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from audiograph._patterns import reason
from audiograph._wording import shown
from audiograph.errors import AudiographError, InternalError, InvalidRequest, ModelUnavailable, NotServed
from audiograph.schemas import Replica, ReplicaChange, Request, file_references
from audiograph.schemas import Result as ModelResult
from deployments.config import AppConfig
from deployments.logs import configure_logging
from deployments.models.kit.resources import is_out_of_memory
from deployments.models.registry import configured_model
from deployments.replica.batching import Batcher
from deployments.replica.context import ReplicaContext
from deployments.replica.lanes import Completed
from deployments.replica.memory import Memory, device_memory, request_too_big
from deployments.replica.metrics import ModelMetrics
from deployments.replica.outputs import discard, provenance, store_outputs, to_plain_audio
from deployments.replica.processors import use_processors
from deployments.replica.protocol import Call, Failure, Message, Result, request_of, task_of
from deployments.replica.variants import Variants
from deployments.storage.artifacts import ArtifactStore
from deployments.storage.desired import DesiredVariants
from deployments.threads import Threads, wait_finished

logger = logging.getLogger("audiograph.models")

HEALTH_SECONDS = 10.0
"""Time limit of the idle engines' health test; beyond it the replica counts as broken."""
STORE_THREADS = 4
SPARE_THREADS = 2
"""Threads for a load or unload, and for a health test, while every engine is busy."""


class ModelReplica:
    """Serves one configured model. One event loop; models, files and storage are used in threads.

    Args:
        name: the model's name in the configuration.
        config: the application's configuration.
        memory: the device's memory; that of the device in the model's entry if None.
        store: the artifact store; the configured one if None.

    Raises:
        ValueError: the model's class or options are wrong.
        RuntimeError: the entry asks for a GPU that PyTorch does not see.
    """

    def __init__(
        self,
        name: str,
        config: AppConfig,
        *,
        memory: Memory | None = None,
        store: ArtifactStore | None = None,
    ) -> None:
        configure_logging()
        entry = config.models[name]
        use_processors(entry)
        self._name = name
        self._entry = entry
        self._limits = config.limits
        self._scratch = config.work_dir / "scratch"
        self._model = configured_model(name, entry)
        self._memory = memory or device_memory(entry)
        self._store = store or ArtifactStore.open(config.storage)
        self._metrics = ModelMetrics(name)
        self._budget = entry.memory_bytes or self._memory.limit
        threads = Threads(
            f"{name}-engine", len(self._model.variants) * self._model.concurrency + SPARE_THREADS
        )
        self._storing = Threads(f"{name}-store", STORE_THREADS)
        self._variants = Variants(
            self._model,
            name=name,
            policy=entry.weights or config.weights,
            work_dir=config.work_dir,
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

    async def run(self, call: Call) -> AsyncGenerator[Message, None]:
        """Serve one request as a stream of messages; see `deployments.replica.protocol`.

        Closing the generator cancels the run. It then ends as soon as the model's thread has ended.
        """
        messages: asyncio.Queue[Message | None] = asyncio.Queue()  # None marks the end
        context = ReplicaContext(
            device=self._memory.device,
            job_id=call["job_id"],
            store=self._store,
            limits=self._limits,
            scratch=self._scratch,
            send=messages.put_nowait,
        )
        self._ongoing += 1
        serving = asyncio.get_running_loop().create_task(self._serve(call, context, messages))
        serving.add_done_callback(lambda _: messages.put_nowait(None))
        try:
            while message := await messages.get():
                yield message
            await serving  # raises an error that could not become a message
        finally:
            context.cancel()
            serving.cancel()
            try:
                await wait_finished(serving)
            finally:
                context.close()
                self._ongoing -= 1
                await self._discard_unread(messages)

    async def load(self, variant: str) -> dict[str, Any]:
        """Load a variant and return a `ReplicaChange`, as a dict, with the device memory that it took.

        Raises:
            AudiographError: the variant does not exist, or cannot be loaded.
        """
        self._check_variant(variant)
        taken = await self._variants.load(variant)
        if taken is None:
            return self._change([], 0, f"{variant} was loaded already")
        return self._change([variant], taken, None)

    async def unload(self, variant: str | None = None) -> dict[str, Any]:
        """Unload a variant, or all, once its running work has ended; returns a `ReplicaChange` as a dict.

        Raises:
            NotServed: the variant does not exist.
        """
        if variant is not None:
            self._check_variant(variant)
        freed = await self._variants.unload(variant)
        message = None if freed else f"{variant or 'no variant'} was {'not ' if variant else ''}loaded"
        return self._change(list(freed), sum(freed.values()), message)

    async def status(self) -> dict[str, Any]:
        """Describe the loaded variants and the load of this replica: a `Replica` as a dict."""
        return Replica(
            id=_replica_id(self._name),
            device=self._memory.device,
            memory_bytes=self._memory.used(),
            memory_limit_bytes=self._budget,
            ongoing=self._ongoing,
            loaded=self._variants.loaded(),
        ).model_dump(mode="json")

    async def check_health(self) -> None:
        """Test the idle engines; a busy engine is not tested.

        The first call also starts loading the desired variants. Serve makes it before it sends requests, but
        after it has frozen all objects for the garbage collector: an engine loaded in the constructor could
        never be freed.

        Raises:
            ModelUnavailable: the test does not end.
            Exception: the error that the model's test raised.
        """
        loop = asyncio.get_running_loop()
        self._preload = self._preload or loop.create_task(self._load_desired())
        if self._check is None or self._check.done():
            self._check = loop.create_task(self._variants.check_idle())
        await asyncio.wait({self._check}, timeout=HEALTH_SECONDS)
        if not self._check.done():
            raise ModelUnavailable(
                f"an engine of {self._name} did not answer its health test within {HEALTH_SECONDS:g} s"
            )
        self._check.result()

    async def _serve(
        self, call: Call, context: ReplicaContext, messages: "asyncio.Queue[Message | None]"
    ) -> None:
        outcome = "canceled"
        last: Result | Failure
        try:
            last = await self._answer(call, context)
            outcome = "succeeded"
        except Exception as error:
            wire_error = self._wire_error(error, call)
            outcome = wire_error.code
            last = {"type": "failure", "error": wire_error.to_wire()}
        finally:
            request = call["request"]
            self._metrics.ended(request.get("variant") or "", request.get("task") or "", outcome)
        context.flush()
        messages.put_nowait(last)

    async def _answer(self, call: Call, context: ReplicaContext) -> Result:
        request, variant, task = self._checked(call)
        context.fields = file_references(request)
        if not self._variants.has(variant):
            context.progress(0.0, "loading")
        completed = await self._batcher.submit(variant, task, request, context)
        output = await self._storing.run(self._model.postprocess, request, completed.output)
        completed = replace(completed, output=output)
        artifacts, audio = [], None
        if call["return_audio"]:
            audio = await self._storing.run(to_plain_audio, output)
        else:
            artifacts = await self._store_files(request, task, completed, context)
        self._metrics.ran(variant, task, completed.timings, output.audio_seconds)
        return {
            "type": "result",
            "result": _noted(output.result, context.notes).model_dump(mode="json"),
            "artifacts": artifacts,
            "audio": audio,
            "weights": completed.weights,
            "timings": {
                "queue": completed.timings.queue,
                "load": completed.timings.load,
                "run": completed.timings.run,
                "audio_seconds": output.audio_seconds,
            },
        }

    async def _store_files(
        self, request: Request, task: str, completed: Completed, context: ReplicaContext
    ) -> list[str]:
        """Store the run's files and return their ids; a canceled run leaves none behind."""
        origin = provenance(request, task, context.job_id, completed.weights)
        stored: list[str] = []
        try:
            await self._storing.run(store_outputs, self._store, completed.output, origin, context, stored)
        except asyncio.CancelledError:
            await self._discard(stored)
            raise
        return stored

    async def _discard_unread(self, messages: "asyncio.Queue[Message | None]") -> None:
        """Delete the artifacts of a result that the caller did not read."""
        while not messages.empty():
            message = messages.get_nowait()
            if message and message["type"] == "result":
                await self._discard(message["artifacts"])

    async def _discard(self, artifacts: list[str]) -> None:
        try:
            await self._storing.run(discard, self._store, artifacts)
        except Exception:
            logger.exception("cannot delete artifacts of a canceled run; retention will: %s", artifacts)

    def _checked(self, call: Call) -> tuple[Request, str, str]:
        try:
            request = request_of(call)
        except ValidationError as error:
            fault = error.errors()[0]
            place = ".".join(map(str, fault["loc"][1:]))  # the first part is the task
            raise InvalidRequest(f"{place}: {reason(fault)}", field=place) from error
        variant = request.variant or self._entry.default_variant or self._model.default_variant
        self._check_variant(variant)
        task = task_of(request)
        if task not in self._model.tasks:
            raise NotServed(f"model {self._name!r} does not serve {task!r}", field="task")
        return request, variant, task

    def _check_variant(self, variant: str) -> None:
        if variant not in self._model.variants:
            known = ", ".join(self._model.variants)
            raise NotServed(
                f"model {self._name!r} has no variant {shown(variant)}; variants: {known}", field="variant"
            )

    def _wire_error(self, error: Exception, call: Call) -> AudiographError:
        """Return the error for the caller; details of an unexpected one go to the log alone."""
        if isinstance(error, AudiographError):
            return error
        if is_out_of_memory(error):
            return request_too_big(error, self._name, self._memory)
        job_id = call["job_id"]
        fields = {"audio_job_id": job_id, "attempt": call["attempt"]}
        logger.error("a run of %s failed", self._name, exc_info=error, extra=fields)
        return InternalError(
            f"model {self._name!r} failed with {type(error).__name__}; see the server log under job {job_id}"
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

    async def _load_desired(self) -> None:
        """Load the variants that configuration and operators want; requests need not wait for all of them."""
        try:
            desired = await self._storing.run(self._desired)
        except Exception:
            logger.exception("cannot read the desired variants of %s; variants load on demand", self._name)
            return
        for variant in desired:
            try:
                await self._variants.load(variant)
            except Exception:
                logger.exception("cannot load %s %s ahead of its use", self._name, variant)

    def _desired(self) -> list[str]:
        self._store.database.migrate()  # this may be the first process of a new installation
        stored = DesiredVariants(self._store.database).desired(self._name)
        desired = dict.fromkeys(self._entry.preload, True) | stored
        return [variant for variant, wanted in desired.items() if wanted and variant in self._model.variants]


def _noted(result: ModelResult, notes: Sequence[str]) -> ModelResult:
    """Add the notes on the files that were decoded to those of the result."""
    return result.model_copy(update={"notes": [*notes, *result.notes]}) if notes else result


def _replica_id(name: str) -> str:
    from ray import serve
    from ray.serve.exceptions import RayServeException

    try:
        return str(serve.get_replica_context().replica_id.unique_id)
    except RayServeException:  # not within Serve
        return f"{name}-{os.getpid()}"

"""The runner: picks jobs up and runs them. Any number may run; any may be killed at any time."""

import asyncio
import logging
from collections.abc import Mapping

from dbos import DBOS, DBOSConfig
from ray.serve.handle import DeploymentHandle

from deployments.config import AppConfig
from deployments.jobs import durable, workflow
from deployments.jobs.janitor import Janitor
from deployments.jobs.lease import Every, Leases, new_executor_id, take_over
from deployments.jobs.records import JobRecords
from deployments.logs import configure_logging
from deployments.replica.handle import ModelHandle, ServeModel
from deployments.storage.artifacts import ArtifactStore

logger = logging.getLogger("audiograph.jobs")

POLL_SECONDS = 0.1
"""How often a runner looks for queued jobs; each look costs it some 4 ms of processor time."""


class Runner:
    """One runner: DBOS on the job queue, a heartbeat, the sweep over silent runners, and the janitor.

    DBOS is one instance a process, and so is this.
    """

    def __init__(self, config: AppConfig, handles: Mapping[str, ModelHandle]) -> None:
        self._config = config
        self._handles = handles
        self._executor_id = new_executor_id()
        self._loops: list[Every] = []

    async def start(self) -> None:
        """Take jobs. Creates or upgrades the database's tables first."""
        store = await asyncio.to_thread(self._prepare)
        client = await asyncio.to_thread(durable.connect, self._config.storage.database_url)
        records = JobRecords(client, store.database.engine)
        workflow.use(workflow.Runtime(self._config.jobs, self._handles, store, records))
        self._leases = Leases(store.database, self._config.jobs.dead_after_seconds)
        await asyncio.to_thread(self._leases.beat, self._executor_id)
        await self._launch()
        janitor = Janitor(self._config.jobs, self._config.storage, store, client, records)
        heartbeat = self._config.jobs.heartbeat_seconds
        self._loops = [
            Every(heartbeat, self._beat, "the runner's heartbeat"),
            Every(heartbeat, self._sweep, "the sweep over silent runners"),
            Every(self._config.storage.collect_every_seconds, janitor.clean, "the janitor"),
        ]
        for loop in self._loops:
            loop.start()
        logger.info("runner %s takes jobs", self._executor_id)

    def _prepare(self) -> ArtifactStore:
        store = ArtifactStore.open(self._config.storage)
        store.database.migrate()
        durable.migrate(self._config.storage.database_url)
        return store

    async def _launch(self) -> None:
        config: DBOSConfig = {
            "name": durable.APPLICATION,
            "system_database_url": durable.dbos_url(self._config.storage.database_url),
            "serializer": durable.SERIALIZER,
            "executor_id": self._executor_id,
            "application_version": durable.VERSION,
            "sys_db_pool_size": 16,
            "log_level": "WARNING",
        }
        DBOS(config=config)
        DBOS.launch()
        await DBOS.register_queue_async(
            durable.QUEUE,
            worker_concurrency=self._config.jobs.concurrency,
            partition_worker_concurrency=self._config.jobs.concurrency_per_model,
            polling_interval_sec=POLL_SECONDS,
            on_conflict="always_update",
        )

    def _beat(self) -> None:
        self._leases.beat(self._executor_id)

    def _sweep(self) -> None:
        silent = self._leases.abandoned()
        if silent:
            logger.warning("taking over the jobs of silent runners %s", ", ".join(silent))
            take_over(silent)
        self._leases.bury()

    async def check(self) -> None:
        """Raise if the database is out of reach."""
        await asyncio.to_thread(self._leases.alive)

    async def stop(self) -> None:
        """Leave in good order: the jobs in flight go to other runners at once."""
        for loop in self._loops:
            await asyncio.to_thread(loop.stop)
        await asyncio.to_thread(DBOS.destroy)
        await asyncio.to_thread(self._leases.leave, self._executor_id)


class ServeRunner:
    """The runner as a Ray Serve deployment; it serves no requests of its own."""

    async def __init__(  # type: ignore[misc]  # Serve awaits it
        self, config: AppConfig, handles: dict[str, DeploymentHandle]
    ) -> None:
        configure_logging()
        self._runner = Runner(config, {name: ServeModel(handle) for name, handle in handles.items()})
        await self._runner.start()

    async def check_health(self) -> None:
        """Serve replaces a runner whose database stays out of reach."""
        await self._runner.check()

    async def __del__(self) -> None:
        """Serve calls this when it ends a replica in good order."""
        await self._runner.stop()

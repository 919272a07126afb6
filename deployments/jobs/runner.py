"""Takes jobs from the queue and runs them. Any number of runners may run; each may be killed at any time."""

import asyncio
import logging
from collections.abc import Mapping

from dbos import DBOS, DBOSConfig
from ray.serve.handle import DeploymentHandle

from deployments.config import AppConfig
from deployments.jobs import durable, workflow
from deployments.jobs.graph import Graphs
from deployments.jobs.janitor import Janitor
from deployments.jobs.lease import Leases, PeriodicThread, new_executor_id
from deployments.jobs.records import JobRecords
from deployments.logs import configure_logging
from deployments.replica.handle import ModelHandle, ServeModel
from deployments.storage.artifacts import ArtifactStore

logger = logging.getLogger("audiograph.jobs")

POLL_SECONDS = 0.1
"""Interval at which a runner polls for queued jobs; each poll costs some 4 ms of processor time."""


class Runner:
    """One runner: DBOS on the job queue, a heartbeat, the sweep over silent runners, and the janitor.

    DBOS allows one instance per process, and so does this class.
    """

    def __init__(self, config: AppConfig, handles: Mapping[str, ModelHandle], graphs: Graphs) -> None:
        self._config = config
        self._handles = handles
        self._graphs = graphs
        self._executor_id = new_executor_id()
        self._threads: list[PeriodicThread] = []

    async def start(self) -> None:
        """Create or upgrade the database's tables, then start to take jobs."""
        store = await asyncio.to_thread(self._prepare)
        client = await asyncio.to_thread(durable.connect, self._config.storage.database_url)
        records = JobRecords(client, store.database.engine)
        workflow.configure(workflow.Runtime(self._config.jobs, self._handles, self._graphs, store, records))
        self._leases = Leases(store.database, self._config.jobs.dead_after_seconds)
        await asyncio.to_thread(self._leases.heartbeat, self._executor_id)
        await self._launch()
        janitor = Janitor(self._config.jobs, self._config.storage, store, client, records)
        heartbeat = self._config.jobs.heartbeat_seconds
        self._threads = [
            PeriodicThread(heartbeat, self._heartbeat, "the runner's heartbeat"),
            PeriodicThread(heartbeat, self._sweep, "the sweep over silent runners"),
            PeriodicThread(self._config.storage.collect_every_seconds, janitor.clean, "the janitor"),
        ]
        for thread in self._threads:
            thread.start()
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

    def _heartbeat(self) -> None:
        self._leases.heartbeat(self._executor_id)

    def _sweep(self) -> None:
        silent = self._leases.orphaned()
        if silent:
            logger.warning("requeueing the jobs of silent runners %s", ", ".join(silent))
            durable.requeue(silent)
        self._leases.purge()

    async def check(self) -> None:
        """Raise if the database cannot be reached."""
        await asyncio.to_thread(self._leases.live)

    async def stop(self) -> None:
        """Stop in good order: other runners take the jobs in flight at once."""
        # In one thread: DBOS has made its own thread pool the event loop's default, and ends it here.
        await asyncio.to_thread(self._stop)

    def _stop(self) -> None:
        for thread in self._threads:
            thread.stop()
        DBOS.destroy()
        self._leases.remove(self._executor_id)


class ServeRunner:
    """The runner as a Ray Serve deployment; it serves no requests of its own."""

    async def __init__(  # type: ignore[misc]  # Serve awaits it
        self, config: AppConfig, handles: dict[str, DeploymentHandle], graphs: Graphs
    ) -> None:
        configure_logging()
        models = {name: ServeModel(handle) for name, handle in handles.items()}
        self._runner = Runner(config, models, graphs)
        await self._runner.start()

    async def check_health(self) -> None:
        """Fail while the database cannot be reached: Serve then replaces the runner."""
        await self._runner.check()

    async def __del__(self) -> None:
        """Stop; Serve calls this when it ends a replica in good order."""
        await self._runner.stop()

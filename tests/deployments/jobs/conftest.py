"""A job store on SQLite or PostgreSQL, with runners in processes of their own that tests may kill."""

import asyncio
import contextlib
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Any

import pytest

from audiograph.schemas import Job, SpeakRequest
from deployments.config import AppConfig
from deployments.jobs import durable
from deployments.jobs.queue import JobQueue
from deployments.models.registry import Registry
from deployments.storage.artifacts import ArtifactStore
from deployments.storage.database import Database
from deployments.storage.voices import VoiceStore
from tests.conftest import Migrate, migrated_sqlite, preload
from tests.deployments.jobs import echo

READY_SECONDS = 60

preload(echo.__name__)  # runners are forked with it


@dataclass
class Farm:
    """A queue, and the means to start and kill runners."""

    config: AppConfig
    config_path: Path
    queue: JobQueue
    store: ArtifactStore
    forked: ForkServerContext
    runners: list[ForkServerProcess] = field(default_factory=list)

    def start_runner(self) -> ForkServerProcess:
        ready = self.forked.Event()
        process = self.forked.Process(target=echo.run, args=(self.config_path, ready))
        process.start()
        self.runners.append(process)
        assert ready.wait(READY_SECONDS), f"the runner is not ready after {READY_SECONDS} s"
        return process

    def kill(self, process: ForkServerProcess) -> None:
        process.kill()
        process.join()

    def journal(self) -> list[tuple[str, str, str]]:
        """Return the replicas' journal: (start | end | cut, job id, text)."""
        path = self.config_path.with_suffix(".journal")
        if not path.exists():
            return []
        return [tuple(line.split(" ", 2)) for line in path.read_text().splitlines()]  # type: ignore[misc]

    async def submit(self, text: str = "hello", key: str | None = None, **fields: Any) -> Job:
        parameters = {
            name: fields.pop(name) for name in list(fields) if name not in SpeakRequest.model_fields
        }
        request = SpeakRequest(text=text, parameters=parameters, **fields)
        job, _ = await self.queue.submit(request, idempotency_key=key)
        return job

    async def until_started(self, job_id: str, seconds: float = 20) -> None:
        """Until a replica has begun the job."""
        deadline = time.monotonic() + seconds
        while ("start", job_id) not in {(what, of) for what, of, _ in self.journal()}:
            assert time.monotonic() < deadline, f"not started after {seconds} s"
            await asyncio.sleep(0.05)


MakeFarm = Callable[..., Farm]


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A fresh database of each kind in turn, with Audiograph's tables and DBOS's."""
    if request.param == "sqlite":
        return migrated_sqlite(tmp_path / "state.db", _migrate)
    made: Callable[[Migrate], str] = request.getfixturevalue("migrated_postgres")
    return made(_migrate)


def _migrate(url: str) -> None:
    database = Database(url)
    database.migrate()
    database.close()
    durable.migrate(url)


@pytest.fixture
async def make_farm(database_url: str, tmp_path: Path, forked: ForkServerContext) -> AsyncIterator[MakeFarm]:
    with contextlib.ExitStack() as stack:
        yield lambda **jobs: stack.enter_context(_farm(database_url, tmp_path, forked, jobs))


@pytest.fixture
def farm(make_farm: MakeFarm) -> Farm:
    return make_farm()


@contextlib.contextmanager
def _farm(database_url: str, folder: Path, forked: ForkServerContext, jobs: dict[str, Any]) -> Iterator[Farm]:
    args = {
        "models": {"echo": {"class": "tests.deployments.jobs.echo:Echo"}},
        "storage": {"database_url": database_url, "artifacts_url": str(folder / "artifacts")},
        "jobs": {"heartbeat_seconds": 0.2, "dead_after_seconds": 2.0, **jobs},
    }
    config = AppConfig.model_validate(args)
    config_path = folder / "config.json"
    config_path.write_text(json.dumps(args))
    store = ArtifactStore.open(config.storage)
    voices = VoiceStore(store, config.voices, config.limits)
    client = durable.connect(database_url)
    queue = JobQueue(config.jobs, Registry.from_config(config), store, voices, client)
    farm = Farm(config, config_path, queue, store, forked)
    try:
        yield farm
    finally:
        for process in farm.runners:
            if process.is_alive():
                os.kill(process.pid, signal.SIGCONT)  # type: ignore[arg-type]  # it was started
                farm.kill(process)
        client.destroy()

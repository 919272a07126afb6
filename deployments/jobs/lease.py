"""Heartbeats of runners, and the take-over of jobs from runners that fell silent.

DBOS recovers a workflow only under the executor id that ran it. So each runner has an id of its own, beats
in the database, and hands the jobs of every silent runner back to the queue. A runner that only seemed dead
does no harm: DBOS lets one execution alone record each step and the outcome; the other adopts them.
"""

import logging
import threading
import uuid
from collections.abc import Callable

from dbos import DBOS
from sqlalchemy import (
    ColumnElement,
    Engine,
    Float,
    cast,
    delete,
    func,
    insert,
    literal_column,
    select,
    update,
)

from deployments.jobs.durable import DurableTables
from deployments.storage.database import Database
from deployments.storage.tables import Runner

logger = logging.getLogger("audiograph.jobs")


def database_now(engine: Engine) -> ColumnElement[float]:
    """Seconds since the epoch by the database's clock: one clock for runners on many machines."""
    if engine.dialect.name == "sqlite":
        return literal_column("(julianday('now') - 2440587.5) * 86400.0")
    return cast(func.extract("epoch", func.clock_timestamp()), Float)


class Leases:
    """The table of runners that are alive."""

    def __init__(self, database: Database, dead_after_seconds: float) -> None:
        self._database = database
        self._dead_after = dead_after_seconds
        self._now = database_now(database.engine)
        self._workflows = DurableTables(database.engine.dialect.name).workflows

    def beat(self, executor_id: str) -> None:
        """Say that a runner lives."""
        mine = Runner.executor_id == executor_id
        with self._database.session() as session:
            if session.scalar(select(Runner.executor_id).where(mine)) is None:
                values = {"executor_id": executor_id, "started_at": self._now, "heartbeat_at": self._now}
                session.execute(insert(Runner).values(values))
            else:
                session.execute(update(Runner).where(mine).values(heartbeat_at=self._now))

    def leave(self, executor_id: str) -> None:
        """Say that a runner has ended: the others need not wait for its silence."""
        with self._database.session() as session:
            session.execute(delete(Runner).where(Runner.executor_id == executor_id))

    def alive(self) -> list[str]:
        """Runners that have beaten lately."""
        query = select(Runner.executor_id).where(Runner.heartbeat_at > self._now - self._dead_after)
        with self._database.snapshot() as session:
            return list(session.scalars(query))

    def abandoned(self) -> list[str]:
        """Executors that hold running jobs but have fallen silent."""
        workflows = self._workflows
        query = (
            select(workflows.c.executor_id)
            .where(workflows.c.status == "PENDING")
            .where(workflows.c.executor_id.not_in(self.alive()))
            .distinct()
        )
        with self._database.snapshot() as session:
            return [executor_id for executor_id in session.scalars(query) if executor_id]

    def bury(self) -> None:
        """Forget runners that have been silent for so long that nothing of theirs can be left."""
        with self._database.session() as session:
            session.execute(delete(Runner).where(Runner.heartbeat_at < self._now - 10 * self._dead_after))


def take_over(executor_ids: list[str]) -> None:
    """Put the running jobs of dead executors back in the queue. Safe to do twice, or at once elsewhere."""
    DBOS._recover_pending_workflows(executor_ids)  # the library's own service would call this


def new_executor_id() -> str:
    """An id for one run of one runner process; never used again, so silence under it is final."""
    return f"runner-{uuid.uuid4().hex[:16]}"


class Every:
    """Calls a function again and again in a thread of its own, so that a busy event loop cannot delay it."""

    def __init__(self, seconds: float, action: Callable[[], None], name: str) -> None:
        self._seconds = seconds
        self._action = action
        self._name = name
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start; the first call comes at once."""
        self._thread.start()

    def stop(self) -> None:
        """Ask it to end, and wait for a call in progress."""
        self._stop.set()
        self._thread.join(timeout=30)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._action()
            except Exception:  # the database may be away for a while: keep beating, and say so
                logger.exception("%s failed; it is tried again in %g s", self._name, self._seconds)
            self._stop.wait(self._seconds)

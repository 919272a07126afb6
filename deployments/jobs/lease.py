"""Heartbeats of runners, by which other runners find and requeue the jobs of a dead one.

DBOS recovers a workflow only under the executor id that ran it. So each runner has an id of its own, sends
heartbeats to the database, and requeues the jobs of every silent runner. A runner that only seemed dead does
no harm: DBOS lets only one execution record each step and the outcome, and the other adopts them.
"""

import logging
import threading
import uuid
from collections.abc import Callable

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
    """Return the database's clock in seconds since the epoch: one clock for runners on many machines."""
    if engine.dialect.name == "sqlite":
        return literal_column("(julianday('now') - 2440587.5) * 86400.0")
    return cast(func.extract("epoch", func.clock_timestamp()), Float)


class Leases:
    """The table of live runners."""

    def __init__(self, database: Database, dead_after_seconds: float) -> None:
        self._database = database
        self._dead_after = dead_after_seconds
        self._now = database_now(database.engine)
        self._workflows = DurableTables(database.engine.dialect.name).workflows

    def heartbeat(self, executor_id: str) -> None:
        """Record that a runner is alive."""
        mine = Runner.executor_id == executor_id
        with self._database.session() as session:
            if session.scalar(select(Runner.executor_id).where(mine)) is None:
                values = {"executor_id": executor_id, "started_at": self._now, "heartbeat_at": self._now}
                session.execute(insert(Runner).values(values))
            else:
                session.execute(update(Runner).where(mine).values(heartbeat_at=self._now))

    def remove(self, executor_id: str) -> None:
        """Remove a runner that has ended, so that the others need not wait for its silence."""
        with self._database.session() as session:
            session.execute(delete(Runner).where(Runner.executor_id == executor_id))

    def live(self) -> list[str]:
        """List the runners with a recent heartbeat."""
        query = select(Runner.executor_id).where(Runner.heartbeat_at > self._now - self._dead_after)
        with self._database.snapshot() as session:
            return list(session.scalars(query))

    def orphaned(self) -> list[str]:
        """List the executors that hold running jobs but send no heartbeats."""
        workflows = self._workflows
        query = (
            select(workflows.c.executor_id)
            .where(workflows.c.status == "PENDING")
            .where(workflows.c.executor_id.not_in(self.live()))
            .distinct()
        )
        with self._database.snapshot() as session:
            return [executor_id for executor_id in session.scalars(query) if executor_id]

    def purge(self) -> None:
        """Delete runners silent for ten times the limit, whose jobs are all requeued by then."""
        with self._database.session() as session:
            session.execute(delete(Runner).where(Runner.heartbeat_at < self._now - 10 * self._dead_after))


def new_executor_id() -> str:
    """Create the id of one runner process; it is never reused, so silence under it is final."""
    return f"runner-{uuid.uuid4().hex[:16]}"


class PeriodicThread:
    """Calls a function periodically in a thread of its own, which a busy event loop cannot delay."""

    def __init__(self, seconds: float, action: Callable[[], None], name: str) -> None:
        self._seconds = seconds
        self._action = action
        self._name = name
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start with a first call at once."""
        self._thread.start()

    def stop(self) -> None:
        """Stop, after a call in progress has ended."""
        self._stop.set()
        self._thread.join(timeout=30)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._action()
            except Exception:  # the database may be unavailable for a while
                logger.exception("%s failed; next try in %g s", self._name, self._seconds)
            self._stop.wait(self._seconds)

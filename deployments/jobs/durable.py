"""Audiograph's use of DBOS Transact: names, serialization, private calls, and tables that are read directly.

A job is one DBOS workflow: its id is the workflow's id, its task the workflow's name, its request the
workflow's input. DBOS owns every status, and its tables are only read here. Everything is stored as JSON,
so that nothing in the database can run code.
"""

from typing import Any, get_args

from dbos import DBOS, DBOSClient, DBOSPortableJSONSerializer
from sqlalchemy import BigInteger, Column, Integer, MetaData, Table, Text

from audiograph.schemas import TaskName
from deployments.jobs import sqlite_clock

sqlite_clock.keep_milliseconds()

APPLICATION = "audiograph"
QUEUE = "jobs"
TASKS = get_args(TaskName)
"""Names of the workflows that are jobs; the queue cannot tell, as DBOS takes canceled workflows off it."""

EVENTS = "events"
VERSION = "1"
"""Raise it only when the order of a workflow's steps changes: pending jobs then wait for old runners."""

MAX_RECOVERIES = 20
MAX_STARTS = 1 + MAX_RECOVERIES
"""Starts of one job whose runner died each time, before the job counts as the cause and fails."""

SERIALIZER = DBOSPortableJSONSerializer()
"""JSON, with errors as data; DBOS's default is pickle."""


def dbos_url(database_url: str) -> str:
    """Spell a database's URL for DBOS."""
    return database_url.replace("postgresql+psycopg://", "postgresql://", 1)


def migrate(database_url: str) -> None:
    """Create or upgrade DBOS's own tables; safe to call from several processes."""
    DBOS.migrate(dbos_url(database_url))


def connect(database_url: str) -> DBOSClient:
    """Open a client that submits, reads and cancels jobs without running any."""
    return DBOSClient(
        system_database_url=dbos_url(database_url),
        serializer=SERIALIZER,
        application_name=APPLICATION,
        system_database_pool_size=16,
        use_listen_notify=not database_url.startswith("sqlite"),
    )


class DurableTables:
    """The columns that Audiograph reads itself, for counts, pages and the newest event."""

    def __init__(self, dialect: str) -> None:
        metadata = MetaData(schema=None if dialect == "sqlite" else "dbos")
        self.workflows = Table(
            "workflow_status",
            metadata,
            Column("workflow_uuid", Text, primary_key=True),
            Column("status", Text),
            Column("name", Text),
            Column("executor_id", Text),
            Column("created_at", BigInteger),
            Column("completed_at", BigInteger),
        )
        self.streams = Table(
            "streams",
            metadata,
            Column("workflow_uuid", Text, primary_key=True),
            Column("key", Text, primary_key=True),
            Column("offset", Integer, primary_key=True),
            Column("value", Text),
        )


STATUS: dict[str, Any] = {
    "ENQUEUED": "queued",
    "DELAYED": "queued",
    "PENDING": "running",
    "SUCCESS": "succeeded",
    "ERROR": "failed",
    "MAX_RECOVERY_ATTEMPTS_EXCEEDED": "failed",
    "CANCELLED": "canceled",
}
"""A job's status by DBOS's status."""

CANCELED = "CANCELLED"
FINAL = ("SUCCESS", "ERROR", "MAX_RECOVERY_ATTEMPTS_EXCEEDED", CANCELED)


def statuses(status: str) -> list[str]:
    """List DBOS's statuses of a job's status."""
    return [theirs for theirs, ours in STATUS.items() if ours == status]


def requeue(executor_ids: list[str]) -> None:
    """Put the running jobs of dead executors back in the queue; safe to repeat, also from other runners."""
    DBOS._recover_pending_workflows(executor_ids)  # there is no public call; DBOS's own service uses this one

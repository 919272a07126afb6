"""How Audiograph uses DBOS Transact: names, serialization, and the few tables read directly.

A job is one DBOS workflow: its id is the workflow's id, its task the workflow's name, its request the
workflow's input. DBOS owns every status; nothing here writes to its tables. Everything is stored as JSON,
so that nothing in the database can run code.
"""

from typing import Any, get_args

from dbos import DBOS, DBOSClient
from dbos._serialization import DBOSPortableJSON  # JSON with errors as data; the default is pickle
from sqlalchemy import BigInteger, Column, Integer, MetaData, Table, Text

from audiograph.schemas import Request, TaskName
from deployments.jobs import sqlite_clock

sqlite_clock.keep_milliseconds()

APPLICATION = "audiograph"
QUEUE = "jobs"
TASKS = get_args(TaskName)
"""Names of the workflows that are jobs. (Not the queue tells: DBOS takes a canceled workflow off it.)"""

EVENTS = "events"
VERSION = "1"
"""Raise it only when the order of a workflow's steps changes: pending jobs then wait for old runners."""

MAX_RECOVERIES = 20
"""Starts of one job after runners died under it, before it is taken for the cause and failed."""

SERIALIZER = DBOSPortableJSON


def dbos_url(database_url: str) -> str:
    """The same database as DBOS spells it."""
    return database_url.replace("postgresql+psycopg://", "postgresql://", 1)


def migrate(database_url: str) -> None:
    """Create or upgrade DBOS's own tables; safe to call from several processes."""
    DBOS.migrate(dbos_url(database_url))


def connect(database_url: str) -> DBOSClient:
    """A client that submits, reads and cancels jobs without running any."""
    return DBOSClient(
        system_database_url=dbos_url(database_url),
        serializer=SERIALIZER,
        application_name=APPLICATION,
        system_database_pool_size=16,
        use_listen_notify=not database_url.startswith("sqlite"),
    )


class DurableTables:
    """The columns that are read with SQL of our own: for counting, paging and the newest event."""

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
"""DBOS's statuses as a job's."""

CANCELED = "CANCELLED"
FINAL = ("SUCCESS", "ERROR", "MAX_RECOVERY_ATTEMPTS_EXCEEDED", CANCELED)


def statuses(status: str) -> list[str]:
    """DBOS's statuses that a job's status stands for."""
    return [theirs for theirs, ours in STATUS.items() if ours == status]


def stored(request: Request) -> dict[str, Any]:
    """A request as it is stored: the fields that were given, which artifacts tell from defaults."""
    return {"task": task_of(request), **request.model_dump(mode="json", exclude_unset=True)}


def task_of(request: Request) -> TaskName:
    """The task of a concrete request."""
    task: TaskName = request.task  # type: ignore[attr-defined]  # every class of AnyRequest has one
    return task

"""The application's SQL database: SQLite on one machine or PostgreSQL in a cluster, chosen by its URL."""

import fcntl
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from pydantic_core import to_json
from sqlalchemy import URL, Connection, Engine, create_engine, event, func, make_url, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

MIGRATIONS = Path(__file__).parent / "migrations"
BUSY_TIMEOUT_SECONDS = 30.0
"""Time for which a writer on SQLite waits for another before it fails."""

_MIGRATION_LOCK = 0x61756469_6F677261
"""Key of the PostgreSQL advisory lock that lets one process migrate at a time ("audiogra")."""
_alembic_lock = threading.Lock()
"""Held while Alembic runs: it keeps the migration in progress in module globals."""


class Database:
    """Pool of connections. One per process; safe to use from many threads.

    Args:
        url: ``sqlite:///path`` (the folder is created; a relative path is resolved against the current
            directory) or ``postgresql://…``.

    Raises:
        ValueError: the URL is of an SQLite database in memory.
    """

    def __init__(self, url: str) -> None:
        parsed = make_url(url)
        self._writer: Engine
        if parsed.get_backend_name() == "sqlite":
            self.engine = _open_sqlite(parsed)
            self._writer = self.engine.execution_options(sqlite_begin="IMMEDIATE")
        else:
            self.engine = _open_postgresql(parsed)
            self._writer = self.engine

    @property
    def is_sqlite(self) -> bool:
        """Return whether the database is SQLite: one file, with one writer at a time."""
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Run a transaction that may write. It is committed at the end, and rolled back on an exception.

        On SQLite it holds the write lock from its start, so it never fails midway to acquire it.
        """
        with Session(self._writer, expire_on_commit=False) as session, session.begin():
            session.connection()  # begin the transaction now, not at the first statement
            yield session

    @contextmanager
    def snapshot(self) -> Iterator[Session]:
        """Run a read-only transaction. On SQLite it neither waits for a writer nor blocks one."""
        with Session(self.engine, expire_on_commit=False) as session, session.begin():
            yield session

    def lock(self, bound: Session | Connection, key: int) -> None:
        """Hold the lock of a key (a signed 64-bit number) until the transaction ends.

        Does nothing on SQLite, where the write transaction itself excludes every other.
        """
        if not self.is_sqlite:
            bound.execute(select(func.pg_advisory_xact_lock(key)))

    def insert(self, table: Any) -> postgresql.Insert | sqlite.Insert:
        """Return an INSERT with ``on_conflict_do_nothing`` and ``on_conflict_do_update``."""
        return sqlite.insert(table) if self.is_sqlite else postgresql.insert(table)

    def migrate(self) -> None:
        """Upgrade the tables to the newest revision. Idempotent, and safe in several processes at once."""
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        with _alembic_lock, self._prepared(), self._writer.begin() as connection:
            self.lock(connection, _MIGRATION_LOCK)
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    def _prepared(self) -> AbstractContextManager[None]:
        return _write_ahead_log(self.engine) if self.is_sqlite else nullcontext()

    def close(self) -> None:
        """Close the pool's connections."""
        self.engine.dispose()


def _open_postgresql(url: URL) -> Engine:
    return create_engine(
        url.set(drivername="postgresql+psycopg"), pool_pre_ping=True, json_serializer=_to_json
    )


def _open_sqlite(url: URL) -> Engine:
    if not url.database or url.database == ":memory:":
        raise ValueError("an SQLite database must be a file, since several processes share it")
    Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_SECONDS}, json_serializer=_to_json)
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _to_json(value: Any) -> str:
    """Serialize to JSON, with NaN and infinity as null: PostgreSQL JSON cannot represent them."""
    return to_json(value, inf_nan_mode="null").decode()


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver's own BEGIN is too late and never IMMEDIATE
    connection.execute("PRAGMA foreign_keys = ON")


def _begin_sqlite(connection: Connection) -> None:
    mode = connection.get_execution_options().get("sqlite_begin", "DEFERRED")
    connection.exec_driver_sql(f"BEGIN {mode}")


@contextmanager
def _write_ahead_log(engine: Engine) -> Iterator[None]:
    """Switch the file to write-ahead logging permanently, and hold a file lock for the context.

    SQLite does not wait for its own lock when it switches, so the file lock serializes processes.
    """
    with Path(f"{engine.url.database}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        connection = engine.raw_connection()
        try:
            connection.cursor().execute("PRAGMA journal_mode = WAL")
        finally:
            connection.close()
        yield

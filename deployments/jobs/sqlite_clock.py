"""Keeps milliseconds in the job store on SQLite.

Under Python 3.11 DBOS 3.4 keeps whole seconds on SQLite (it assumes that `unixepoch('subsec')` needs 3.12).
Jobs that arrive within one second would run and be listed in any order, and times would be wrong by up to a
second. SQLite's julianday has always had milliseconds, so it replaces DBOS's expression.
"""

from typing import Any

from dbos import _migration
from dbos._sys_db import SystemDatabase
from sqlalchemy import BigInteger, literal_column

MILLISECONDS = "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"

_whole_seconds = _migration.get_sqlite_timestamp_expr()
_theirs = SystemDatabase._now_ms_sql


def keep_milliseconds() -> None:
    """Patch DBOS; tables that exist already and statements that ran before keep whole seconds."""
    migrations = _migration.sqlite_migrations
    migrations[:] = [sql.replace(_whole_seconds, f"({MILLISECONDS})") for sql in migrations]
    SystemDatabase._now_ms_sql = _now  # type: ignore[method-assign, assignment]


def _now(database: SystemDatabase) -> Any:
    if database.engine.dialect.name == "sqlite":
        return literal_column(MILLISECONDS, BigInteger)
    return _theirs(database)

"""Alembic's entry point, which `Database.migrate` runs with its own connection, under its lock.

To create a revision after a change of ``tables.py``, against a database at the newest one:
``alembic -x url=sqlite:///state/audiograph.db revision --autogenerate -m "summary of the change"``
"""

from typing import Any

from alembic import context
from sqlalchemy import Connection

from deployments.storage.database import Database
from deployments.storage.tables import Base


def is_ours(name: str | None, kind: str, _parents: Any) -> bool:
    """Exclude the tables of others in the same database, such as those of the durable job library."""
    return kind != "table" or name in Base.metadata.tables


def run(connection: Connection) -> None:
    """Migrate in the connection's transaction: all revisions or none, on SQLite as well."""
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        include_name=is_ours,
        transactional_ddl=True,
        render_as_batch=True,
    )
    with context.begin_transaction():
        context.run_migrations()


connection = context.config.attributes.get("connection")
if connection is not None:
    run(connection)
else:
    database = Database(context.get_x_argument(as_dictionary=True)["url"])
    with database.engine.begin() as own:
        run(own)

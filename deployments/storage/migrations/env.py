"""Alembic's entry point. `Database.migrate` runs it with a connection of its own, inside its lock.

To make a new revision after a change of ``tables.py``, against a database at the newest one:
``alembic -x url=sqlite:///state/audiograph.db revision --autogenerate -m "what changes"``
"""

from typing import Any

from alembic import context
from sqlalchemy import Connection

from deployments.storage.database import Database
from deployments.storage.tables import Base


def is_ours(name: str | None, kind: str, _parents: Any) -> bool:
    """Leave everything alone that others (the durable job library) keep in the same database."""
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


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    database = Database(context.get_x_argument(as_dictionary=True)["url"])
    with database.engine.begin() as own:
        run(own)

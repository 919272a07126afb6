"""Creates, lists and revokes API keys in the server's database: ``audiograph keys``, or ``make keys``.

`pyproject.toml` makes the commands part of ``audiograph``. ``python -m deployments.serve.keys`` is the same.
"""

import sqlite3
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from alembic.util import CommandError
from sqlalchemy.exc import SQLAlchemyError

from audiograph.cli import ReportingGroup, print_line, print_table
from audiograph.errors import ServerError
from deployments.serve.file import ServeFileError, load_file
from deployments.storage.api_keys import Keys
from deployments.storage.database import Database

Returned = TypeVar("Returned")

app = typer.Typer(
    cls=ReportingGroup,
    help="Create, list and revoke API keys in the server's database.",
    no_args_is_help=True,
    add_completion=False,
)

Config = Annotated[
    Path,
    typer.Option("--config", "-c", help="Configuration file of the server.", exists=True, dir_okay=False),
]
DEFAULT_CONFIG = Path("serve_config.yaml")
ROOT = Path(__file__).resolve().parents[2]
"""The folder that relative paths of the configuration refer to, as in the application."""


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Name of the user or program.")], config: Config = DEFAULT_CONFIG
) -> None:
    """Create a key and print it. It is printed only once: the server stores only its hash."""
    print_line(_try(lambda: open_keys(config).create(name)))


@app.command(name="list")
def list_keys(config: Config = DEFAULT_CONFIG) -> None:
    """List every key: its id, name, and the times of its creation and revocation."""
    keys = _try(lambda: open_keys(config).list())
    rows = [(key.id, key.name, _time(key.created_at), _time(key.revoked_at)) for key in keys]
    print_table(("id", "name", "created", "revoked"), rows)


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the key, as in `audiograph keys list`.")],
    config: Config = DEFAULT_CONFIG,
) -> None:
    """Revoke a key permanently. Running servers refuse it within 10 seconds."""
    key = _try(lambda: open_keys(config).revoke(key_id))
    print_line(f"revoked {key.id} ({key.name})")


def _time(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment else ""


def _try(action: Callable[[], Returned]) -> Returned:
    """Run an action; the group reports its error.

    Raises:
        ServerError: the configuration is invalid, or its database cannot be used.
    """
    try:
        return action()
    except ServeFileError as error:
        raise ServerError(str(error)) from error
    except (SQLAlchemyError, sqlite3.Error, CommandError) as error:  # SQLite fails at its first pragma
        reason = str(error).splitlines()[0]  # the others are the statement and a link
        raise ServerError(f"the server's database cannot be used: {reason}") from error


def open_keys(config: Path) -> Keys:
    """Open the keys in the database of a server's configuration, creating its tables if necessary.

    Raises:
        ServeFileError: the configuration is invalid.
    """
    storage = load_file(config).application.args.storage.resolved(ROOT)
    database = Database(storage.database_url)
    database.migrate()
    return Keys(database)


if __name__ == "__main__":
    app(prog_name="python -m deployments.serve.keys")

"""``audiograph keys``: make, list and revoke API keys in the server's own database."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy.exc import SQLAlchemyError

from audiograph.errors import AudiographError
from deployments.serve.file import ServeFileError, load_file
from deployments.storage.api_keys import Keys
from deployments.storage.database import Database

Returned = TypeVar("Returned")

app = typer.Typer(help="API keys of the server whose configuration is given.", no_args_is_help=True)

Config = Annotated[
    Path, typer.Option("--config", "-c", help="The server's configuration.", exists=True, dir_okay=False)
]
DEFAULT_CONFIG = Path("serve_config.yaml")
ROOT = Path(__file__).resolve().parents[2]
"""Where the application, too, takes relative paths from."""


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Who it is for.")], config: Config = DEFAULT_CONFIG
) -> None:
    """Make a key and print it. It is shown this once: the server keeps only a hash of it."""
    typer.echo(_try(lambda: open_keys(config).create(name)))


@app.command(name="list")
def list_keys(config: Config = DEFAULT_CONFIG) -> None:
    """Show every key: its id, name, and when it was made and revoked."""
    table = Table("id", "name", "created", "revoked")
    for key in _try(lambda: open_keys(config).list()):
        revoked = f"{key.revoked_at:%Y-%m-%d %H:%M:%S} UTC" if key.revoked_at else ""
        table.add_row(key.id, key.name, f"{key.created_at:%Y-%m-%d %H:%M:%S} UTC", revoked)
    Console().print(table)


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="As `audiograph keys list` shows it.")],
    config: Config = DEFAULT_CONFIG,
) -> None:
    """Revoke a key for good. Running servers refuse it within 10 seconds."""
    key = _try(lambda: open_keys(config).revoke(key_id))
    typer.echo(f"revoked {key.id} ({key.name})")


def _try(action: Callable[[], Returned]) -> Returned:
    """Do it, or say in one line why not."""
    try:
        return action()
    except (AudiographError, ServeFileError, SQLAlchemyError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error


def open_keys(config: Path) -> Keys:
    """Open the keys in the database that a server's configuration names; its tables are made if need be.

    Raises:
        ServeFileError: the configuration cannot be used.
    """
    storage = load_file(config).application.args.storage.resolved(ROOT)
    database = Database(storage.database_url)
    database.migrate()
    return Keys(database)

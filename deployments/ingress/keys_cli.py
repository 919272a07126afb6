"""``audiograph keys``: make, list and revoke API keys in the server's own database."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer
import yaml
from rich.console import Console
from rich.table import Table
from sqlalchemy.exc import SQLAlchemyError

from audiograph.errors import AudiographError
from deployments.config import StorageConfig
from deployments.ingress.keys import Keys
from deployments.storage.database import Database

Returned = TypeVar("Returned")

app = typer.Typer(help="API keys of the server whose configuration is given.", no_args_is_help=True)

Config = Annotated[
    Path, typer.Option("--config", "-c", help="The server's configuration.", exists=True, dir_okay=False)
]
DEFAULT_CONFIG = Path("serve_config.yaml")


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
    except (AudiographError, SQLAlchemyError, yaml.YAMLError, ValueError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error


def open_keys(config: Path) -> Keys:
    """The keys in the database that a Serve configuration names; its tables are made if need be."""
    database = Database(storage_of(config).resolved(config.absolute().parent).database_url)
    database.migrate()
    return Keys(database)


def storage_of(config: Path) -> StorageConfig:
    """The storage section of a Serve configuration's application.

    Raises:
        ValueError: the file is not such a configuration.
    """
    document = yaml.safe_load(config.read_text())
    try:
        arguments = document["applications"][0].get("args", {})
    except (TypeError, KeyError, IndexError, AttributeError) as error:
        raise ValueError(f"{config} is not a Ray Serve configuration: it has no applications") from error
    return StorageConfig.model_validate(arguments.get("storage", {}))

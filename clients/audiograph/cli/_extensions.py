"""Commands of other packages, which name them in the entry-point group ``audiograph.commands``."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any

import typer
from typer.core import TyperCommand
from typer.main import get_command

from audiograph.errors import InvalidRequest

GROUP = "audiograph.commands"


def names() -> list[str]:
    """List the commands, without loading them."""
    return sorted(entry.name for entry in entry_points(group=GROUP))


def outline(name: str) -> TyperCommand | None:
    """Return a command's line in the overview, without loading it; None if there is none of this name."""
    if name not in names():
        return None
    return TyperCommand(name, help=f"A command of the server: see `audiograph {name} --help`.")


def load(name: str) -> Any:
    """Load a command.

    Where its package is not installed, the command is a placeholder that raises InvalidRequest.
    """
    (entry,) = entry_points(group=GROUP, name=name)
    try:
        command = get_command(entry.load())
    except ModuleNotFoundError as error:
        command = get_command(_placeholder(name, error))
    command.name = name
    return command


def _placeholder(name: str, cause: ModuleNotFoundError) -> typer.Typer:
    app = typer.Typer(add_completion=False)
    any_arguments = {"allow_extra_args": True, "ignore_unknown_options": True}

    @app.command(context_settings=any_arguments, add_help_option=False)
    def refuse() -> None:
        """Not available here: a command of the server, which is not installed."""
        raise InvalidRequest(
            f"`audiograph {name}` is a command of the server: run it where the server is installed, "
            f"which `make setup` does in its checkout ({cause})"
        ) from cause

    return app

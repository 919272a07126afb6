"""Commands of other packages, which name them in the entry-point group ``audiograph.commands``."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import Any

import typer
from typer.main import get_command

from audiograph.errors import InvalidRequest

GROUP = "audiograph.commands"


def names() -> list[str]:
    """List the commands, without loading them."""
    return sorted(entry.name for entry in entry_points(group=GROUP))


def load(name: str) -> Any:
    """Load a command; None if there is none of this name.

    The command is a placeholder that raises InvalidRequest where the package behind it is not installed.
    """
    entry = next(iter(entry_points(group=GROUP, name=name)), None)
    if entry is None:
        return None
    try:
        return get_command(entry.load())
    except ModuleNotFoundError as error:
        return get_command(_placeholder(entry, error))


def _placeholder(entry: EntryPoint, cause: ModuleNotFoundError) -> typer.Typer:
    app = typer.Typer(add_completion=False)
    any_arguments = {"allow_extra_args": True, "ignore_unknown_options": True}

    @app.command(
        entry.name,
        help="Not available here: this command needs the server's checkout.",
        context_settings=any_arguments,
        add_help_option=False,
    )
    def refuse() -> None:
        raise InvalidRequest(
            f"`audiograph {entry.name}` works on the server's own database: run it where the server is "
            f"installed, which `make setup` does in its checkout ({cause})"
        ) from cause

    return app

"""``audiograph keys``: the server's own command, which needs its database and so its checkout."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import typer
from typer.main import get_command

from audiograph.errors import InvalidRequest

MODULE = "deployments.serve.keys"
PASSED_ON: dict[str, Any] = {"allow_extra_args": True, "ignore_unknown_options": True}
"""Typer settings by which every argument, --help too, reaches the server's command."""


def keys(context: typer.Context) -> None:
    """Make, list and revoke API keys: create, list, revoke (in the server's checkout)."""
    command = get_command(_server_command())
    command.main(args=context.args, prog_name="audiograph keys", standalone_mode=True)


def _server_command() -> typer.Typer:
    here = Path.cwd()
    if (here / "deployments" / "serve").is_dir() and str(here) not in sys.path:
        sys.path.insert(0, str(here))  # an installed script, unlike `python -m`, does not look here
    try:
        module = importlib.import_module(MODULE)
    except ModuleNotFoundError as error:
        raise InvalidRequest(
            f"`audiograph keys` works on the server's database: run it in the server's checkout, with the "
            f"server's packages installed ({error})"
        ) from error
    app: typer.Typer = module.app
    return app

"""The commands together, with the options that all of them share."""

from __future__ import annotations

from typing import Annotated

import typer

from audiograph._version import __version__
from audiograph.cli import _artifacts, _files, _jobs, _keys, _models, _server, _tasks, _voices
from audiograph.cli._group import RootGroup
from audiograph.cli._session import Session

app = typer.Typer(
    cls=RootGroup,
    name="audiograph",
    help="Audio models at your command: transcribe, find the key, speak, and see to the server's work.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)
_tasks.register(app)
app.add_typer(_jobs.app, name="jobs")
app.add_typer(_files.app, name="files")
app.add_typer(_artifacts.app, name="artifacts")
app.add_typer(_models.app, name="models")
app.add_typer(_voices.app, name="voices")
app.command("health")(_server.health)
app.command("keys", context_settings=_keys.PASSED_ON, add_help_option=False)(_keys.keys)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"audiograph {__version__}")
        raise typer.Exit


@app.callback()
def _shared(
    context: typer.Context,
    url: Annotated[str | None, typer.Option(envvar="AUDIOGRAPH_URL", help="The server.")] = None,
    api_key: Annotated[
        str | None, typer.Option(envvar="AUDIOGRAPH_API_KEY", help="Where the server requires one.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show it and exit.")
    ] = False,
) -> None:
    """Options that every command takes, before its name or after."""
    context.obj = Session(url=url, api_key=api_key, as_json=as_json)


def main() -> None:
    """Run the command line; the ``audiograph`` script."""
    app()

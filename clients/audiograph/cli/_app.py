"""The root command with its shared options, and all subcommands."""

from __future__ import annotations

from typing import Annotated

import typer

from audiograph._version import __version__
from audiograph.cli import _artifacts, _files, _jobs, _models, _server, _tasks, _voices
from audiograph.cli._group import RootGroup
from audiograph.cli._session import Session
from audiograph.cli._terminal import print_line

app = typer.Typer(
    cls=RootGroup,
    name="audiograph",
    help="Run audio models on an Audiograph server: transcribe, detect the key, separate, speak, and more.",
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


def _print_version(requested: bool) -> None:
    if requested:
        print_line(f"audiograph {__version__}")
        raise typer.Exit


@app.callback()
def _shared(
    context: typer.Context,
    url: Annotated[str | None, typer.Option(envvar="AUDIOGRAPH_URL", help="URL of the server.")] = None,
    api_key: Annotated[
        str | None, typer.Option(envvar="AUDIOGRAPH_API_KEY", help="API key, if the server requires one.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")] = False,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Store the options that every command accepts, before or after its name."""
    context.obj = Session(url=url, api_key=api_key, as_json=as_json)


def main() -> None:
    """Run the command line, as the ``audiograph`` script does."""
    app()

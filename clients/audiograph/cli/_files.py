"""The commands ``audiograph files upload`` and ``delete``."""

from __future__ import annotations

from typing import Annotated

import typer

from audiograph import File
from audiograph.cli._session import session_of
from audiograph.cli._waiting import upload

app = typer.Typer(help="Upload and delete files.", no_args_is_help=True)


@app.command("upload")
def upload_file(
    context: typer.Context, path: Annotated[str, typer.Argument(metavar="PATH", help="An audio file.")]
) -> None:
    """Upload a recording, to use its id in several jobs."""
    session = session_of(context)
    with session.client() as client:
        uploaded = upload(session, client, path)
        file = uploaded if isinstance(uploaded, File) else client.files.get(uploaded)
    session.show(file, lambda: typer.echo(file.id))


@app.command()
def delete(context: typer.Context, file: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """Delete an uploaded file that no job needs."""
    session = session_of(context)
    with session.client() as client:
        client.files.delete(file)
    session.show({"id": file, "deleted": True}, lambda: session.say(f"deleted {file}"))

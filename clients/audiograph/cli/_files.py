"""The commands ``audiograph files upload`` and ``delete``."""

from __future__ import annotations

from typing import Annotated

import typer

from audiograph.cli._session import session_of
from audiograph.cli._terminal import print_line
from audiograph.cli._waiting import opened
from audiograph.errors import InvalidRequest

app = typer.Typer(help="Upload and delete files.", no_args_is_help=True)


@app.command("upload")
def upload_file(
    context: typer.Context,
    path: Annotated[str, typer.Argument(metavar="PATH", help="An audio file.")],
    track: Annotated[
        int | None, typer.Option(help="Number of the audio track to use, from 1, of a file with several.")
    ] = None,
) -> None:
    """Upload a recording, to use its id in several jobs."""
    session = session_of(context)
    with session.client() as client, opened(session, path) as content:
        if not isinstance(content, str):
            file = client.files.upload(content, track=track)
        elif track is None:
            file = client.files.get(content)
        else:
            raise InvalidRequest(
                f"track is {track}: {content} is stored, of one track; upload the file again",
                field="track",
            )
    session.show(file, lambda: print_line(file.id))


@app.command()
def delete(context: typer.Context, file: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """Delete an uploaded file that no job needs."""
    session = session_of(context)
    with session.client() as client:
        client.files.delete(file)
    session.show({"id": file, "deleted": True}, lambda: session.say(f"deleted {file}"))

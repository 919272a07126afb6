"""The commands ``audiograph voices list``, ``add`` and ``remove``."""

from __future__ import annotations

from typing import Annotated

import typer

from audiograph._checks import ModelName, checked
from audiograph.cli._session import session_of
from audiograph.cli._terminal import print_line, print_table
from audiograph.cli._waiting import opened
from audiograph.schemas import VoiceInfo

app = typer.Typer(help="List voices, add and remove recorded ones.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the voice.")]


@app.command("list")
def list_voices(
    context: typer.Context,
    model: Annotated[str | None, typer.Option(help="Only voices of this model.")] = None,
) -> None:
    """List the voices for `audiograph speak --voice`."""
    session = session_of(context)
    checked(ModelName | None, model, "model")
    with session.client() as client:
        found = [voice for voice in client.voices.list() if model is None or model in voice.models]
    columns = ("voice", "name", "language", "source", "models")
    session.show(found, lambda: print_table(columns, [_row(voice) for voice in found]))


@app.command()
def add(
    context: typer.Context,
    name: Name,
    file: Annotated[str, typer.Argument(help="Recording of the voice; a path or an id.")],
    transcript: Annotated[
        str | None, typer.Option(help="Words of the recording, required by some models.")
    ] = None,
) -> None:
    """Store a recording as a voice, for models that clone voices."""
    session = session_of(context)
    with session.client() as client, opened(session, file) as recording:
        voice = client.voices.create(name, recording, transcript=transcript)
    session.show(voice, lambda: print_line(voice.id))


@app.command()
def remove(context: typer.Context, name: Name) -> None:
    """Delete a recorded voice; jobs submitted before keep it."""
    session = session_of(context)
    with session.client() as client:
        client.voices.delete(name)


def _row(voice: VoiceInfo) -> tuple[str, ...]:
    return voice.id, voice.name, voice.language or "", voice.source, ", ".join(voice.models)

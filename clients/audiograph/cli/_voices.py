"""``audiograph voices``."""

from __future__ import annotations

from typing import Annotated

import typer

from audiograph.cli._session import print_table, session_of
from audiograph.cli._waiting import upload
from audiograph.schemas import VoiceInfo

app = typer.Typer(help="See voices, and add recorded ones.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Of the voice.")]


@app.command("list")
def list_voices(
    context: typer.Context,
    model: Annotated[str | None, typer.Option(help="Those alone that it can speak with.")] = None,
) -> None:
    """The voices that `audiograph speak --voice` may name."""
    session = session_of(context)
    with session.client() as client:
        found = [voice for voice in client.voices.list() if model is None or model in voice.models]
    columns = ("voice", "name", "language", "source", "models")
    session.show(found, lambda: print_table(columns, [_row(voice) for voice in found]))


@app.command()
def add(
    context: typer.Context,
    name: Name,
    file: Annotated[str, typer.Argument(help="A recording of the voice; a path or an id.")],
    transcript: Annotated[
        str | None, typer.Option(help="What is said in it, which some models must know.")
    ] = None,
) -> None:
    """Keep a recording as a voice, for the models that clone voices."""
    session = session_of(context)
    with session.client() as client:
        voice = client.voices.create(name, upload(session, client, file), transcript=transcript)
    session.show(voice, lambda: typer.echo(voice.id))


@app.command()
def remove(context: typer.Context, name: Name) -> None:
    """Forget a voice; jobs that were submitted before keep it."""
    session = session_of(context)
    with session.client() as client:
        client.voices.delete(name)


def _row(voice: VoiceInfo) -> tuple[str, ...]:
    return voice.id, voice.name, voice.language or "", voice.source, ", ".join(voice.models)

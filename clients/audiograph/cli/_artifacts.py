"""The commands ``audiograph artifacts list`` and ``download``."""

from __future__ import annotations

from typing import Annotated

import typer

from audiograph import Artifact
from audiograph.cli._outputs import check_output
from audiograph.cli._params import Limit
from audiograph.cli._session import session_of
from audiograph.cli._terminal import print_path, print_table

app = typer.Typer(help="List and download the artifacts of jobs.", no_args_is_help=True)

COLUMNS = ("id", "name", "bytes", "seconds", "task", "model", "weights", "created")


@app.command("list")
def list_artifacts(
    context: typer.Context,
    *,
    tag: Annotated[str | None, typer.Option(help="Only those with this tag.")] = None,
    creator: Annotated[str | None, typer.Option(help="Only those of this creator.")] = None,
    variation_set: Annotated[str | None, typer.Option(help="Only those of this variation set.")] = None,
    parent: Annotated[str | None, typer.Option(help="Only those derived from this artifact.")] = None,
    limit: Limit = 20,
) -> None:
    """List the newest artifacts that meet every condition."""
    session = session_of(context)
    with session.client() as client:
        found = list(
            client.artifacts.search(
                tag=tag, creator=creator, variation_set_id=variation_set, parent_id=parent, limit=limit
            )
        )
    session.show(found, lambda: print_table(COLUMNS, [_row(artifact) for artifact in found]))
    for artifact in found:
        session.warn_if_random(artifact.weights, f"artifact {artifact.id}")


@app.command()
def download(
    context: typer.Context,
    artifact: Annotated[str, typer.Argument(metavar="ID")],
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="PATH", help="File or folder to write to.")
    ] = ".",
) -> None:
    """Save an artifact and verify its SHA-256."""
    session = session_of(context)
    check_output(output)
    with session.client() as client:
        record = client.artifacts.get(artifact)
        path = client.artifacts.download(record, output)
    session.show({**record.model_dump(mode="json"), "saved": [str(path)]}, lambda: print_path(path))
    session.warn_if_random(record.weights, f"artifact {record.id}")


def _row(artifact: Artifact) -> tuple[str, ...]:
    seconds = f"{artifact.duration:.1f}" if artifact.duration is not None else ""
    model = "/".join(part for part in (artifact.model, artifact.variant) if part)
    created = f"{artifact.created_at:%Y-%m-%d %H:%M:%S}"
    provenance = (artifact.task or "", model, artifact.weights or "", created)
    return artifact.id, artifact.name, str(artifact.bytes), seconds, *provenance

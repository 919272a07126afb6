"""Options shared by several commands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

Input = Annotated[str, typer.Argument(metavar="FILE", help="A path, or the id of a stored file or artifact.")]
JobId = Annotated[str, typer.Argument(metavar="JOB", help="Id of the job.")]
Model = Annotated[str | None, typer.Option(help="Model; the server's default for the task if absent.")]
WordTimestamps = Annotated[bool, typer.Option("--word-timestamps", help="Return the time of each word.")]
Variant = Annotated[str | None, typer.Option(help="Variant of the model; its default if absent.")]
Folder = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="DIR", help="Folder to save the artifacts in.")
]
Detach = Annotated[bool, typer.Option("--detach", help="Print the job's id without waiting.")]
Timeout = Annotated[
    float | None,
    typer.Option(
        min=0, metavar="SECONDS", help="Maximum time to wait; the job keeps running (exit status 5)."
    ),
]
Limit = Annotated[int, typer.Option(min=1, help="Maximum number of rows.")]


def without_unset(**fields: Any) -> dict[str, Any]:
    """Return the options that were set; the server's defaults apply to the others."""
    return {name: value for name, value in fields.items() if value is not None and value is not False}

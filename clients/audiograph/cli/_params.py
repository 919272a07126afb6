"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

Input = Annotated[str, typer.Argument(metavar="FILE", help="A path, or the id of a file or artifact.")]
JobId = Annotated[str, typer.Argument(metavar="JOB", help="The job's id.")]
Model = Annotated[str | None, typer.Option(help="Model family; the server's default for the task if absent.")]
Variant = Annotated[str | None, typer.Option(help="Variant of the model; its default if absent.")]
Folder = Annotated[Path | None, typer.Option("--output", "-o", metavar="DIR", help="Save artifacts here.")]
Detach = Annotated[bool, typer.Option("--detach", help="Print the job's id and do not wait.")]
Timeout = Annotated[
    float | None, typer.Option(min=0, metavar="SECONDS", help="Wait no longer; the job goes on (exit 5).")
]
Limit = Annotated[int, typer.Option(min=1, help="How many at most.")]


def given(**fields: Any) -> dict[str, Any]:
    """The options that were set, so that the server's defaults hold for the rest."""
    return {name: value for name, value in fields.items() if value is not None and value is not False}

"""State of one run of the command line: its client and its output."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import typer
from pydantic import BaseModel
from rich.console import Console
from rich.table import Table

from audiograph import Audiograph
from audiograph.errors import AudiographError, JobCanceled, JobFailed

PIPED_WIDTH = 200
"""Columns of a table whose width no terminal limits."""


@dataclass
class Session:
    """Shared options of one run, its client and its output streams."""

    url: str | None
    api_key: str | None
    as_json: bool
    messages: Console = field(default_factory=lambda: Console(stderr=True, soft_wrap=True, highlight=False))

    def client(self) -> Audiograph:
        """Create a client of the chosen server."""
        return Audiograph(self.url, api_key=self.api_key)

    def show(self, document: Any, print_text: Callable[[], None]) -> None:
        """Print a result: the document with --json, else the text."""
        if self.as_json:
            typer.echo(json.dumps(jsonable(document), indent=2, ensure_ascii=False))
        else:
            print_text()

    def say(self, message: str, style: str | None = None) -> None:
        """Print a message on stderr."""
        self.messages.print(message, style=style, markup=False)

    def warn_if_random(self, weights: str | None, subject: str) -> None:
        """Warn if random weights were used, so that the output is not mistaken for a real result."""
        if weights == "random":
            self.say(
                f'{subject} has weights: "random". No pretrained weights are available, so an untrained '
                "model of the same architecture ran; its output is meaningless.",
                "yellow",
            )

    def report(self, error: AudiographError) -> None:
        """Print an error on stderr and, with --json, as the document."""
        self.say(f"error: {error}", "red")
        if error.retry_after is not None:
            self.say(f"Try again in {error.retry_after:.0f} s.")
        if self.as_json:
            ended = error.job if isinstance(error, (JobFailed, JobCanceled)) else None
            self.show(ended or {"error": error.to_wire()}, lambda: None)


def session_of(context: typer.Context) -> Session:
    """Return the session that the root command created."""
    session = context.find_object(Session)
    assert session is not None
    return session


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table on stdout."""
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*row)
    console = Console(markup=False, highlight=False)
    if not sys.stdout.isatty():
        console.width = PIPED_WIDTH
    console.print(table)


def jsonable(document: Any) -> Any:
    """Convert records, and lists and dictionaries of them, to plain JSON values."""
    if isinstance(document, BaseModel):
        return document.model_dump(mode="json")
    if isinstance(document, dict):
        return {key: jsonable(value) for key, value in document.items()}
    if isinstance(document, list | tuple):
        return [jsonable(value) for value in document]
    return document

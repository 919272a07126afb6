"""State of one run of the command line: its client and its output."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import typer
from pydantic import BaseModel
from rich.console import Console
from rich.table import Table

from audiograph import Audiograph
from audiograph.errors import AudiographError, JobCanceled, JobFailed

INTERRUPTED = 130
"""Exit status after Ctrl-C."""
PIPED_WIDTH = 200
"""Columns of a table whose width no terminal limits."""


@dataclass
class Session:
    """Shared options of one run, its client and its output streams."""

    url: str | None = None
    api_key: str | None = None
    as_json: bool = False
    messages: Console = field(default_factory=lambda: Console(stderr=True, soft_wrap=True, highlight=False))

    def client(self) -> Audiograph:
        """Create a client of the chosen server."""
        return Audiograph(self.url, api_key=self.api_key)

    def show(self, document: Any, print_text: Callable[[], None]) -> None:
        """Print a result: the document with --json, else the text."""
        if self.as_json:
            text = json.dumps(jsonable(document), indent=2, ensure_ascii=False)
            typer.echo(text.encode(errors="surrogateescape"))  # a path may be no Unicode
        else:
            print_text()

    def say(self, message: str, style: str | None = None) -> None:
        """Print a message on stderr, in one line."""
        self.messages.print(one_line(message), style=style, markup=False)

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
        later = "" if error.retry_after is None else f". Try again in {error.retry_after:.0f} s."
        self.say(f"error: {error}{later}", "red")
        if self.as_json:
            ended = error.job if isinstance(error, (JobFailed, JobCanceled)) else None
            self.show(ended or {"error": error.to_wire()}, lambda: None)


def one_line(text: str) -> str:
    """Return a text with blanks for line breaks, and escapes for characters that could steer a terminal."""
    words = " ".join(line.strip() for line in text.splitlines())
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in words)


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
    with console.capture() as captured:
        console.print(table)
    typer.echo(captured.get(), nl=False)  # raises BrokenPipeError where Rich would exit without a word


def print_path(path: Path) -> None:
    """Print a path on stdout, byte for byte: it may be no Unicode."""
    typer.echo(os.fsencode(path))


def jsonable(document: Any) -> Any:
    """Convert records, and lists and dictionaries of them, to plain JSON values."""
    if isinstance(document, BaseModel):
        return document.model_dump(mode="json")
    if isinstance(document, dict):
        return {key: jsonable(value) for key, value in document.items()}
    if isinstance(document, list | tuple):
        return [jsonable(value) for value in document]
    return document

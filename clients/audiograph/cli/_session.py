"""What every command has at hand: the client, the two output streams, and how to speak on them."""

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
"""Columns of a table that no terminal limits."""


@dataclass
class Session:
    """One run of the command line."""

    url: str | None
    api_key: str | None
    as_json: bool
    messages: Console = field(default_factory=lambda: Console(stderr=True, soft_wrap=True, highlight=False))

    def client(self) -> Audiograph:
        """A client of the chosen server."""
        return Audiograph(self.url, api_key=self.api_key)

    def show(self, document: Any, show: Callable[[], None]) -> None:
        """Give the result: the document with --json, and in words without."""
        if self.as_json:
            typer.echo(json.dumps(jsonable(document), indent=2, ensure_ascii=False))
        else:
            show()

    def say(self, message: str, style: str | None = None) -> None:
        """A message on stderr."""
        self.messages.print(message, style=style, markup=False)

    def warn_if_random(self, weights: str | None, what: str) -> None:
        """Say that untrained weights made this, so that nobody takes it for a result."""
        if weights == "random":
            self.say(
                f'{what} has weights: "random". No pretrained weights are here, so an untrained model of the '
                "same architecture ran; what it says means nothing.",
                "yellow",
            )

    def report(self, error: AudiographError) -> None:
        """Tell what went wrong, on stderr and, with --json, as the document."""
        self.say(f"error: {error}", "red")
        if error.retry_after is not None:
            self.say(f"Try again in {error.retry_after:.0f} s.")
        if self.as_json:
            told = error.job if isinstance(error, (JobFailed, JobCanceled)) else {"error": error.to_wire()}
            self.show(told, lambda: None)


def session_of(context: typer.Context) -> Session:
    """The session that the root command made."""
    session = context.find_object(Session)
    assert session is not None
    return session


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table on stdout."""
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*row)
    console = Console(markup=False, highlight=False)
    if not sys.stdout.isatty():
        console.width = PIPED_WIDTH
    console.print(table)


def jsonable(document: Any) -> Any:
    """Records, and lists and dictionaries of them, as plain JSON values."""
    if isinstance(document, BaseModel):
        return document.model_dump(mode="json")
    if isinstance(document, dict):
        return {key: jsonable(value) for key, value in document.items()}
    if isinstance(document, list | tuple):
        return [jsonable(value) for value in document]
    return document

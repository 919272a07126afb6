"""State of one run of the command line: its client and its output."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import typer
from pydantic import BaseModel
from rich.console import Console

from audiograph import Audiograph
from audiograph.cli._terminal import console, one_line, print_json
from audiograph.errors import AudiographError, JobCanceled, JobFailed, names_field, rename_field

INTERRUPTED = 130
"""Exit status after Ctrl-C."""


@dataclass
class Session:
    """Shared options of one run, its client and its output streams."""

    url: str | None = None
    api_key: str | None = None
    as_json: bool = False
    command: Any = None
    """The command that runs, of Click."""
    messages: Console = field(default_factory=lambda: console(stderr=True))

    def client(self) -> Audiograph:
        """Create a client of the chosen server."""
        return Audiograph(self.url, api_key=self.api_key)

    def show(self, document: Any, show_text: Callable[[], None]) -> None:
        """Print a result: the document with --json, else the text."""
        if self.as_json:
            print_json(jsonable(document))
        else:
            show_text()

    def say(self, message: str, style: str | None = None) -> None:
        """Print a message on stderr, in one line; where stderr is lost, the exit status alone tells."""
        with suppress(OSError):
            with self.messages.capture() as captured:  # Rich itself would exit if stderr is closed
                self.messages.print(one_line(message), style=style)
            typer.echo(captured.get(), nl=False, err=True, color=True)  # Rich has decided on colors

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
        self.say(f"error: {self._message(error)}{later}", "red")
        if self.as_json:
            ended = error.job if isinstance(error, (JobFailed, JobCanceled)) else None
            self.show(ended or {"error": error.to_wire()}, lambda: None)

    def _message(self, error: AudiographError) -> str:
        """Return an error's message, which names the option by which the caller gave the field."""
        option = self._option((error.field or "").partition(".")[0])
        if option is None:
            return error.message
        message = rename_field(error.message, error.field or "", option)
        return message if names_field(message, option) else f"{option}: {message}"

    def _option(self, field: str) -> str | None:
        """Return the option for a field, such as ``--parent`` for ``parent_id``; None if it has none."""
        known = {name for parameter in self.command.params for name in parameter.opts} if self.command else ()
        words = field.replace("_", "-")
        return next(
            (name for name in (f"--{words}", f"--{words.removesuffix('-id')}") if name in known), None
        )


def session_of(context: typer.Context) -> Session:
    """Return the session that the root command created, and tell it of the command that runs."""
    session = context.find_object(Session)
    assert session is not None
    session.command = context.command
    return session


def jsonable(document: Any) -> Any:
    """Convert records, and lists and dictionaries of them, to plain JSON values."""
    if isinstance(document, BaseModel):
        return document.model_dump(mode="json")
    if isinstance(document, dict):
        return {key: jsonable(value) for key, value in document.items()}
    if isinstance(document, list | tuple):
        return [jsonable(value) for value in document]
    return document

"""All that commands print: text of servers and files, made harmless, as it is or as a table.

Escape sequences, carriage returns and marks of writing direction could hide or forge what a terminal shows.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from audiograph.errors import ClientError

PIPED_WIDTH = 200
"""Columns of a table whose width no terminal limits."""

_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters except tabs and line feeds, line separators, marks of direction, and lone surrogates."""


def harmless(text: str) -> str:
    """Return a text with escapes for characters that could steer a terminal."""
    return _UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def one_line(text: str) -> str:
    """Return a harmless text with blanks for line breaks."""
    first, *others = text.splitlines() or [""]
    return harmless(" ".join([first.rstrip(), *(line.strip() for line in others)]))


def console(*, stderr: bool = False) -> Console:
    """Return a console that prints text as it is, without markup, emoji codes and highlights."""
    return Console(stderr=stderr, soft_wrap=stderr, markup=False, emoji=False, highlight=False)


def print_line(text: str) -> None:
    """Print a text on stdout, in one harmless line."""
    _write(one_line(text))


def print_text(text: str) -> None:
    """Print the text of a result on stdout: as it is, or harmless on a terminal."""
    _write(harmless(text) if sys.stdout.isatty() else text, nl=False)


def print_json(document: Any) -> None:
    """Print plain JSON on stdout; characters that could steer a terminal are escaped, as JSON allows."""
    text = json.dumps(document, indent=2, ensure_ascii=False)
    _write(_UNSAFE.sub(_escaped, text).encode(errors="surrogateescape"))


def print_path(path: Path) -> None:
    """Print a path on stdout, byte for byte, since it may be no Unicode; or harmless on a terminal."""
    _write(harmless(str(path)) if sys.stdout.isatty() else os.fsencode(path))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table on stdout."""
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*map(one_line, row))
    printer = console()
    if not sys.stdout.isatty():
        printer.width = PIPED_WIDTH
    with printer.capture() as captured:
        printer.print(table)
    _write(captured.get(), nl=False)  # Rich itself would exit without a word if stdout is closed


def discard_stdout() -> None:
    """Replace stdout, so that the interpreter does not fail to flush it at its end."""
    sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123


def lost_stdout(error: OSError) -> ClientError:
    """Return the exception for an error in writing to stdout, which is then given up."""
    discard_stdout()
    if isinstance(error, BrokenPipeError):
        return ClientError("stdout was closed before everything was printed")
    return ClientError(f"stdout cannot be written: {error.strerror or error}")


def _write(content: str | bytes, *, nl: bool = True) -> None:
    try:
        typer.echo(content, nl=nl)
    except OSError as error:
        raise lost_stdout(error) from error


def _escaped(found: re.Match[str]) -> str:
    """Return JSON's escape of a character; a byte of a path that is no Unicode stays."""
    return found[0] if "\udc80" <= found[0] <= "\udcff" else f"\\u{ord(found[0]):04x}"

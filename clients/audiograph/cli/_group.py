"""Groups of commands, which report each error in one line; the root accepts shared options anywhere."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import typer
from pydantic import ValidationError
from typer.core import TyperGroup

from audiograph._checks import fault
from audiograph._wording import shortened
from audiograph.cli import _extensions
from audiograph.cli._session import INTERRUPTED, Session
from audiograph.cli._terminal import lost_stdout
from audiograph.errors import (
    AudiographError,
    Canceled,
    ClientError,
    ConnectionFailed,
    InvalidRequest,
    JobCanceled,
    QueueFull,
    RequestError,
    WaitTimeout,
)

EXIT_STATUSES: tuple[tuple[type[AudiographError], int], ...] = (
    (ConnectionFailed, 3),
    (JobCanceled, 4),
    (Canceled, 4),
    (WaitTimeout, 5),
    (QueueFull, 1),  # the request is valid, the server is busy
    (RequestError, 2),
    (AudiographError, 1),
)

MAX_MESSAGE = 320
"""Characters of a usage error, whose argument may be long."""
_QUOTED = re.compile(r"""(['"])(?:(?!\1).)+\1""", re.DOTALL)
"""A value within a usage error."""

SHARED_FLAGS = frozenset({"--json"})
SHARED_OPTIONS = frozenset({"--url", "--api-key"})


USAGE_ERROR: Any = typer.BadParameter.__base__
"""The class of all usage errors, of which Typer exports no more than this subclass."""


class ReportingGroup(TyperGroup):
    """A group of commands that reports every error in one line on stderr, and as an exit status."""

    def make_context(self, *args: Any, **extra: Any) -> Any:
        """Parse the group's own options."""
        words = [word for given in args if isinstance(given, list) for word in given]
        with _reporting(lambda: Session(as_json="--json" in words)):
            return super().make_context(*args, **extra)

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        with _reporting(lambda: ctx.find_object(Session) or Session()):  # the root command creates it
            return super().invoke(ctx)


class RootGroup(ReportingGroup):
    """The group of all commands, the client's own and those of other packages."""

    def list_commands(self, ctx: Any) -> list[str]:
        """List the names of all commands."""
        return [*super().list_commands(ctx), *_extensions.names()]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command by name, or None; a command of another package only as an outline."""
        return super().get_command(ctx, cmd_name) or _extensions.outline(cmd_name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return name, command and arguments of the command to run."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, (_extensions.load(name) if name in _extensions.names() else command), rest

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Accept the shared options anywhere, so that ``audiograph key a.mp3 --json`` works."""
        return super().parse_args(ctx, hoist_shared_options(args))


@contextmanager
def _reporting(session: Callable[[], Session]) -> Iterator[None]:
    try:
        yield
    except USAGE_ERROR as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # the help has been printed
            raise
        _fail(session(), _usage(error), error)
    except AudiographError as error:
        _fail(session(), error, error)
    except BrokenPipeError as error:
        _fail(session(), lost_stdout(error), error)
    except OSError as error:
        _fail(session(), ClientError(str(error)), error)
    except UnicodeEncodeError as error:
        message = f"stdout has the encoding {error.encoding}, which lacks a character of the result: set "
        _fail(session(), ClientError(f"{message}PYTHONIOENCODING=utf-8"), error)
    except KeyboardInterrupt as error:
        session().say("interrupted")
        raise typer.Exit(INTERRUPTED) from error


def _fail(session: Session, reported: AudiographError, cause: BaseException) -> NoReturn:
    session.report(reported)
    raise typer.Exit(exit_status(reported)) from cause


def _usage(error: Any) -> InvalidRequest:
    """Return a usage error in the form of all others: the argument, the reason, the given value, the cure."""
    message = _QUOTED.sub(lambda found: shortened(found[0]), error.format_message().rstrip("."))
    field = None
    parameter = getattr(error, "param", None)
    if parameter is not None:
        field = parameter.name
        if isinstance(error.__cause__, ValidationError):
            message = f"{' / '.join(parameter.opts)}: {fault(error.__cause__).rstrip('.')}"
    where = f" (see `{error.ctx.command_path} --help`)" if error.ctx is not None else ""
    return InvalidRequest(shortened(message, MAX_MESSAGE) + where, field=field)


def exit_status(error: AudiographError) -> int:
    """Return the exit status of an error."""
    return next(status for kind, status in EXIT_STATUSES if isinstance(error, kind))


def hoist_shared_options(args: list[str]) -> list[str]:
    """Move the shared options to the front, except after ``--`` and for commands of other packages."""
    if args and args[0] in _extensions.names():
        return args
    end = args.index("--") if "--" in args else len(args)
    front: list[str] = []
    rest: list[str] = []
    words = iter(args[:end])
    for word in words:
        option, equals, _ = word.partition("=")
        if option in SHARED_OPTIONS and not equals:
            front += [word, *[value for value in [next(words, None)] if value is not None]]
        elif option in SHARED_OPTIONS | SHARED_FLAGS:
            front.append(word)
        else:
            rest.append(word)
    return front + rest + args[end:]

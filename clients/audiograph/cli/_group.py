"""The root command: accepts shared options anywhere, and turns errors into messages and exit statuses."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from audiograph.cli import _extensions
from audiograph.cli._session import Session
from audiograph.errors import (
    AudiographError,
    Canceled,
    ClientError,
    ConnectionFailed,
    JobCanceled,
    QueueFull,
    RequestError,
    WaitTimeout,
)

INTERRUPTED = 130
EXIT_STATUSES: tuple[tuple[type[AudiographError], int], ...] = (
    (ConnectionFailed, 3),
    (JobCanceled, 4),
    (Canceled, 4),
    (WaitTimeout, 5),
    (QueueFull, 1),  # the request is valid, the server is busy
    (RequestError, 2),
    (AudiographError, 1),
)

SHARED_FLAGS = frozenset({"--json"})
SHARED_OPTIONS = frozenset({"--url", "--api-key"})


class RootGroup(TyperGroup):
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

    def invoke(self, ctx: Any) -> Any:
        """Run the command; report an error as a message on stderr and an exit status."""
        try:
            return super().invoke(ctx)
        except AudiographError as error:
            self._session(ctx).report(error)
            raise typer.Exit(exit_status(error)) from error
        except BrokenPipeError:
            raise  # the reader of stdout is gone, which Typer handles
        except OSError as error:
            self._session(ctx).report(ClientError(str(error)))
            raise typer.Exit(2) from error
        except KeyboardInterrupt as error:
            raise typer.Exit(INTERRUPTED) from error

    @staticmethod
    def _session(ctx: typer.Context) -> Session:
        session = ctx.find_object(Session)
        assert session is not None
        return session


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

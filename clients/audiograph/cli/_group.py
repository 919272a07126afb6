"""The root command: shared options anywhere on the line, and errors as messages and exit statuses."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

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
    (QueueFull, 1),  # nothing wrong with the request: the server is busy
    (RequestError, 2),
    (AudiographError, 1),
)

FLAGS = frozenset({"--json"})
VALUED = frozenset({"--url", "--api-key"})


class RootGroup(TyperGroup):
    """Wraps every command."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take the shared options from wherever they stand, so that ``audiograph key a.mp3 --json`` works."""
        return super().parse_args(ctx, hoisted(args))

    def invoke(self, ctx: Any) -> Any:
        """Run the command; what goes wrong becomes one message on stderr and an exit status."""
        try:
            return super().invoke(ctx)
        except AudiographError as error:
            self._session(ctx).report(error)
            raise typer.Exit(exit_status(error)) from error
        except BrokenPipeError:
            raise  # the reader of our output has gone, which click handles
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
    """The status that a script sees."""
    return next(status for kind, status in EXIT_STATUSES if isinstance(error, kind))


def hoisted(args: list[str]) -> list[str]:
    """The arguments with the shared options first; those after ``--``, and those of ``keys``, stay."""
    if args[:1] == ["keys"]:
        return args
    end = args.index("--") if "--" in args else len(args)
    front: list[str] = []
    rest: list[str] = []
    words = iter(args[:end])
    for word in words:
        option, equals, _ = word.partition("=")
        if option in VALUED and not equals:
            front += [word, *[value for value in [next(words, None)] if value is not None]]
        elif option in VALUED | FLAGS:
            front.append(word)
        else:
            rest.append(word)
    return front + rest + args[end:]

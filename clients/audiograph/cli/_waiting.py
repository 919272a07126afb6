"""Uploads and waiting, with a progress bar on stderr if that is a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import BinaryIO

import typer
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)

from audiograph import Audiograph, AudiographError, Job, JobEvent
from audiograph._sources import stored_id
from audiograph._wording import shown
from audiograph.cli._session import INTERRUPTED, Session
from audiograph.cli._terminal import one_line
from audiograph.errors import InvalidRequest


@contextmanager
def opened(session: Session, path_or_id: str) -> Iterator[BinaryIO | str]:
    """Open the file at a path, with a progress bar of its upload; the id of a stored one is yielded as it is.

    Raises:
        InvalidRequest: the file cannot be opened.
    """
    if stored_id(path_or_id) is not None:
        yield path_or_id
        return
    with _bar(session) as bar, _open(bar, path_or_id) as file:
        yield file


def _open(bar: Progress, given: str) -> AbstractContextManager[BinaryIO]:
    path = Path(given)
    try:
        return bar.open(given, "rb", description=one_line(f"uploading {path.name}"))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        message = f"file is {shown(given)}: {reason}; name a recording, or the id of a stored one"
        raise InvalidRequest(message, field="file") from error


def wait(session: Session, client: Audiograph, job: Job, *, timeout: float | None, owned: bool = True) -> Job:
    """Wait for a job and return it; Ctrl-C cancels the job if this command submitted it (``owned``)."""
    try:
        with _bar(session) as bar:
            watcher = _Watcher(bar, job)
            job = client.jobs.wait(job, on_progress=watcher.on_event, timeout=timeout)
    except KeyboardInterrupt as interruption:
        _cancel_if_owned(session, client, job, owned=owned)
        raise typer.Exit(INTERRUPTED) from interruption
    session.warn_if_random(job.weights, f"job {job.id}")
    return job


class _Watcher:
    """Shows the events of a job in a progress bar."""

    def __init__(self, bar: Progress, job: Job) -> None:
        self._bar = bar
        self._task = bar.add_task(f"{job.task}: {job.status}", total=1.0)

    def on_event(self, event: JobEvent) -> None:
        stage = event.message if event.type == "retrying" else event.stage
        eta = f" ({event.eta_seconds:.0f} s left)" if event.eta_seconds is not None else ""
        description = one_line(f"{stage or event.type}{eta}")
        self._bar.update(self._task, completed=event.progress, description=description)


def _cancel_if_owned(session: Session, client: Audiograph, job: Job, *, owned: bool) -> None:
    if not owned:
        session.say(f"job {job.id} keeps running")
        return
    try:
        client.jobs.cancel(job)
    except AudiographError as error:
        session.say(f"job {job.id} may keep running: {error}", "red")
    else:
        session.say(f"canceled job {job.id}")


@contextmanager
def _bar(session: Session) -> Iterator[Progress]:
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False))
    measures = (BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    console = session.messages
    with Progress(
        *columns, *measures, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        yield bar

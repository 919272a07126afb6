"""Uploading and waiting, with a bar on a terminal's stderr."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)

from audiograph import Audiograph, AudiographError, File, Job, JobEvent
from audiograph._sources import stored_id
from audiograph.cli._session import Session


def upload(session: Session, client: Audiograph, given: str) -> File | str:
    """The id if that is what was given, else the file of this path on the server."""
    known = stored_id(given)
    if known is not None:
        return known
    path = Path(given)
    with _bar(session) as bar, bar.open(path, "rb", description=f"uploading {path.name}") as file:
        return client.files.upload(file, name=path.name)


def wait(session: Session, client: Audiograph, job: Job, *, timeout: float | None, owned: bool = True) -> Job:
    """The job once it has ended; Ctrl-C cancels it if it is this command's own."""
    try:
        with _bar(session) as bar:
            watcher = _Watcher(bar, job)
            job = client.jobs.wait(job, on_progress=watcher.on_event, timeout=timeout)
    except KeyboardInterrupt:
        _interrupted(session, client, job, owned=owned)
        raise
    session.warn_if_random(job.weights, f"job {job.id}")
    return job


class _Watcher:
    """Draws a job's events."""

    def __init__(self, bar: Progress, job: Job) -> None:
        self._bar = bar
        self._task = bar.add_task(f"{job.task}: {job.status}", total=1.0)

    def on_event(self, event: JobEvent) -> None:
        stage = event.message if event.type == "retrying" else event.stage
        what = stage or event.type
        eta = f" ({event.eta_seconds:.0f} s left)" if event.eta_seconds is not None else ""
        self._bar.update(self._task, completed=event.progress, description=f"{what}{eta}")


def _interrupted(session: Session, client: Audiograph, job: Job, *, owned: bool) -> None:
    if not owned:
        session.say(f"job {job.id} goes on")
        return
    try:
        client.jobs.cancel(job)
    except AudiographError as error:
        session.say(f"job {job.id} may go on: {error}", "red")
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

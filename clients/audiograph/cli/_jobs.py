"""The commands ``audiograph jobs list``, ``get``, ``watch``, ``cancel`` and ``events``."""

from __future__ import annotations

from typing import Annotated

import typer

from audiograph import Job, JobEvent
from audiograph.cli._params import JobId, Limit, Timeout
from audiograph.cli._session import session_of
from audiograph.cli._terminal import print_line, print_table
from audiograph.cli._waiting import wait
from audiograph.schemas import JobStatus, TaskName

app = typer.Typer(help="List, watch and cancel jobs.", no_args_is_help=True)

COLUMNS = ("id", "task", "model", "weights", "status", "progress", "created")


@app.command("list")
def list_jobs(
    context: typer.Context,
    status: Annotated[JobStatus | None, typer.Option(help="Only those with this status.")] = None,
    task: Annotated[TaskName | None, typer.Option(help="Only those of this task.")] = None,
    limit: Limit = 20,
) -> None:
    """List the newest jobs."""
    session = session_of(context)
    with session.client() as client:
        jobs = list(client.jobs.list(status=status, task=task, limit=limit))
    session.show(jobs, lambda: print_table(COLUMNS, [_row(job) for job in jobs]))
    for job in jobs:
        session.warn_if_random(job.weights, f"job {job.id}")


@app.command()
def get(context: typer.Context, job: JobId) -> None:
    """Show the current state of a job."""
    session = session_of(context)
    with session.client() as client:
        current = client.jobs.get(job)
    session.show(current, lambda: _print_job(current))
    session.warn_if_random(current.weights, f"job {current.id}")


@app.command()
def watch(context: typer.Context, job: JobId, timeout: Timeout = None) -> None:
    """Wait for a job and show its progress; Ctrl-C leaves it running."""
    session = session_of(context)
    with session.client() as client:
        current = client.jobs.get(job)
        done = wait(session, client, current, timeout=timeout, owned=False)
    session.show(done, lambda: _print_job(done))


@app.command()
def cancel(context: typer.Context, job: JobId) -> None:
    """Cancel a queued or running job."""
    session = session_of(context)
    with session.client() as client:
        canceled = client.jobs.cancel(job)
    session.show(canceled, lambda: print_line(f"{canceled.id} {canceled.status}"))


@app.command()
def events(
    context: typer.Context,
    job: JobId,
    after: Annotated[str | None, typer.Option(help="Only those after the event of this id.")] = None,
) -> None:
    """Print the events of a job as they occur, up to the final one."""
    session = session_of(context)
    with session.client() as client:
        if session.as_json:
            session.show(list(client.jobs.events(job, after=after)), lambda: None)
            return
        for event in client.jobs.events(job, after=after):
            print_line(_line(event))


def _row(job: Job) -> tuple[str, ...]:
    model = "/".join(part for part in (job.model, job.variant) if part)
    created = f"{job.created_at:%Y-%m-%d %H:%M:%S}"
    return job.id, job.task, model, job.weights or "", job.status, f"{job.progress:.0%}", created


def _print_job(job: Job) -> None:
    print_table(COLUMNS, [_row(job)])
    if job.error is not None:
        where = f" in {job.error.stage}" if job.error.stage else ""
        print_line(f"{job.error.code}{where}: {job.error.message}")
    for artifact in job.artifacts:
        print_line(f"{artifact.id}  {artifact.name}  {artifact.bytes} bytes")


def _line(event: JobEvent) -> str:
    progress = f"{event.progress:.0%}" if event.progress is not None else ""
    parts = (f"{event.created_at:%H:%M:%S}", event.type, progress, event.stage, event.message)
    return "  ".join(part for part in parts if part)

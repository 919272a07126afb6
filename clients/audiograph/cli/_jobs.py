"""``audiograph jobs``: list, get, watch, cancel, events."""

from __future__ import annotations

from typing import Annotated

import typer

from audiograph import Job, JobEvent
from audiograph.cli._params import JobId, Limit, Timeout
from audiograph.cli._session import print_table, session_of
from audiograph.cli._waiting import wait
from audiograph.schemas import JobStatus, TaskName

app = typer.Typer(help="See to jobs.", no_args_is_help=True)

COLUMNS = ("id", "task", "model", "weights", "status", "progress", "created")


@app.command("list")
def list_jobs(
    context: typer.Context,
    status: Annotated[JobStatus | None, typer.Option(help="Those in this state.")] = None,
    task: Annotated[TaskName | None, typer.Option(help="Those of this task.")] = None,
    limit: Limit = 20,
) -> None:
    """The newest jobs."""
    session = session_of(context)
    with session.client() as client:
        jobs = list(client.jobs.list(status=status, task=task, limit=limit))
    session.show(jobs, lambda: print_table(COLUMNS, [_row(job) for job in jobs]))
    for job in jobs:
        session.warn_if_random(job.weights, f"job {job.id}")


@app.command()
def get(context: typer.Context, job: JobId) -> None:
    """One job as it is now."""
    session = session_of(context)
    with session.client() as client:
        known = client.jobs.get(job)
    session.show(known, lambda: _print_job(known))
    session.warn_if_random(known.weights, f"job {known.id}")


@app.command()
def watch(context: typer.Context, job: JobId, timeout: Timeout = None) -> None:
    """Wait for a job with a progress bar; Ctrl-C leaves it running."""
    session = session_of(context)
    with session.client() as client:
        known = client.jobs.get(job)
        done = wait(session, client, known, timeout=timeout, owned=False)
    session.show(done, lambda: _print_job(done))


@app.command()
def cancel(context: typer.Context, job: JobId) -> None:
    """Stop a job, queued or running."""
    session = session_of(context)
    with session.client() as client:
        stopped = client.jobs.cancel(job)
    session.show(stopped, lambda: typer.echo(f"{stopped.id} {stopped.status}"))


@app.command()
def events(
    context: typer.Context,
    job: JobId,
    after: Annotated[str | None, typer.Option(help="Only those after this event's id.")] = None,
) -> None:
    """A job's events, as they come, to the final one."""
    session = session_of(context)
    with session.client() as client:
        if session.as_json:
            session.show(list(client.jobs.events(job, after=after)), lambda: None)
            return
        for event in client.jobs.events(job, after=after):
            typer.echo(_line(event))


def _row(job: Job) -> tuple[str, ...]:
    model = "/".join(part for part in (job.model, job.variant) if part)
    created = f"{job.created_at:%Y-%m-%d %H:%M:%S}"
    return job.id, job.task, model, job.weights or "", job.status, f"{job.progress:.0%}", created


def _print_job(job: Job) -> None:
    print_table(COLUMNS, [_row(job)])
    if job.error is not None:
        where = f" in {job.error.stage}" if job.error.stage else ""
        typer.echo(f"{job.error.code}{where}: {job.error.message}")
    for artifact in job.artifacts:
        typer.echo(f"{artifact.id}  {artifact.name}  {artifact.bytes} bytes")


def _line(event: JobEvent) -> str:
    progress = f"{event.progress:.0%}" if event.progress is not None else ""
    parts = (f"{event.created_at:%H:%M:%S}", event.type, progress, event.stage, event.message)
    return "  ".join(part for part in parts if part)

"""Measures full-size models on a GPU: ``python -m benchmarks.gpu``; ``--tiny`` runs everywhere."""

from pathlib import Path
from typing import Annotated

import typer

from benchmarks.gpu.journal import FILE, Journal
from benchmarks.gpu.plan import ROOT, UnknownMeasurement, plan
from benchmarks.gpu.supervisor import supervise

FAILED, INCOMPLETE = 1, 3

application = typer.Typer(add_completion=False)


@application.command()
def main(
    tiny: Annotated[
        bool, typer.Option("--tiny", help="Use tiny models, to check that everything runs; needs no GPU.")
    ] = False,
    seconds: Annotated[float, typer.Option(min=1, help="Time of the whole run.")] = 480,
    output: Annotated[Path, typer.Option(help="Folder of results.json.")] = ROOT / "bench_output" / "gpu",
    only: Annotated[list[str] | None, typer.Option(help="Take this measurement alone; repeatable.")] = None,
) -> None:
    """Take all measurements by worth, and write results.json after every one.

    The exit code is 0 if all were taken, 1 if one failed, 3 if none failed but some were skipped.
    """
    try:
        measurements = plan(only or ())
    except UnknownMeasurement as error:
        raise typer.BadParameter(str(error), param_hint="--only") from error
    journal = Journal.create(output, measurements, tiny=tiny, seconds=seconds)
    supervise(journal)
    for entry in journal.entries("failed", "skipped"):
        typer.echo(f"{entry['state']}: {entry['name']}: {entry['reason']}")
    done = len(journal.entries("measured"))
    typer.echo(f"{done} of {len(measurements)} measured; details in {output / FILE}")
    raise typer.Exit(exit_code(journal))


def exit_code(journal: Journal) -> int:
    """Return the exit code of a run that has ended."""
    if journal.entries("failed"):
        return FAILED
    return INCOMPLETE if journal.entries("skipped", "waiting") else 0


if __name__ == "__main__":
    application()

"""Runs every comparison with a baseline: ``make bench``."""

import importlib
import os
import tempfile
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks.measure import Comparison, Setting

OUTPUT = Path(__file__).resolve().parent.parent / "bench_output"


class Subject(StrEnum):
    """A module of this folder with a ``compare`` function."""

    OVERHEAD = "overhead"
    DURABILITY = "durability"
    KEY_SPEED = "key_speed"
    MUSICGEN_SPEED = "musicgen_speed"
    DEMUCS_SPEED = "demucs_speed"
    WHISPER_SPEED = "whisper_speed"


def main(
    only: Annotated[list[Subject] | None, typer.Option(help="Run this comparison alone; repeatable.")] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Use few rounds, to check that everything runs.")
    ] = False,
) -> None:
    """Run the benchmarks, print tables, and write a chart and JSON into bench_output/."""
    start = time.monotonic()
    console = Console(highlight=False)
    comparisons: list[Comparison] = []
    with tempfile.TemporaryDirectory(prefix="audiograph-bench-") as folder:
        # Other processes that compile into a shared cache at the same time can corrupt it.
        os.environ["NUMBA_CACHE_DIR"] = f"{folder}/numba"
        from benchmarks import report  # noqa: PLC0415

        for subject in only or Subject:
            console.print(f"[bold]{subject}[/bold] …")
            home = Path(folder) / subject
            home.mkdir()
            # Imported here: numba reads its environment when it is first imported.
            results = importlib.import_module(f"benchmarks.{subject}").compare(Setting(home, quick))
            comparisons += results
            for comparison in results:
                console.print(report.table(comparison), "")
    report.write(OUTPUT, comparisons)
    console.print(f"{time.monotonic() - start:.0f} s in total; details in {OUTPUT}")


if __name__ == "__main__":
    typer.run(main)

"""``make bench``: every comparison in one run, each against something to measure it by."""

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
    """What can be compared: modules of this folder."""

    OVERHEAD = "overhead"
    DURABILITY = "durability"
    KEY_SPEED = "key_speed"
    MUSICGEN_SPEED = "musicgen_speed"
    DEMUCS_SPEED = "demucs_speed"
    WHISPER_SPEED = "whisper_speed"


def main(
    only: Annotated[list[Subject] | None, typer.Option(help="This alone; may be given again.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Few rounds: a trial, not for quoting.")] = False,
) -> None:
    """Measure, print tables, and write a picture and JSON into bench_output/."""
    began = time.monotonic()
    console = Console(highlight=False)
    comparisons: list[Comparison] = []
    with tempfile.TemporaryDirectory(prefix="audiograph-bench-") as folder:
        # A cache that other processes compile into at the same time can be spoiled for all of them.
        os.environ["NUMBA_CACHE_DIR"] = f"{folder}/numba"
        from benchmarks import report  # noqa: PLC0415

        for subject in only or Subject:
            console.print(f"[bold]{subject}[/bold] …")
            home = Path(folder) / subject
            home.mkdir()
            # Imported only now: numba reads its environment when it is first imported.
            found = importlib.import_module(f"benchmarks.{subject}").compare(Setting(home, quick))
            comparisons += found
            for comparison in found:
                console.print(report.table(comparison), "")
    report.write(OUTPUT, comparisons)
    console.print(f"{time.monotonic() - began:.0f} s in all; more in {OUTPUT}")


if __name__ == "__main__":
    typer.run(main)

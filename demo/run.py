"""``make demo``: real work on a real server within minutes, and a page about it."""

import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from audiograph import Audiograph
from audiograph.schemas import PitchResult, TranscribeResult
from demo import report, sounds
from demo.work import SPEECHES, TRANSCRIBED, Board, Outcome, Workshop
from deployments.serve import child as child_server

OUTPUT = Path(__file__).resolve().parent.parent / "demo_output"
VARIANTS = ("enhanced_chroma", "basic_chroma")
"""Not librosa_chroma, whose code is compiled when it is first loaded: a minute that teaches nothing."""


def main() -> None:
    """Run the demo; the exit status tells whether every job succeeded."""
    began = time.monotonic()
    console = Console(highlight=False, soft_wrap=True)
    shutil.rmtree(OUTPUT, ignore_errors=True)
    OUTPUT.mkdir()
    console.print("[bold]making three recordings[/bold]")
    recordings = sounds.make(OUTPUT / "recordings")
    console.print(
        "[bold]starting the server[/bold] (Ray, the ingress, a job runner; models start with their jobs)"
    )
    with child_server.audiograph(OUTPUT) as url:
        outcomes = work(url, recordings, console)
    tell(outcomes, console)
    page = report.write(OUTPUT, recordings, outcomes)
    failed = [outcome for outcome in outcomes if outcome.job.status != "succeeded"]
    succeeded = f"{len(outcomes) - len(failed)} of {len(outcomes)} jobs succeeded"
    console.print(f"\n{succeeded}; {time.monotonic() - began:.0f} s in all.")
    console.print("`make serve` starts the server for you to use. What came of this, to see and hear:")
    print(page)
    sys.exit(1 if failed else 0)


def work(url: str, recordings: Sequence[sounds.Recording], console: Console) -> list[Outcome]:
    """Upload the recordings, queue every job at once, and wait until all have ended."""
    with Audiograph(url) as client:
        console.print("[bold]uploading[/bold]")
        files = [client.files.upload(recording.path) for recording in recordings]
        for file in files:
            console.print(
                f"  {file.name:<12} {file.duration:6.1f} s, {file.sample_rate} Hz, {file.channels} channels"
            )
        console.print("[bold]working[/bold]")
        with Board(client, console) as board:
            shop = Workshop(client, board, OUTPUT / "results")
            for recording, file in zip(recordings, files, strict=True):
                for variant in VARIANTS:
                    shop.analyze(recording, file, variant)
            spoken = {voice: shop.speak(voice) for voice in SPEECHES}
            shop.transcribe(spoken[TRANSCRIBED])
            return shop.outcomes()


def tell(outcomes: Sequence[Outcome], console: Console) -> None:
    """Print what was found, beside the truth."""
    table = Table("recording", "variant", "detected", "truth", "confidence", box=None, title_justify="left")
    for outcome in outcomes:
        result = outcome.job.result
        if isinstance(result, PitchResult) and outcome.recording:
            right = result.detected_key == outcome.recording.key
            detected = f"[{'green' if right else 'red'}]{result.detected_key}[/]"
            table.add_row(
                outcome.recording.path.name,
                outcome.job.variant,
                detected,
                outcome.recording.key,
                f"{result.confidence:.2f}",
            )
    console.print("\n[bold]keys[/bold]", table, sep="\n")
    for outcome in outcomes:
        if isinstance(outcome.job.result, TranscribeResult):
            console.print(f"\n[bold]spoken[/bold]       {outcome.text}")
            console.print(f"[bold]transcribed[/bold]  {escape(outcome.job.result.text.strip())}")
    if any(outcome.job.weights == "random" for outcome in outcomes):
        console.print(
            "[yellow]No model hub could be reached, so Whisper ran on tiny random weights: its words mean "
            "nothing. The file, the queue and the timing are real.[/yellow]"
        )


if __name__ == "__main__":
    main()

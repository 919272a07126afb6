"""``make demo``: runs jobs on a real server and writes a report."""

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
from demo.words import compare
from demo.work import GREETINGS, DemoJobs, Outcome, ProgressBoard
from deployments.serve import child

OUTPUT = Path(__file__).resolve().parent.parent / "demo_output"
MODELS = {"musicgen": {"weights": "tiny"}}
"""Random weights, wherever the demo runs: the published ones take 2 GB, and minutes on a processor."""
VARIANTS = ("enhanced_chroma", "basic_chroma")
"""Without librosa_chroma, because compiling its code at the first load takes a minute."""


def main() -> None:
    """Run the demo; the exit status is 1 if a job did not succeed."""
    start = time.monotonic()
    console = Console(highlight=False, soft_wrap=True)
    shutil.rmtree(OUTPUT, ignore_errors=True)
    OUTPUT.mkdir()
    console.print("[bold]synthesizing three recordings[/bold]")
    recordings = sounds.write_recordings(OUTPUT / "recordings")
    console.print(
        "[bold]starting the server[/bold] (Ray, the ingress, a job runner; models start with their first job)"
    )
    with child.audiograph(OUTPUT, models=MODELS) as url:
        outcomes = run_jobs(url, recordings, console)
    print_results(outcomes, console)
    page = report.write(OUTPUT, recordings, outcomes)
    failed = [outcome for outcome in outcomes if outcome.job.status != "succeeded"]
    succeeded = f"{len(outcomes) - len(failed)} of {len(outcomes)} jobs succeeded"
    console.print(f"\n{succeeded}; {time.monotonic() - start:.0f} s in all.")
    console.print("`make serve` starts the server for your own use. The report of the demo:")
    print(page)
    sys.exit(1 if failed else 0)


def run_jobs(url: str, recordings: Sequence[sounds.Recording], console: Console) -> list[Outcome]:
    """Upload the recordings, submit every job at once, and wait for all."""
    with Audiograph(url) as client:
        console.print("[bold]uploading[/bold]")
        files = [client.files.upload(recording.path) for recording in recordings]
        for file in files:
            console.print(
                f"  {file.name:<12} {file.duration:6.1f} s, {file.sample_rate} Hz, {file.channels} channels"
            )
        console.print("[bold]running the jobs[/bold]")
        with ProgressBoard(client, console) as board:
            jobs = DemoJobs(client, board, OUTPUT / "results")
            jobs.transcribe(jobs.converse())
            for recording, file in zip(recordings, files, strict=True):
                for variant in VARIANTS:
                    jobs.analyze(recording, file, variant)
            jobs.separate(recordings[0], files[0])
            jobs.compose()
            for voice in GREETINGS:
                jobs.speak(voice)
            return jobs.outcomes()


def print_results(outcomes: Sequence[Outcome], console: Console) -> None:
    """Print the detected and true keys, and what was said and heard."""
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
            compared = compare(outcome.text or "", outcome.job.result.text)
            console.print(f"\n[bold]said[/bold]   {escape(outcome.text or '')}")
            console.print(f"[bold]heard[/bold]  {escape(outcome.job.result.text.strip())}")
            console.print(f"{compared.errors} of {compared.said} words differ.")
    for model in sorted({o.job.model or o.job.task for o in outcomes if o.job.weights == "random"}):
        console.print(f"[yellow]{model} ran with tiny random weights: its output is meaningless.[/yellow]")


if __name__ == "__main__":
    main()

"""The demo's jobs: all queued at once, each followed by a progress bar of its own."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from audiograph import Audiograph, File, Job, JobCanceled, JobEvent, JobFailed
from audiograph.schemas import AudioFormat
from demo.sounds import Recording

SPEECHES: dict[str, tuple[str, AudioFormat]] = {
    "en-us": ("Every job was stored before it ran, so nothing can be lost on the way.", "wav"),
    "en-gb-scotland": ("This voice needs no weights, no graphics card, and hardly any time.", "flac"),
    "de": ("Diese Stimme braucht weder Gewichte noch eine Grafikkarte.", "mp3"),
    "fr": ("Cette voix n'a besoin ni de poids ni de carte graphique.", "opus"),
}
"""What each voice says, and in which format it is saved."""

TRANSCRIBED = "en-us"
TAGS = ["demo"]
STYLES = {"succeeded": "green", "failed": "red", "canceled": "yellow"}


@dataclass(frozen=True)
class Outcome:
    """A finished job, what it was about, and where its artifacts were saved."""

    label: str
    job: Job
    saved: tuple[Path, ...]
    recording: Recording | None = None
    text: str | None = None


class Board:
    """Progress bars on the terminal, one for each job, moved by the job's own events."""

    def __init__(self, client: Audiograph, console: Console) -> None:
        self._client = client
        self._progress = Progress(
            SpinnerColumn(finished_text="•"),
            TextColumn("{task.description:<34}"),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[stage]}"),
            TimeElapsedColumn(),
            console=console,
        )

    def __enter__(self) -> "Board":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def follow(self, label: str, job: Job) -> Job:
        """Wait for the job to end, well or not, and show how it goes."""
        bar = self._progress.add_task(label, total=1.0, stage="queued")
        try:
            job = self._client.jobs.wait(job, on_progress=lambda event: self._show(bar, event))
        except (JobFailed, JobCanceled) as error:
            job = error.job
        style = STYLES[job.status]
        self._progress.update(bar, completed=1.0, stage=f"[{style}]{job.status}[/{style}]")
        return job

    def _show(self, bar: TaskID, event: JobEvent) -> None:
        self._progress.update(bar, completed=event.progress, stage=event.stage or event.type)


class Workshop:
    """Submits the jobs and collects what comes of them."""

    def __init__(self, client: Audiograph, board: Board, results: Path) -> None:
        self._client = client
        self._board = board
        self._results = results
        self._pool = ThreadPoolExecutor(max_workers=32)  # a thread for each job that is waited for
        self._running: list[Future[Outcome]] = []

    def analyze(self, recording: Recording, uploaded: File, variant: str) -> None:
        """Queue the detection of a recording's key."""
        job = self._client.analyze_pitch(uploaded, variant=variant, wait=False, tags=TAGS)
        self._follow(f"key of {recording.path.name}, {variant}", lambda: job, recording=recording)

    def speak(self, voice: str) -> Future[Outcome]:
        """Queue a sentence."""
        text, audio_format = SPEECHES[voice]
        job = self._client.speak(text, voice=voice, format=audio_format, wait=False, tags=TAGS)
        return self._follow(f"speak {voice}, {audio_format}", lambda: job, text=text)

    def transcribe(self, spoken: Future[Outcome]) -> None:
        """Queue the transcription of a sentence as soon as it has been spoken."""

        def submit() -> Job:
            speech = spoken.result()
            return self._client.transcribe(
                speech.job.artifacts[0], word_timestamps=True, wait=False, tags=TAGS
            )

        self._follow(f"transcribe {TRANSCRIBED}", submit, text=SPEECHES[TRANSCRIBED][0])

    def _follow(
        self,
        label: str,
        submitted: Callable[[], Job],
        *,
        recording: Recording | None = None,
        text: str | None = None,
    ) -> Future[Outcome]:
        def run() -> Outcome:
            ended = self._board.follow(label, submitted())
            folder = self._results / label.replace(",", "").replace(" ", "-")
            saved = self._client.jobs.save_all(ended, folder)
            return Outcome(label, ended, saved, recording, text)

        future = self._pool.submit(run)
        self._running.append(future)
        return future

    def outcomes(self) -> list[Outcome]:
        """Wait for all of them, in the order in which they were queued."""
        return [future.result() for future in self._running]

"""Jobs of the demo, submitted at once and shown with one progress bar each."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from audiograph import Audiograph, File, Job, JobCanceled, JobEvent, JobFailed
from audiograph.schemas import AudioFormat, Turn
from demo.sounds import Recording

DIALOGUE = (
    Turn(voice="af_heart", text="Good morning, Michael. Did you see the numbers of the new server?"),
    Turn(voice="am_michael", text="I did. It ran 1,200 jobs on Friday, and not a single one was lost."),
    Turn(voice="af_heart", text="Even though Dr. Smith pulled the plug at 4 in the afternoon?"),
    Turn(voice="am_michael", text="Even then. Every job was stored before it ran, so the others went on."),
    Turn(voice="af_heart", text="And what did it cost? They told me it was less than $5 a day."),
    Turn(voice="am_michael", text="Right. It runs on two processors, without any graphics card at all."),
)
"""A conversation of two voices."""

GREETINGS: dict[str, tuple[str, AudioFormat]] = {
    "es": ("Esta voz habla más deprisa de lo que se puede escuchar.", "mp3"),
    "de": ("Diese Stimme braucht weder Gewichte noch eine Grafikkarte.", "opus"),
}
"""Text and audio format of a voice of each language."""

MUSIC = "a slow waltz for piano and cello"
MUSIC_SECONDS = 4.0
TAGS = ["demo"]
STYLES = {"succeeded": "green", "failed": "red", "canceled": "yellow"}


@dataclass(frozen=True)
class Outcome:
    """A finished job, its input, and the paths of its saved artifacts."""

    label: str
    job: Job
    saved: tuple[Path, ...]
    recording: Recording | None = None
    text: str | None = None


class ProgressBoard:
    """Progress bars on the terminal, one per job, updated by the job's events."""

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

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def follow(self, label: str, job: Job) -> Job:
        """Show the progress of a job until it has ended, successfully or not."""
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


class DemoJobs:
    """Submits jobs and collects their outcomes."""

    def __init__(self, client: Audiograph, board: ProgressBoard, results: Path) -> None:
        self._client = client
        self._board = board
        self._results = results
        self._pool = ThreadPoolExecutor(max_workers=32)  # one thread waits for each job
        self._running: list[Future[Outcome]] = []

    def analyze(self, recording: Recording, uploaded: File, variant: str) -> None:
        """Submit the key detection of a recording."""
        job = self._client.analyze_pitch(uploaded, variant=variant, wait=False, tags=TAGS)
        self._follow(f"key of {recording.path.name}, {variant}", lambda: job, recording=recording)

    def converse(self) -> Future[Outcome]:
        """Submit the dialogue."""
        job = self._client.dialogue(DIALOGUE, word_timestamps=True, wait=False, tags=TAGS)
        return self._follow("dialogue of two voices", lambda: job, text=" ".join(t.text for t in DIALOGUE))

    def transcribe(self, spoken: Future[Outcome]) -> None:
        """Submit the transcription of the dialogue as soon as it has been spoken."""

        def submit() -> Job:
            speech = spoken.result()
            return self._client.transcribe(
                speech.job.artifacts[0], word_timestamps=True, wait=False, tags=TAGS
            )

        self._follow("transcribe the dialogue", submit, text=" ".join(t.text for t in DIALOGUE))

    def speak(self, voice: str) -> None:
        """Submit the sentence of a voice."""
        text, audio_format = GREETINGS[voice]
        job = self._client.speak(text, voice=voice, format=audio_format, wait=False, tags=TAGS)
        self._follow(f"speak {voice}, {audio_format}", lambda: job, text=text)

    def separate(self, recording: Recording, uploaded: File) -> None:
        """Submit the separation of a recording."""
        job = self._client.separate(uploaded, wait=False, tags=TAGS)
        self._follow(f"separate {recording.path.name}", lambda: job, recording=recording)

    def compose(self) -> None:
        """Submit a short piece of music."""
        job = self._client.generate_music(MUSIC, duration=MUSIC_SECONDS, seed=1, wait=False, tags=TAGS)
        self._follow("make music", lambda: job, text=MUSIC)

    def _follow(
        self,
        label: str,
        submit: Callable[[], Job],
        *,
        recording: Recording | None = None,
        text: str | None = None,
    ) -> Future[Outcome]:
        def run() -> Outcome:
            ended = self._board.follow(label, submit())
            folder = self._results / label.replace(",", "").replace(" ", "-")
            saved = self._client.jobs.save_all(ended, folder)
            return Outcome(label, ended, saved, recording, text)

        future = self._pool.submit(run)
        self._running.append(future)
        return future

    def outcomes(self) -> list[Outcome]:
        """Wait for all jobs; return the outcomes in the order of submission."""
        return [future.result() for future in self._running]

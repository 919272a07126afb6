"""The report of the demo: recordings, results and timings as one HTML page."""

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from audiograph.schemas import Job, PitchResult, TranscribeResult
from demo import pictures
from demo.sounds import Recording
from demo.words import compare
from demo.work import Outcome

TEMPLATES = Path(__file__).with_name("templates")
PITCHES = ("C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯", "A", "A♯", "B")


@dataclass(frozen=True)
class JobTiming:
    """Times of one job, in seconds."""

    label: str
    job: Job
    start: float
    """From the submission of the first job to that of this one."""
    queued: float
    running: float
    in_model: float | None
    """The part of ``running`` inside of the model; the rest starts a replica, reads and stores files."""
    audio: float | None

    @property
    def real_time_factor(self) -> float | None:
        """Seconds in the model per second of audio."""
        return self.in_model / self.audio if self.in_model is not None and self.audio else None


def write(folder: Path, recordings: Sequence[Recording], outcomes: Sequence[Outcome]) -> Path:
    """Write report.html into ``folder``, which contains the recordings and results."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    entries = timings(outcomes)
    page = environment.get_template("report.html.j2").render(
        created_at=datetime.now(UTC).strftime("%d %B %Y, %H:%M UTC"),
        machine=_machine(),
        random_models=sorted({o.job.model or o.job.task for o in outcomes if o.job.weights == "random"}),
        timings=entries,
        span=max(entry.start + entry.queued + entry.running for entry in entries),
        failed=[outcome for outcome in outcomes if outcome.job.status != "succeeded"],
        dialogues=[_dialogue(outcome, folder) for outcome in _of(outcomes, "dialogue")],
        transcripts=[_transcript(outcome, folder) for outcome in _of(outcomes, "transcribe")],
        keys=[_keys(recording, outcomes, folder) for recording in recordings],
        separations=[_separation(outcome, folder) for outcome in _of(outcomes, "separate")],
        music=[_sound(outcome, folder) for outcome in _of(outcomes, "generate_music")],
        speeches=[_sound(outcome, folder) for outcome in _of(outcomes, "speak")],
        pitches=PITCHES,
    )
    path = folder / "report.html"
    path.write_text(page, encoding="utf-8")
    return path


def timings(outcomes: Sequence[Outcome]) -> list[JobTiming]:
    """Return the times of every job, relative to the submission of the first."""
    first = min(outcome.job.created_at for outcome in outcomes)
    return [_timing(outcome.label, outcome.job, first) for outcome in outcomes]


def _timing(label: str, job: Job, first: datetime) -> JobTiming:
    finished = job.finished_at or job.created_at
    started = job.started_at or finished
    return JobTiming(
        label=label,
        job=job,
        start=(job.created_at - first).total_seconds(),
        queued=(started - job.created_at).total_seconds(),
        running=(finished - started).total_seconds(),
        in_model=job.timings.run if job.timings else None,
        audio=job.timings.audio_seconds if job.timings else None,
    )


def _of(outcomes: Sequence[Outcome], task: str) -> list[Outcome]:
    """Return the outcomes of a task that succeeded."""
    return [outcome for outcome in outcomes if (outcome.job.task, outcome.job.status) == (task, "succeeded")]


def _keys(recording: Recording, outcomes: Sequence[Outcome], folder: Path) -> dict[str, Any]:
    """Return a recording with the result of each variant."""
    found: list[tuple[str | None, PitchResult]] = [
        (outcome.job.variant, outcome.job.result)
        for outcome in outcomes
        if outcome.recording == recording and isinstance(outcome.job.result, PitchResult)
    ]
    return {
        "recording": recording,
        "audio": _link(recording.path, folder),
        "picture": pictures.plot(recording.path),
        "found": found,
        "chroma": found[0][1].chroma_mean if found else [],
    }


def _dialogue(outcome: Outcome, folder: Path) -> dict[str, Any]:
    recording, *texts = outcome.saved
    return {
        "job": outcome.job,
        "result": outcome.job.result,
        "audio": _link(recording, folder),
        "picture": pictures.plot(recording),
        "files": [_link(path, folder) for path in texts],
    }


def _transcript(outcome: Outcome, folder: Path) -> dict[str, Any]:
    result = outcome.job.result
    assert isinstance(result, TranscribeResult)
    return {
        "spoken": outcome.text,
        "job": outcome.job,
        "result": result,
        "words": [word for segment in result.segments for word in segment.words or ()],
        "compared": compare(outcome.text or "", result.text),
        "files": [_link(path, folder) for path in outcome.saved],
    }


def _separation(outcome: Outcome, folder: Path) -> dict[str, Any]:
    stems = [(path.stem, _link(path, folder), pictures.plot(path)) for path in outcome.saved]
    return {"job": outcome.job, "recording": outcome.recording, "stems": stems}


def _sound(outcome: Outcome, folder: Path) -> dict[str, Any]:
    (path,) = outcome.saved
    return {
        "job": outcome.job,
        "text": outcome.text,
        "result": outcome.job.result,
        "audio": _link(path, folder),
        "format": path.suffix.removeprefix("."),
        "picture": pictures.plot(path),
    }


def _link(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()


def _machine() -> str:
    system, python = f"{platform.system()} {platform.machine()}", f"Python {platform.python_version()}"
    return f"{system}, {os.cpu_count()} cores, {python}"

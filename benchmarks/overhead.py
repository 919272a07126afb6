"""Measures what HTTP, the queue, the runner, Ray and storage add to a direct call of a model."""

from functools import partial
from pathlib import Path

import soundfile
import torch
import whisper
from demucs.apply import BagOfModels

from audiograph import Audiograph
from audiograph.schemas import AnalyzePitchRequest, SeparateRequest, TaskName
from benchmarks.bare import BareContext
from benchmarks.measure import Call, Comparison, Setting, alternate
from benchmarks.sounds import write_song
from deployments.models.base import Options, Output
from deployments.models.demucs.model import Demucs, DemucsOptions
from deployments.models.kit.resources import all_processors
from deployments.models.loading import load
from deployments.models.pitch_analysis.model import METHODS, PitchAnalysis
from deployments.models.whisper.tiny import build_checkpoint
from deployments.models.whisper.transcription import TEMPERATURE_LADDER
from deployments.serve import child

DEMUCS = Demucs(DemucsOptions())
WAIT_SECONDS = 50.0
SONG_SECONDS, SPEECH_SECONDS = 180, 60
ROUNDS = 7


def compare(setting: Setting) -> list[Comparison]:
    """Run three short jobs and a long one: called directly, served, and served with the upload."""
    song = write_song(setting.folder / "song.wav", SONG_SECONDS, 44_100, channels=2)
    speech = write_song(setting.folder / "speech.wav", SPEECH_SECONDS, 16_000)
    home = setting.folder / "server"
    # The same number of threads as a replica has; see deployments.replica.processors.
    torch.set_num_threads(all_processors())
    with (
        child.audiograph(home, weights="tiny", work_dir=str(home)) as url,
        Audiograph(url) as client,
    ):
        cases: dict[str, dict[str, Call]] = {
            f"analyze_pitch, {variant}, a song of {SONG_SECONDS} s": {
                "direct call": partial(_analyze, variant, song),
                **_served(client, recording=song, task="analyze_pitch", variant=variant),
            }
            for variant in ("enhanced_chroma", "basic_chroma")
        }
        cases[f"transcribe, whisper with tiny weights, {SPEECH_SECONDS} s"] = {
            "direct call": _transcriber(home, speech),
            **_served(client, recording=speech, task="transcribe", variant="tiny"),
        }
        cases[f"separate, demucs with tiny weights, a song of {SONG_SECONDS} s into four stems"] = {
            "direct call": partial(_separate, _separator(home), song),
            **_served(client, recording=song, task="separate", model="demucs"),
        }
        rounds = setting.rounds(ROUNDS)
        return [Comparison(title, alternate(contenders, rounds)) for title, contenders in cases.items()]


def _served(client: Audiograph, recording: Path, task: TaskName, **fields: str) -> dict[str, Call]:
    stored = client.files.upload(recording).id

    def run(file: str) -> None:
        job = client.jobs.submit(task, file=file, wait=WAIT_SECONDS, **fields)
        assert job.status == "succeeded", job.error

    return {
        "Audiograph": lambda: run(stored),
        "Audiograph, upload included": lambda: run(client.files.upload(recording).id),
    }


def _analyze(variant: str, path: Path) -> Output:
    request = AnalyzePitchRequest(file="song")
    return PitchAnalysis(Options()).run(METHODS[variant], request, BareContext(path))


def _separator(home: Path) -> BagOfModels:
    """Load the server's Demucs weights."""
    return load(DEMUCS, "htdemucs", "cpu", "tiny", home).engine


def _separate(engine: BagOfModels, path: Path) -> Output:
    return DEMUCS.run(engine, SeparateRequest(file="song"), BareContext(path))


def _transcriber(home: Path, path: Path) -> Call:
    """Return a call of `whisper.transcribe` with the server's checkpoint."""
    model = whisper.load_model(str(build_checkpoint("tiny", home / "tiny")), device="cpu")

    def call() -> object:
        samples, _ = soundfile.read(path, dtype="float32")
        return whisper.transcribe(model, samples, temperature=TEMPERATURE_LADDER, fp16=False)

    return call

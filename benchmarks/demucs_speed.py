"""Demucs in our own pass over its chunks against `demucs.apply.apply_model`, on the same weights."""

import random
from functools import partial
from pathlib import Path
from typing import Any

import soundfile
import torch
from demucs.apply import apply_model

from audiograph.schemas import SeparateRequest
from benchmarks.bare import BareContext
from benchmarks.measure import Comparison, Setting, alternate
from benchmarks.sounds import write_song
from deployments.audio import files as audio
from deployments.config import LimitsConfig
from deployments.models.base import LoadContext
from deployments.models.demucs.model import Demucs, DemucsOptions

CONCURRENCY = (1, 4, 16)
ROUNDS, LONG_ROUNDS = 5, 2
SECONDS = 10
VARIANTS = ("htdemucs", "mdx")
MODEL = Demucs(DemucsOptions())


def compare(setting: Setting) -> list[Comparison]:
    """The same songs, one after the other, as an engine takes them; from the file to all four stems.

    Songs do not share batches, their own chunks do: a ratio hardly depends on how many songs there are.
    """
    torch.set_num_threads(2)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    song = write_song(setting.folder / "song.wav", SECONDS, 44_100, channels=2)
    engines = {
        variant: MODEL.load(variant, LoadContext(device, "tiny", setting.folder)).engine
        for variant in VARIANTS
    }
    return [
        in_turn(variant, engine, song, count, setting.rounds(ROUNDS if count < 16 else LONG_ROUNDS))
        for variant, engine in engines.items()
        for count in CONCURRENCY
    ]


def in_turn(variant: str, engine: Any, song: Path, count: int, rounds: int) -> Comparison:
    """The same song so many times, one after the other, in seconds of music a second."""
    seconds = soundfile.info(song).duration
    contenders = {
        "demucs.apply_model": partial(_repeat, count, _reference, engine, song),
        "Audiograph's pass": partial(_repeat, count, _ours, engine, song),
    }
    title = f"{variant}, {count} songs of {seconds:g} s"
    return Comparison(title, alternate(contenders, rounds), seconds * count, "s of music")


def _repeat(count: int, separate: Any, engine: Any, song: Path) -> None:
    for _ in range(count):
        separate(engine, song)


def _reference(engine: Any, song: Path) -> None:
    samples, _ = audio.decode(song, limits=LimitsConfig())
    mixture = torch.from_numpy(samples)
    mono = mixture.mean(0)
    random.seed(0)
    normalized = (mixture - mono.mean()) / mono.std()
    apply_model(engine, normalized[None], shifts=1, device=next(engine.parameters()).device)


def _ours(engine: Any, song: Path) -> None:
    MODEL.run(engine, SeparateRequest(file="song"), BareContext(song))

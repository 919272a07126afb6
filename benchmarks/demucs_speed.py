"""Compares Audiograph's Demucs with `demucs.apply.apply_model` on the same weights."""

import random
from functools import partial
from pathlib import Path

import soundfile
import torch
from demucs.apply import BagOfModels, apply_model

from audiograph.schemas import SeparateRequest
from benchmarks.bare import BareContext
from benchmarks.measure import Call, Comparison, Setting, alternate
from benchmarks.sounds import write_song
from deployments.audio import files as audio
from deployments.config import LimitsConfig
from deployments.models.demucs.model import Demucs, DemucsOptions
from deployments.models.demucs.passes import device_of
from deployments.models.loading import load

CONCURRENCY = (1, 4, 16)
ROUNDS, LONG_ROUNDS = 5, 2
SECONDS = 10
"""Duration of the song."""
VARIANTS = ("htdemucs", "mdx")
MODEL = Demucs(DemucsOptions())


def compare(setting: Setting) -> list[Comparison]:
    """Separate 1, 4 and 16 songs one after the other, from the file to all four stems.

    Only the chunks of one song share a batch, so the ratio hardly depends on the number of songs.
    """
    torch.set_num_threads(2)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    song = write_song(setting.folder / "song.wav", SECONDS, 44_100, channels=2)
    engines = {variant: load(MODEL, variant, device, "tiny", setting.folder).engine for variant in VARIANTS}
    return [
        compare_songs(variant, engine, song, count, setting.rounds(ROUNDS if count < 16 else LONG_ROUNDS))
        for variant, engine in engines.items()
        for count in CONCURRENCY
    ]


def compare_songs(variant: str, engine: BagOfModels, song: Path, count: int, rounds: int) -> Comparison:
    """Separate one song ``count`` times, one after the other; the rate is in seconds of music per second."""
    seconds = soundfile.info(song).duration
    contenders = {
        "demucs.apply_model": partial(_repeat, count, partial(apply_reference, engine, song)),
        "Audiograph": partial(_repeat, count, partial(separate, engine, song)),
    }
    title = f"{variant}, {count} x {seconds:g} s of music, one after the other"
    return Comparison(title, alternate(contenders, rounds), seconds * count, "s of music")


def _repeat(count: int, call: Call) -> None:
    for _ in range(count):
        call()


def apply_reference(engine: BagOfModels, song: Path) -> None:
    """Separate a song by `demucs.apply.apply_model`; the sources stay in memory."""
    samples, _ = audio.decode(song, limits=LimitsConfig())
    mixture = torch.from_numpy(samples)
    mono = mixture.mean(0)
    random.seed(0)
    normalized = (mixture - mono.mean()) / mono.std()
    apply_model(engine, normalized[None], shifts=1, device=device_of(engine))


def separate(engine: BagOfModels, song: Path) -> None:
    """Separate a song into stems on disk."""
    MODEL.run(engine, SeparateRequest(file="song"), BareContext(song, device_of(engine).type))

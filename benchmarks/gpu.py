"""Benchmarks full-size models on a GPU: ``python -m benchmarks.gpu``; ``--tiny`` runs tiny ones on a CPU."""

import tempfile
from functools import partial
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console

from benchmarks import demucs_speed, full_size, musicgen_speed, report, whisper_speed
from benchmarks.measure import Comparison, alternate
from benchmarks.run import OUTPUT
from benchmarks.sounds import write_song
from deployments.models.loading import load
from deployments.models.musicgen.decoder import Conditions, Decoder
from deployments.models.musicgen.engine import MusicEngine

MUSIC_CONCURRENCY = 32
MUSIC_SECONDS = (1.0, 2.0, 3.0, 4.0)
"""Durations of the pieces, by turns; short, since the reference generates them one by one."""
SPEECH_CONCURRENCY = 32
SONG_SECONDS = 180
STEPS = 20
"""Number of decoder steps in one timing."""
POSITION = 100
"""Position of the timed steps in the sequence, in frames."""


def main(
    tiny: Annotated[
        bool, typer.Option("--tiny", help="Use tiny models, to check that everything runs.")
    ] = False,
    rounds: Annotated[
        int, typer.Option(min=1, help="Timed rounds; in each, the references alone take minutes.")
    ] = 1,
) -> None:
    """Run the benchmarks, print tables, and write a chart and JSON into bench_output/gpu/."""
    console = Console(highlight=False)
    if not tiny and not torch.cuda.is_available():
        raise typer.BadParameter(
            "PyTorch sees no GPU; --tiny runs the same comparisons with tiny models on a CPU"
        )
    console.print(torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU")
    comparisons: list[Comparison] = []
    with tempfile.TemporaryDirectory(prefix="audiograph-bench-") as folder:
        for compare in (_music, _speech, _separation):
            results = compare(Path(folder), tiny, rounds)
            comparisons += results
            for comparison in results:
                console.print(report.table(comparison), "")
    report.write(OUTPUT / "gpu", comparisons)


def _music(folder: Path, tiny: bool, rounds: int) -> list[Comparison]:
    if tiny:
        engine = load(musicgen_speed.MODEL, "small", _device(), "tiny", folder).engine
    else:
        engine = full_size.musicgen_large(_device())
    count = 2 if tiny else MUSIC_CONCURRENCY
    return [
        _compare_step(engine, count, rounds),
        musicgen_speed.compare_concurrent(engine, count, MUSIC_SECONDS, folder, rounds),
    ]


def _compare_step(engine: MusicEngine, rows: int, rounds: int) -> Comparison:
    """Time a decoder step against reading its weights' bytes once, which is the lower bound of a step."""
    language_model = engine.model.decoder
    modules = (language_model.model.decoder.layers, language_model.lm_heads)
    weights = sum(p.numel() * p.element_size() for module in modules for p in module.parameters())
    contenders = {
        "reading the weights' bytes": partial(_read, torch.zeros(weights // 4, device=_device())),
        "a step": partial(_step, _started(Decoder(language_model, rows))),
    }
    title = f"a step of MusicGen for {rows} pieces, weights of {weights / 1e9:.2f} GB"
    return Comparison(title, alternate(contenders, 5 * rounds), STEPS, "steps")


@torch.inference_mode()
def _started(decoder: Decoder) -> Decoder:
    """Start a sequence without a prompt in every row."""
    start = torch.full((decoder.codebooks, 1), 2048, device=decoder.device)
    for row in range(decoder.rows):
        decoder.prefill(row, Conditions(), start)
    return decoder


@torch.inference_mode()
def _step(decoder: Decoder) -> None:
    tokens = torch.zeros(decoder.rows, decoder.codebooks, dtype=torch.long, device=decoder.device)
    for _ in range(STEPS):
        logits = decoder.step(tokens, [POSITION] * decoder.rows)
    logits.sum().item()  # waits for the device


def _read(buffer: torch.Tensor) -> None:
    for _ in range(STEPS):
        total = buffer.sum()
    total.item()


def _speech(folder: Path, tiny: bool, rounds: int) -> list[Comparison]:
    if tiny:
        model = whisper_speed.scripted_whisper("tiny", whisper_speed.SIZE)
    else:
        model = full_size.whisper_large(_device())
    recordings = whisper_speed.noise_recordings(2 if tiny else SPEECH_CONCURRENCY)
    return [whisper_speed.compare_concurrent(model, recordings, rounds)]


def _separation(folder: Path, tiny: bool, rounds: int) -> list[Comparison]:
    seconds = 2 if tiny else SONG_SECONDS
    song = write_song(folder / "song.wav", seconds, 44_100, channels=2)
    if tiny:
        bag = load(demucs_speed.MODEL, "htdemucs", _device(), "tiny", folder).engine
    else:
        bag = full_size.htdemucs(_device())
    return [demucs_speed.compare_songs("htdemucs", bag, song, 1, rounds)]


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


if __name__ == "__main__":
    typer.run(main)

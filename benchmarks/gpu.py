"""Models of true size on a GPU: ``python -m benchmarks.gpu``; or their tiny kin on a CPU with ``--tiny``."""

import tempfile
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console

from benchmarks import demucs_speed, musicgen_speed, report, true_size, whisper_speed
from benchmarks.measure import Comparison, alternate
from benchmarks.run import OUTPUT
from benchmarks.sounds import write_song
from deployments.models.base import LoadContext
from deployments.models.musicgen.decoder import Conditions, Decoder
from deployments.models.musicgen.engine import MusicEngine

MUSIC_AT_ONCE, MUSIC_SECONDS = 32, (1.0, 2.0, 3.0, 4.0)
"""Short, since the reference makes them one by one, and a run on a lent GPU has an end."""
SPEECH_AT_ONCE = 32
SONG_SECONDS = 180
STEPS, POSITION = 20, 100
"""How many steps are timed, and where in the music."""


def main(
    tiny: Annotated[bool, typer.Option("--tiny", help="Tiny models: does it run?")] = False,
    rounds: Annotated[int, typer.Option(min=1, help="The references alone take minutes.")] = 1,
) -> None:
    """Measure, print tables, and write a picture and JSON into bench_output/gpu/."""
    console = Console(highlight=False)
    if not tiny and not torch.cuda.is_available():
        raise typer.BadParameter("there is no GPU here; --tiny tries the same on a CPU")
    console.print(torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU")
    comparisons: list[Comparison] = []
    with tempfile.TemporaryDirectory(prefix="audiograph-bench-") as folder:
        for compare in (_music, _speech, _separation):
            found = compare(Path(folder), tiny, rounds)
            comparisons += found
            for comparison in found:
                console.print(report.table(comparison), "")
    report.write(OUTPUT / "gpu", comparisons)


def _music(folder: Path, tiny: bool, rounds: int) -> list[Comparison]:
    if tiny:
        engine = musicgen_speed.MODEL.load("small", LoadContext(_device(), "tiny", folder)).engine
    else:
        engine = true_size.musicgen_large(_device())
    count = 2 if tiny else MUSIC_AT_ONCE
    return [
        _step_and_reading(engine, count, rounds),
        musicgen_speed.at_once(engine, count, MUSIC_SECONDS, folder, rounds),
    ]


def _step_and_reading(engine: MusicEngine, rows: int, rounds: int) -> Comparison:
    """A step of the decoder against reading as many bytes as its weights have: no step can be faster."""
    language_model = engine.model.decoder
    modules = (language_model.model.decoder.layers, language_model.lm_heads)
    weights = sum(p.numel() * p.element_size() for module in modules for p in module.parameters())
    contenders = {
        "reading the weights' bytes": partial(_read, torch.zeros(weights // 4, device=_device())),
        "a step": partial(_step, _begun(Decoder(language_model, rows))),
    }
    title = f"MusicGen's step for {rows} pieces, weights of {weights / 1e9:.2f} GB"
    return Comparison(title, alternate(contenders, 5 * rounds), STEPS, "steps")


@torch.inference_mode()
def _begun(decoder: Decoder) -> Decoder:
    start = torch.full((decoder.codebooks, 1), 2048, device=decoder.device)
    for row in range(decoder.rows):
        decoder.begin(row, Conditions(), start)
    return decoder


@torch.inference_mode()
def _step(decoder: Decoder) -> None:
    tokens = torch.zeros(decoder.rows, decoder.codebooks, dtype=torch.long, device=decoder.device)
    for _ in range(STEPS):
        logits = decoder.step(tokens, [POSITION] * decoder.rows)
    logits.sum().item()  # which waits for the device


def _read(buffer: torch.Tensor) -> None:
    for _ in range(STEPS):
        total = buffer.sum()
    total.item()


def _speech(folder: Path, tiny: bool, rounds: int) -> list[Comparison]:
    if tiny:
        model: Any = whisper_speed.talker("tiny", whisper_speed.SIZE)
    else:
        model = true_size.whisper_large(_device())
    recordings = whisper_speed.noises(2 if tiny else SPEECH_AT_ONCE)
    return [whisper_speed.at_once(model, recordings, rounds)]


def _separation(folder: Path, tiny: bool, rounds: int) -> list[Comparison]:
    seconds = 2 if tiny else SONG_SECONDS
    song = write_song(folder / "song.wav", seconds, 44_100, channels=2)
    if tiny:
        bag = demucs_speed.MODEL.load("htdemucs", LoadContext(_device(), "tiny", folder)).engine
    else:
        bag = true_size.htdemucs(_device())
    return [demucs_speed.in_turn("htdemucs", bag, song, 1, rounds)]


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


if __name__ == "__main__":
    typer.run(main)

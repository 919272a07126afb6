"""Compares times and words of Whisper engines on real weights: ``python -m benchmarks.whisper_words``.

Kokoro speaks different recordings, every second one with noise: a repeated clip would mislead an engine that
drops repetitions, and clean voices would hide what low precision does to hard speech. Needs the published
weights of both models; random ones are refused, since they hear no words.
"""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Annotated

import jiwer
import numpy as np
import soxr
import torch
import typer
import whisper
from ctranslate2.converters import TransformersConverter
from faster_whisper import BatchedInferencePipeline, WhisperModel
from faster_whisper.transcribe import Segment
from rich.console import Console
from rich.table import Table
from tokenizers import AddedToken, Tokenizer
from transformers.convert_slow_tokenizer import TikTokenConverter
from whisper import Whisper as Network
from whisper.normalizers import EnglishTextNormalizer
from whisper.tokenizer import get_tokenizer

from audiograph.schemas import SpeakRequest, TranscribeRequest
from benchmarks.bare import BareTicket, serve
from benchmarks.kokoro_speech import SENTENCES, VOICES
from benchmarks.whisper_speed import InMemory, converted
from deployments.models.base import AudioOutput, Output, Samples
from deployments.models.kokoro.engine import SAMPLE_RATE as KOKORO_RATE
from deployments.models.kokoro.engine import Engine
from deployments.models.kokoro.model import Kokoro, KokoroOptions
from deployments.models.loading import load
from deployments.models.whisper.model import Whisper, WhisperOptions
from tests.deployments.models.fakes import FakeContext

SAMPLE_RATE = 16_000
THREADS = 2
SENTENCES_PER_RECORDING = 8
NOISE_DB = 5.0
"""Level of the voice above the noise, in every second recording."""


@dataclass(frozen=True, slots=True)
class Recording:
    """Speech at 16 kHz, mono ``[frames]``, and what was said."""

    samples: Samples
    said: str


@dataclass(slots=True)
class Score:
    """Seconds and texts of an engine, by round."""

    seconds: list[float] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)


Transcriber = Callable[[Sequence[Samples]], list[str]]


def main(
    work_dir: Annotated[Path, typer.Option(help="The server's folder, with the weights.")] = Path("state"),
    count: Annotated[int, typer.Option(min=1, help="Number of recordings.")] = 16,
    rounds: Annotated[int, typer.Option(min=1, help="Number of timed rounds.")] = 2,
) -> None:
    """Time one recording and all recordings at once with every engine, in turn, and count wrong words."""
    torch.set_num_threads(THREADS)
    recordings = speak(count, work_dir)
    console = Console(highlight=False)
    with tempfile.TemporaryDirectory(prefix="audiograph-bench-") as folder:
        engines = transcribers(work_dir, Path(folder))
        for part in (recordings[:1], recordings):
            console.print(_table(part, _measure(engines, part, rounds)))


def speak(count: int, work_dir: Path) -> list[Recording]:
    """Let Kokoro speak different recordings of some 25 s, every second one with noise."""
    model = Kokoro(KokoroOptions())
    engine = load(model, "82m", "cpu", "pretrained", work_dir).engine
    rng = np.random.default_rng(0)
    return [_recording(model, engine, n, rng) for n in range(count)]


def transcribers(work_dir: Path, folder: Path) -> dict[str, Transcriber]:
    """Return the engines by name, all with the same weights.

    Args:
        work_dir: the server's folder, with the weights.
        folder: for the weights in CTranslate2's format.
    """
    exact = load(_whisper("float32"), "base", "cpu", "pretrained", work_dir).engine
    small = load(_whisper("reduced"), "base", "cpu", "pretrained", work_dir).engine
    faster = _faster_whisper(exact, folder)
    return {
        "openai-whisper float32, one by one": partial(_openai, exact),
        "Audiograph float32, at once": partial(_audiograph, _whisper("float32"), exact),
        "Audiograph reduced, at once": partial(_audiograph, _whisper("reduced"), small),
        "faster-whisper int8, one by one": partial(_faster, faster),
        "faster-whisper int8, batched pipeline": partial(_pipeline, BatchedInferencePipeline(faster)),
    }


def _faster_whisper(model: Network, folder: Path) -> WhisperModel:
    """Convert a model to CTranslate2 by way of transformers, with its tokenizer, and load it in int8."""
    _tokenizer().save(str(folder / "tokenizer.json"))
    converted(model).save_pretrained(folder / "transformers")
    target = folder / "ctranslate2"
    TransformersConverter(str(folder / "transformers")).convert(str(target), quantization="int8")
    shutil.copy(folder / "tokenizer.json", target)
    return WhisperModel(str(target), device="cpu", compute_type="int8", cpu_threads=THREADS)


def _whisper(precision: str) -> Whisper:
    return Whisper(WhisperOptions.model_validate({"precision": precision}))


def _recording(model: Kokoro, engine: Engine, number: int, rng: np.random.Generator) -> Recording:
    said = " ".join(rng.choice(SENTENCES, SENTENCES_PER_RECORDING, replace=False))
    request = SpeakRequest(text=said, voice=VOICES[number % len(VOICES)])
    (audio,) = model.run(engine, request, FakeContext()).files
    assert isinstance(audio, AudioOutput)
    samples = soxr.resample(audio.frames()[:, 0], KOKORO_RATE, SAMPLE_RATE).astype(np.float32)
    return Recording(_with_noise(samples, rng) if number % 2 else samples, said)


def _with_noise(samples: Samples, rng: np.random.Generator) -> Samples:
    level = float(np.sqrt(np.mean(samples**2))) * 10 ** (-NOISE_DB / 20)
    return (samples + rng.normal(0, level, len(samples))).astype(np.float32)


def _openai(model: Network, recordings: Sequence[Samples]) -> list[str]:
    return [
        whisper.transcribe(model, samples, language="en", fp16=False, condition_on_previous_text=False)[
            "text"
        ]
        for samples in recordings
    ]


def _audiograph(model: Whisper, engine: Network, recordings: Sequence[Samples]) -> list[str]:
    tickets = [
        BareTicket(TranscribeRequest(file="talk", language="en"), InMemory(samples, "cpu"))
        for samples in recordings
    ]
    serve(model, engine, tickets, len(tickets))
    return [_text(ticket.outcome) for ticket in tickets]


def _text(outcome: Output | Exception | None) -> str:
    assert isinstance(outcome, Output)
    return str(outcome.result.model_dump()["text"])


def _faster(model: WhisperModel, recordings: Sequence[Samples]) -> list[str]:
    return [
        _joined(model.transcribe(samples, language="en", beam_size=1, condition_on_previous_text=False)[0])
        for samples in recordings
    ]


def _pipeline(pipeline: BatchedInferencePipeline, recordings: Sequence[Samples]) -> list[str]:
    """Transcribe in batches of 8 windows; the pipeline takes one file, so the recordings are joined."""
    ends = np.cumsum([len(samples) for samples in recordings]) / SAMPLE_RATE
    starts = ends - [len(samples) / SAMPLE_RATE for samples in recordings]
    clips = [{"start": float(start), "end": float(end)} for start, end in zip(starts, ends, strict=True)]
    segments = list(
        pipeline.transcribe(
            np.concatenate(recordings), language="en", beam_size=1, batch_size=8, clip_timestamps=clips
        )[0]
    )
    return [
        _joined(one for one in segments if start <= (one.start + one.end) / 2 < end)
        for start, end in zip(starts, ends, strict=True)
    ]


def _tokenizer() -> Tokenizer:
    """Build openai-whisper's vocabulary for the library tokenizers."""
    encoding = get_tokenizer(True).encoding
    asset = Path(whisper.__file__).parent / "assets" / "multilingual.tiktoken"
    tokenizer: Tokenizer = TikTokenConverter(str(asset), pattern=encoding._pat_str).converted()
    special = sorted(encoding._special_tokens.items(), key=itemgetter(1))
    tokenizer.add_special_tokens([AddedToken(text, normalized=False, special=True) for text, _ in special])
    assert all(tokenizer.token_to_id(text) == token for text, token in special)
    return tokenizer


def _joined(segments: Iterable[Segment]) -> str:
    return "".join(segment.text for segment in segments)


def _measure(
    engines: dict[str, Transcriber], recordings: Sequence[Recording], rounds: int
) -> dict[str, Score]:
    """Call every engine once to warm up, then time all of them in turn."""
    samples = [recording.samples for recording in recordings]
    scores = {name: Score() for name in engines}
    for number in range(rounds + 1):
        for name, transcribe in engines.items():
            start = time.perf_counter()
            scores[name].texts = transcribe(samples)
            if number:
                scores[name].seconds.append(time.perf_counter() - start)
    return scores


def _table(recordings: Sequence[Recording], scores: dict[str, Score]) -> Table:
    plain = EnglishTextNormalizer()
    said = [plain(recording.said) for recording in recordings]
    duration = sum(len(recording.samples) for recording in recordings) / SAMPLE_RATE
    words = sum(len(text.split()) for text in said)
    table = Table("engine", "best s", "real-time factor", "words wrong", title=f"{len(recordings)} x speech")
    for name, score in scores.items():
        compared = jiwer.process_words(said, [plain(text) for text in score.texts])
        wrong = compared.substitutions + compared.deletions + compared.insertions
        best = min(score.seconds)
        table.add_row(name, f"{best:.2f}", f"{best / duration:.3f}", f"{wrong} of {words}")
    return table


if __name__ == "__main__":
    typer.run(main)

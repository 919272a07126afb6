"""Compares Whisper's speed and words with those of other engines: ``python -m benchmarks.whisper_speech``.

All have the same published weights and hear the same recordings, which Kokoro speaks. Needs the published
weights of both models: random ones would not transcribe speech.
"""

import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import soxr
import torch
import typer
import whisper
from ctranslate2.converters.transformers import WhisperLoader
from faster_whisper import BatchedInferencePipeline, WhisperModel
from rich.console import Console
from rich.table import Table
from transformers.convert_slow_tokenizer import TikTokenConverter
from whisper.tokenizer import get_encoding

from audiograph.schemas import TranscribeRequest, TranscribeResult
from benchmarks.bare import BareTicket, serve
from benchmarks.kokoro_speech import SENTENCES, VOICES, spoken
from benchmarks.measure import Comparison, alternate
from benchmarks.whisper_speed import InMemory, to_transformers
from deployments.models.base import Output, Samples
from deployments.models.kokoro.engine import SAMPLE_RATE as SPEECH_RATE
from deployments.models.kokoro.model import Kokoro, KokoroOptions
from deployments.models.kokoro.reading import read
from deployments.models.kokoro.voices import mixture
from deployments.models.loading import load
from deployments.models.whisper.model import Whisper, WhisperOptions
from deployments.models.whisper.precision import Precision
from tests.support.word_errors import differences, words_of

SAMPLE_RATE = 16_000
SENTENCES_EACH = 7
"""Number of sentences in a recording; they last some 25 s."""
BATCH = 8
"""Windows that faster-whisper decodes together, as many as the family does on a CPU."""

Recognizer = Callable[[Sequence[Samples]], list[str]]
"""Returns the text of each recording, mono ``[frames]`` at 16 kHz."""


def main(
    work_dir: Annotated[Path, typer.Option(help="The server's folder, with the weights.")] = Path("state"),
    recordings: Annotated[int, typer.Option(min=1, help="Number of recordings.")] = 16,
    noise: Annotated[float | None, typer.Option(help="Level of speech over white noise, in dB.")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Timed rounds.")] = 3,
) -> None:
    """Transcribe recordings with each engine; print real-time factors and wrong words."""
    torch.set_num_threads(2)
    samples, texts = _recordings(work_dir, recordings)
    if noise is not None:
        samples = [_noisy(one, noise, seed) for seed, one in enumerate(samples)]
    recognizers = _recognizers(work_dir)
    for count in sorted({1, recordings}):
        Console().print(_compared(recognizers, samples[:count], texts[:count], rounds))


def _recordings(work_dir: Path, count: int) -> tuple[list[Samples], list[str]]:
    """Speak different sentences with different voices; return mono ``[frames]`` at 16 kHz, and the texts."""
    model = Kokoro(KokoroOptions())
    engine = load(model, "82m", "cpu", "pretrained", work_dir).engine
    sentences, samples, texts = cycle(SENTENCES), [], []
    for voice in islice(cycle(VOICES), count):
        text = " ".join(islice(sentences, SENTENCES_EACH))
        sound = soxr.resample(spoken(model, engine, voice, text), SPEECH_RATE, SAMPLE_RATE)
        samples.append(sound.astype(np.float32))
        texts.append(" ".join(reading.spoken for reading in read(text, mixture(voice).language)))
    return samples, texts


def _noisy(samples: Samples, level: float, seed: int) -> Samples:
    """Add white noise, so that the speech has this level over it in dB."""
    power = float(np.mean(samples**2)) / 10 ** (level / 10)
    noise = np.random.default_rng(seed).normal(0, power**0.5, len(samples))
    return (samples + noise).astype(np.float32)


def _recognizers(work_dir: Path) -> dict[str, Recognizer]:
    network = _network(work_dir, "float32")
    faster = _faster_whisper(network)
    batched = BatchedInferencePipeline(faster)
    return {
        "openai-whisper, one by one": partial(_by_openai_whisper, network),
        "Audiograph, float32": partial(_by_audiograph, network),
        "Audiograph, reduced": partial(_by_audiograph, _network(work_dir, "reduced")),
        "faster-whisper int8, one by one": partial(_by_faster_whisper, faster.transcribe),
        "faster-whisper int8, batched pipeline": partial(
            _by_faster_whisper, partial(batched.transcribe, batch_size=BATCH)
        ),
    }


def _network(work_dir: Path, precision: Precision) -> whisper.Whisper:
    model = Whisper(WhisperOptions(precision=precision))
    return load(model, "base", "cpu", "pretrained", work_dir).engine


def _by_openai_whisper(network: whisper.Whisper, recordings: Sequence[Samples]) -> list[str]:
    return [network.transcribe(one, language="en", fp16=False)["text"] for one in recordings]


def _by_audiograph(network: whisper.Whisper, recordings: Sequence[Samples]) -> list[str]:
    request = TranscribeRequest(file="talk", language="en")
    tickets = [BareTicket(request, InMemory(one, "cpu")) for one in recordings]
    serve(Whisper(WhisperOptions()), network, tickets, len(tickets))
    return [_text(ticket) for ticket in tickets]


def _text(ticket: BareTicket[TranscribeRequest]) -> str:
    assert isinstance(ticket.outcome, Output)
    assert isinstance(ticket.outcome.result, TranscribeResult)
    return ticket.outcome.result.text


def _by_faster_whisper(
    transcribe: Callable[..., tuple[Any, Any]], recordings: Sequence[Samples]
) -> list[str]:
    """Transcribe greedily, as the other engines do."""
    found = (transcribe(one, language="en", beam_size=1)[0] for one in recordings)
    return ["".join(segment.text for segment in segments) for segments in found]


def _faster_whisper(network: whisper.Whisper) -> WhisperModel:
    """Convert a network's weights to 8-bit integers of CTranslate2."""
    assets = Path(whisper.__file__).parent / "assets"
    encoding = get_encoding("multilingual", num_languages=network.num_languages)
    special = sorted(encoding.special_tokens_set, key=encoding.encode_single_token)
    tokenizer = TikTokenConverter(
        str(assets / "multilingual.tiktoken"), pattern=encoding._pat_str, extra_special_tokens=special
    ).converted()
    spec = WhisperLoader()(to_transformers(network), tokenizer)
    spec.validate()
    spec.optimize(quantization="int8")
    with tempfile.TemporaryDirectory() as folder:
        spec.save(folder)
        tokenizer.save(str(Path(folder) / "tokenizer.json"))
        return WhisperModel(folder, device="cpu", compute_type="int8", cpu_threads=2)


def _compared(
    recognizers: dict[str, Recognizer], recordings: list[Samples], texts: list[str], rounds: int
) -> Table:
    heard: dict[str, list[str]] = {}

    def recognize(name: str) -> None:
        heard[name] = recognizers[name](recordings)

    seconds = sum(len(one) for one in recordings) / SAMPLE_RATE
    times = alternate({name: partial(recognize, name) for name in recognizers}, rounds)
    title = f"{len(recordings)} recordings, {seconds:.0f} s of speech"
    comparison = Comparison(title, times, seconds, "s of speech")
    table = Table("engine", "real-time factor", "ratio", "words wrong", title=title)
    for name in recognizers:
        ratios = sorted(comparison.ratios(name))
        table.add_row(
            name,
            f"{comparison.median(name) / seconds:.3f}",
            f"{ratios[len(ratios) // 2]:.2f} ({ratios[0]:.2f}-{ratios[-1]:.2f})",
            _wrong(texts, heard[name]),
        )
    return table


def _wrong(texts: Sequence[str], heard: Sequence[str]) -> str:
    pairs = [(words_of(said), words_of(found)) for said, found in zip(texts, heard, strict=True)]
    errors = sum(one.errors for said, found in pairs for one in differences(said, found))
    return f"{errors} of {sum(len(said) for said, _ in pairs)}"


if __name__ == "__main__":
    typer.run(main)

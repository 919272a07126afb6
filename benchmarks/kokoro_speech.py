"""Measures Kokoro's speech: ``python -m benchmarks.kokoro_speech``.

Whisper writes down what it hears, which is compared with what was to be said; DNSMOS, a model of listeners,
scores how it sounds. Needs the published weights of both models.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import soxr
import typer
from rich.console import Console
from rich.table import Table
from speechmos import dnsmos
from whisper import Whisper as Network

from audiograph.schemas import SpeakRequest
from deployments.models.base import AudioOutput, Samples
from deployments.models.kokoro.engine import SAMPLE_RATE, Engine
from deployments.models.kokoro.model import Kokoro, KokoroOptions
from deployments.models.kokoro.reading import read
from deployments.models.kokoro.voices import mixture
from deployments.models.loading import load
from deployments.models.whisper.model import Whisper, WhisperOptions
from tests.deployments.models.fakes import FakeContext
from tests.support.word_errors import differences, words_of

VOICES = ("af_heart", "am_michael", "bf_emma", "bm_george", "af_bella", "am_fenrir")
SENTENCES = (
    "Every job is durable, so a worker may crash at any moment of the day.",
    "The harbor was quiet, and the boats lay still in the morning light.",
    "She opened the window, because the room had become far too warm.",
    "A good dictionary explains where a word comes from and how it is used.",
    "After the storm, the children ran outside to look for broken branches.",
    "Please leave the package with my neighbor if nobody answers the door.",
    "The museum closes early on Sundays, but the garden stays open.",
    "He had never seen so many stars before he moved to the country.",
    "We should compare the results before we draw any conclusions.",
    "The train to the coast leaves from the second platform.",
    "Where did you put the keys to the old bicycle?",
    "Would you like some tea, or is it already too late for that?",
    "How long does it take to walk from here to the station?",
    "Why has nobody told me about the meeting this afternoon?",
    "Is there anything else that you need before we start?",
    "What a wonderful surprise to see all of you here!",
    "Stop the engine at once, the oil is leaking!",
    "Mr. and Mrs. Jones live next to Dr. Smith.",
    "Prof. Miller met Emily Watson and Peter Brown in London.",
    "Charlotte lives in Chicago, and her brother William lives in Boston.",
    "Queen Elizabeth visited Canada, Australia and New Zealand.",
    "Isaac Newton and Albert Einstein changed how we think about space.",
    "Jan. and Feb. were cold, but the spring came early.",
    "The ticket costs $45, and the dinner costs $12.50.",
    "On March 14, 2024 the company moved to Berlin.",
    "In 1984 the town had 2,500 inhabitants.",
    "The meeting starts at 5:30 pm in room 12.",
    "The recipe needs 5 kg of flour and 3 liters of water.",
    "The temperature fell to -5°C during the night.",
    "The car drove at 60 km/h through the village.",
    "About 3.5% of the people did not answer.",
    "He finished in 3rd place, and she finished in 1st place.",
    "World War II ended in 1945.",
    "Henry VIII had six wives.",
    "The population grew to 1.2 million people.",
    "Nearly 3/4 of the work is done.",
    "The book has 21 chapters and 300 pages.",
    "The 1990s were good years for the industry.",
    "The new bridge is 2.5 km long.",
    "Bring fruit, e.g. apples and pears, to the party.",
)
"""Prose, questions, exclamations, names, numbers and abbreviations."""


@dataclass(frozen=True, slots=True)
class Score:
    """What was measured of one voice."""

    voice: str
    words: int
    errors: int
    quality: float
    audio_seconds: float
    cpu_seconds: float
    wall_seconds: float
    wrong: Sequence[tuple[str, str]]


def main(
    work_dir: Annotated[Path, typer.Option(help="The server's folder, with the weights.")] = Path("state"),
    voice: Annotated[list[str], typer.Option(help="Voices to measure.")] = list(VOICES),  # noqa: B006
    sentences: Annotated[int, typer.Option(min=1, help="Number of sentences.")] = len(SENTENCES),
) -> None:
    """Speak sentences with each voice, and print word error rate, DNSMOS and real-time factor."""
    model = Kokoro(KokoroOptions())
    engine = load(model, "82m", "cpu", "pretrained", work_dir).engine
    listener = load(Whisper(WhisperOptions()), "base", "cpu", "pretrained", work_dir).engine
    scores = [score(model, engine, listener, one, SENTENCES[:sentences]) for one in voice]
    console = Console(highlight=False)
    console.print(_table(scores))
    for one in scores:
        for said, heard in one.wrong:
            console.print(f"{one.voice}: said {said!r}, heard {heard!r}")


def score(model: Kokoro, engine: Engine, listener: Network, voice: str, sentences: Sequence[str]) -> Score:
    """Speak sentences with a voice, and measure what Whisper hears of them, their quality and their time."""
    words = errors = 0
    qualities, wrong = [], []
    audio = cpu = wall = 0.0
    for sentence in sentences:
        started = time.process_time(), time.perf_counter()
        samples = spoken(model, engine, voice, sentence)
        cpu += time.process_time() - started[0]
        wall += time.perf_counter() - started[1]
        audio += len(samples) / SAMPLE_RATE
        heard = soxr.resample(samples, SAMPLE_RATE, 16_000).astype(np.float32)
        text = listener.transcribe(heard, language="en", fp16=False)["text"]
        said = " ".join(reading.spoken for reading in read(sentence, mixture(voice).language))
        expected = words_of(said)
        words += len(expected)
        if found := sum(one.errors for one in differences(expected, words_of(text))):
            errors += found
            wrong.append((said, text.strip()))
        qualities.append(_quality(heard))
    return Score(voice, words, errors, float(np.mean(qualities)), audio, cpu, wall, wrong)


def spoken(model: Kokoro, engine: Engine, voice: str, sentence: str) -> Samples:
    """Speak a text with a voice; return mono ``[frames]`` at Kokoro's sample rate."""
    request = SpeakRequest(text=sentence, voice=voice)
    (audio,) = model.run(engine, request, FakeContext()).files
    assert isinstance(audio, AudioOutput)
    return audio.frames()[:, 0]


def _quality(samples: Samples) -> float:
    """Return the overall score of DNSMOS P.835 (Reddy et al. 2022) of speech at 16 kHz, 1 to 5."""
    return float(dnsmos.run(samples / max(1.0, np.abs(samples).max()), sr=16_000)["ovrl_mos"])


def _table(scores: Sequence[Score]) -> Table:
    table = Table("voice", "words", "word error rate", "DNSMOS", "CPU s per s", "wall s per s")
    for one in scores:
        table.add_row(
            one.voice,
            str(one.words),
            f"{one.errors / one.words:.1%}",
            f"{one.quality:.2f}",
            f"{one.cpu_seconds / one.audio_seconds:.2f}",
            f"{one.wall_seconds / one.audio_seconds:.2f}",
        )
    words, errors = sum(one.words for one in scores), sum(one.errors for one in scores)
    table.caption = f"{errors} errors in {words} words: {errors / words:.1%}"
    return table


if __name__ == "__main__":
    typer.run(main)

"""Whisper base with OpenAI's own weights: what is not speech gives no words."""

from collections.abc import Callable

import numpy as np
import pytest
from whisper import Whisper as Network

from audiograph.schemas import TranscribeRequest, TranscribeResult
from deployments.models.base import Samples
from deployments.models.whisper.model import Whisper, WhisperOptions
from tests.deployments.models.fakes import FakeTicket, serve
from tests.support.real_weights import real_engine
from tests.support.transcription import FILE, result_of, talk_context

MODEL = Whisper(WhisperOptions())
RATE = 16_000


@pytest.fixture(scope="module")
def base() -> Network:
    return real_engine(MODEL, "base")


def transcript(engine: Network, samples: Samples, **fields: object) -> TranscribeResult:
    ticket = FakeTicket(TranscribeRequest.model_validate({"file": FILE, **fields}), talk_context(samples))
    serve(MODEL, engine, ticket)
    return result_of(ticket.output)


def _noise(level: float) -> Samples:
    return np.random.default_rng(0).normal(0, level, 30 * RATE).astype(np.float32)


def _chords() -> Samples:
    """Return half-second chords of decaying harmonics, as of a piano."""
    random = np.random.default_rng(0)
    times = np.arange(RATE // 2) / RATE
    chords = []
    for _ in range(60):
        root = random.choice([220, 262, 294, 330, 349, 392])
        partials = [np.sin(2 * np.pi * root * factor * times) for factor in (1, 1.25, 1.5, 2)]
        chords.append(0.1 * np.exp(-3 * times) * np.sum(partials, axis=0))
    return np.concatenate(chords).astype(np.float32)


def _beats() -> Samples:
    return _noise(0.3) * np.exp(-(np.arange(30 * RATE) % (RATE // 2)) / 800).astype(np.float32)


QUIET: dict[str, Callable[[], Samples]] = {
    "silence": lambda: np.zeros(30 * RATE, np.float32),
    "dither": lambda: _noise(1e-4),
    "noise": lambda: _noise(0.05),
    "loud noise": lambda: _noise(0.3),
    "hum": lambda: (0.3 * np.sin(2 * np.pi * 50 * np.arange(30 * RATE) / RATE)).astype(np.float32),
    "chords": _chords,
    "beats": _beats,
}


@pytest.mark.parametrize("language", [None, "en"])
@pytest.mark.parametrize("kind", QUIET)
def test_what_is_not_speech_gives_no_words(base: Network, kind: str, language: str | None) -> None:
    result = transcript(base, QUIET[kind]()[None], language=language)
    assert (result.text, result.segments) == ("", [])

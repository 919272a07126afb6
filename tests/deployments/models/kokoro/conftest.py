"""Kokoro with its tiny stand-in, and with its published weights where they can be had."""

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from deployments.models.kokoro.engine import FRAME_SAMPLES, Engine
from deployments.models.kokoro.model import Kokoro, KokoroOptions
from deployments.models.kokoro.tiny import tiny_graph, tiny_voices
from deployments.models.loading import load
from tests.support.real_weights import real_engine

pytest.importorskip("onnxruntime")
pytest.importorskip("espeakng_loader")
pytest.importorskip("num2words")


@pytest.fixture(scope="session")
def model() -> Kokoro:
    return Kokoro(KokoroOptions())


@pytest.fixture(scope="session")
def engine(model: Kokoro, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """The tiny stand-in."""
    loaded = load(model, "82m", "cpu", "tiny", tmp_path_factory.mktemp("work"))
    assert loaded.weights == "random"
    yield loaded.engine
    model.unload(loaded.engine)


@pytest.fixture(scope="session")
def published(model: Kokoro) -> Iterator[Engine]:
    """The published weights."""
    engine = real_engine(model, "82m")
    yield engine
    model.unload(engine)


class SlowSession:
    """A session whose runs wait until they are allowed to end, or canceled; it records their lengths."""

    def __init__(self) -> None:
        self.started: list[int] = []
        self.canceled = 0
        self.allowed = threading.Semaphore(0)

    def run(self, _: list[str], inputs: dict[str, Any], options: Any) -> list[np.ndarray]:
        symbols = inputs["tokens"].shape[1] - 2
        self.started.append(symbols)
        while not self.allowed.acquire(timeout=0.01):
            if options.terminate:
                self.canceled += 1
                raise RuntimeError("terminated")
        frames = np.ones((1, symbols + 2), np.int64)
        return [np.zeros(frames.sum() * FRAME_SAMPLES, np.float32), frames]


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Engine, SlowSession]]:
    """An engine that runs two sentences at a time, on a slow session."""
    session = SlowSession()
    monkeypatch.setattr("deployments.models.kokoro.engine.all_processors", lambda: 2)
    engine = Engine(tiny_graph(), tiny_voices(), "cpu")
    monkeypatch.setattr(engine, "_session", session)
    yield engine, session
    session.allowed.release(1000)
    engine.close()

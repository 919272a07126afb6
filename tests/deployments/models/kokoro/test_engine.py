# ruff: noqa: RUF001  # phonemes
"""Runs of the graph: durations, turns of several requests, cancels, and the file that the stand-in is."""

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from audiograph.errors import Canceled
from deployments.models.kokoro.engine import FRAME_SAMPLES, Engine
from deployments.models.kokoro.symbols import VOCABULARY, tokens_of
from deployments.models.kokoro.tiny import tiny_graph, tiny_voices
from deployments.models.kokoro.voices import mixture

HEART = mixture("af_heart")


def unchecked() -> None:
    """Never cancel."""


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


def test_the_samples_of_an_utterance_are_those_of_its_frames(engine: Engine) -> None:
    (utterance,) = engine.speak(["abc"], HEART, 1.0, unchecked)
    assert len(utterance.frames) == len("abc") + 2
    assert len(utterance.samples) == utterance.frames.sum() * FRAME_SAMPLES


def test_utterances_are_in_the_order_of_their_texts(engine: Engine) -> None:
    lengths = [
        len(one.frames) - 2 for one in engine.speak(["a" * n for n in range(1, 30)], HEART, 1.0, unchecked)
    ]
    assert lengths == list(range(1, 30))


def test_a_short_request_waits_for_a_few_sentences_of_a_long_one(slow: tuple[Engine, SlowSession]) -> None:
    engine, session = slow
    long = threading.Thread(target=lambda: list(engine.speak(["a"] * 30, HEART, 1.0, unchecked)))
    long.start()
    while len(session.started) < 2:
        pass
    short = threading.Thread(target=lambda: list(engine.speak(["b" * 7], HEART, 1.0, unchecked)))
    short.start()
    while engine._pool._work_queue.qsize() < 1:
        pass
    session.allowed.release(31)
    short.join()
    long.join()
    assert session.started.index(7) <= 4


def test_a_cancel_ends_the_runs_of_a_request(slow: tuple[Engine, SlowSession]) -> None:
    engine, session = slow

    def cancel() -> None:
        raise Canceled("the job was canceled")

    with pytest.raises(Canceled):
        list(engine.speak(["a"] * 30, HEART, 1.0, cancel))
    engine.close()
    assert session.canceled == len(session.started) <= 2


def test_an_error_of_a_run_reaches_its_request(slow: tuple[Engine, SlowSession]) -> None:
    engine, session = slow
    session.allowed.release(10)
    with pytest.raises(KeyError):
        list(engine.speak(["☃"], HEART, 1.0, unchecked))
    assert len(list(engine.speak(["a"], HEART, 1.0, unchecked))) == 1


def test_a_mixture_lies_between_its_voices(engine: Engine) -> None:
    low, high = (engine._style(mixture(name), 5) for name in ("af_heart", "am_michael"))
    mixed = engine._style(mixture("af_heart:3+am_michael:1"), 5)
    np.testing.assert_allclose(mixed, 0.75 * low + 0.25 * high, rtol=1e-5)


def test_symbols_become_tokens_between_pads() -> None:
    assert tokens_of("a ˈb.") == [0, 43, 16, 156, 44, 4, 0]
    assert (len(VOCABULARY), max(VOCABULARY.values())) == (114, 177)

# ruff: noqa: RUF001  # phonemes
"""Runs of the graph: durations, turns of several requests, cancels, and the file that the stand-in is."""

import threading

import numpy as np
import pytest

from audiograph.errors import Canceled
from deployments.models.kokoro.engine import FRAME_SAMPLES, Engine, Line
from deployments.models.kokoro.symbols import VOCABULARY, tokens_of
from deployments.models.kokoro.voices import mixture
from tests.deployments.models.kokoro.conftest import SlowSession

HEART = mixture("af_heart")


def lines(*texts: str) -> list[Line]:
    return [Line(text, HEART) for text in texts]


def unchecked() -> None:
    """Never cancel."""


def test_the_samples_of_an_utterance_are_those_of_its_frames(engine: Engine) -> None:
    (utterance,) = engine.speak(lines("abc"), 1.0, unchecked)
    assert len(utterance.frames) == len("abc") + 2
    assert len(utterance.samples) == utterance.frames.sum() * FRAME_SAMPLES


def test_utterances_are_in_the_order_of_their_texts(engine: Engine) -> None:
    lengths = [
        len(one.frames) - 2 for one in engine.speak(lines(*["a" * n for n in range(1, 30)]), 1.0, unchecked)
    ]
    assert lengths == list(range(1, 30))


def test_a_short_request_waits_for_a_few_sentences_of_a_long_one(slow: tuple[Engine, SlowSession]) -> None:
    engine, session = slow
    long = threading.Thread(target=lambda: list(engine.speak(lines(*["a"] * 30), 1.0, unchecked)))
    long.start()
    while len(session.started) < 2:
        pass
    short = threading.Thread(target=lambda: list(engine.speak(lines("b" * 7), 1.0, unchecked)))
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
        list(engine.speak(lines(*["a"] * 30), 1.0, cancel))
    engine.close()
    assert session.canceled == len(session.started) <= 2


def test_an_error_of_a_run_reaches_its_request(slow: tuple[Engine, SlowSession]) -> None:
    engine, session = slow
    session.allowed.release(10)
    with pytest.raises(KeyError):
        list(engine.speak(lines("☃"), 1.0, unchecked))
    assert len(list(engine.speak(lines("a"), 1.0, unchecked))) == 1


def test_a_mixture_lies_between_its_voices(engine: Engine) -> None:
    low, high = (engine._style(mixture(name), 5) for name in ("af_heart", "am_michael"))
    mixed = engine._style(mixture("af_heart:3+am_michael:1"), 5)
    np.testing.assert_allclose(mixed, 0.75 * low + 0.25 * high, rtol=1e-5)


def test_symbols_become_tokens_between_pads() -> None:
    assert tokens_of("a ˈb.") == [0, 43, 16, 156, 44, 4, 0]
    assert (len(VOCABULARY), max(VOCABULARY.values())) == (114, 177)

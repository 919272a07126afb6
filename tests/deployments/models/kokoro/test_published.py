# ruff: noqa: RUF001  # phonemes
"""Kokoro with its published weights; skipped where they cannot be had."""

import gc
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import onnxruntime
import psutil
import pyloudnorm
import pytest

from audiograph.errors import Canceled
from audiograph.schemas import SpeakRequest, SpeakResult
from deployments.audio.fades import silence
from deployments.audio.loudness import TARGET_LUFS
from deployments.models.base import AudioOutput, Samples
from deployments.models.kokoro.engine import FRAME_SAMPLES, SAMPLE_RATE, Engine, Line
from deployments.models.kokoro.model import Kokoro
from deployments.models.kokoro.script import MAX_PIECE
from deployments.models.kokoro.symbols import tokens_of
from deployments.models.kokoro.voices import VOICES, mixture
from deployments.models.kokoro.weights import GRAPH
from tests.deployments.models.fakes import FakeContext
from tests.support.real_weights import WORK_DIR

HEART = mixture("af_heart")
SYMBOLS = "ðə hˈɑɹbəɹ wʌz kwˈIət, ænd ðə bˈOts lˈA stˈɪl."
FIRST, SECOND = "Every job is durable, so a worker may crash.", "Nothing is lost."
MIB = 1 << 20


def lines(*texts: str) -> list[Line]:
    return [Line(text, HEART) for text in texts]


def unchecked() -> None:
    """Never cancel."""


def speak(model: Kokoro, engine: Engine, text: str, **fields: Any) -> tuple[Samples, SpeakResult]:
    request = SpeakRequest.model_validate({"text": text, **fields})
    output = model.postprocess(request, model.run(engine, request, FakeContext()))
    audio = output.files[0]
    assert isinstance(audio, AudioOutput)
    assert isinstance(output.result, SpeakResult)
    return audio.frames()[:, 0], output.result


def test_the_durations_change_no_sample(published: Engine) -> None:
    plain = onnxruntime.InferenceSession(str(GRAPH.places(WORK_DIR)[0]))
    inputs = {
        "tokens": np.array([tokens_of(SYMBOLS)], np.int64),
        "style": published._style(HEART, len(SYMBOLS)),
        "speed": np.ones(1, np.float32),
    }
    (utterance,) = published.speak(lines(SYMBOLS), 1.0, unchecked)
    np.testing.assert_array_equal(plain.run(["audio"], inputs)[0].reshape(-1), utterance.samples)
    assert len(utterance.samples) == utterance.frames.sum() * FRAME_SAMPLES


def test_concurrent_runs_equal_lone_ones(published: Engine) -> None:
    (alone,) = published.speak(lines(SYMBOLS), 1.0, unchecked)
    with ThreadPoolExecutor(4) as threads:
        runs = threads.map(lambda _: next(published.speak(lines(SYMBOLS), 1.0, unchecked)), range(4))
    assert all(np.array_equal(run.samples, alone.samples) for run in runs)


def test_a_cancel_ends_a_sentence_that_is_being_spoken(published: Engine) -> None:
    def cancel() -> None:
        raise Canceled("the job was canceled")

    long = (SYMBOLS * 12)[:500]
    run = published._submit(lines(long)[0], 1.0)
    with pytest.raises(Canceled):
        run.result(cancel)
    run.cancel()
    assert "terminate" in str(run.future.exception())
    assert len(next(published.speak(lines(SYMBOLS), 1.0, unchecked)).samples)


def test_a_long_sentence_takes_its_memory_only_while_it_is_spoken(published: Engine) -> None:
    next(published.speak(lines(SYMBOLS), 1.0, unchecked))
    before = psutil.Process().memory_info().rss
    next(published.speak(lines((SYMBOLS * 12)[:MAX_PIECE]), 1.0, unchecked))
    gc.collect()
    assert psutil.Process().memory_info().rss - before < 100 * MIB


@pytest.mark.parametrize("voice", ["af_heart", "am_adam", "af_bella+am_michael", "ef_dora", "ff_siwis"])
def test_every_voice_is_equally_loud(model: Kokoro, published: Engine, voice: str) -> None:
    samples, _ = speak(model, published, FIRST, voice=voice)
    loudness = pyloudnorm.Meter(SAMPLE_RATE).integrated_loudness(samples.astype(float))
    assert loudness == pytest.approx(TARGET_LUFS, abs=0.5)
    assert np.abs(samples).max() <= 1


def test_the_voices_that_are_offered_are_published(published: Engine) -> None:
    assert {voice.id for voice in VOICES} <= set(published._voices)


def test_sentences_in_one_request_sound_as_those_of_several(model: Kokoro, published: Engine) -> None:
    together, _ = speak(model, published, f"{FIRST} {SECOND}")
    (first, _), (second, _) = (speak(model, published, text) for text in (FIRST, SECOND))
    np.testing.assert_array_equal(together, np.concatenate([first, silence(SAMPLE_RATE), second]))


def test_sentences_join_without_clicks_or_long_silence(model: Kokoro, published: Engine) -> None:
    samples, _ = speak(model, published, f"{FIRST} {SECOND}")
    level = np.abs(samples)
    assert max(level[0], level[-1]) < 1e-3
    quiet = np.flatnonzero(level > 1e-2)
    assert np.diff(quiet).max() / SAMPLE_RATE < 0.6


@pytest.mark.parametrize("voice", ["af_heart", "bm_george", "am_michael"])
def test_words_begin_when_they_are_heard(model: Kokoro, published: Engine, voice: str) -> None:
    samples, result = speak(model, published, f"{FIRST} {SECOND}", voice=voice, word_timestamps=True)
    words = [word for segment in result.segments or () for word in segment.words or ()]
    power = np.convolve(np.square(samples), np.ones(240) / 240, "same")
    loud = np.flatnonzero(power > 0.02**2 * power.max()) / SAMPLE_RATE
    onsets = loud[1:][np.diff(loud) > 0.08]  # behind pauses
    for word in (words[4], words[-3]):
        assert np.abs(onsets - word.start).min() < 0.08, (word, onsets)


@pytest.mark.parametrize("speed", [0.5, 1.25])
def test_the_graph_speaks_faster_and_slower(model: Kokoro, published: Engine, speed: float) -> None:
    (normal, _), (changed, _) = (speak(model, published, FIRST, speed=one) for one in (1.0, speed))
    assert len(normal) / len(changed) == pytest.approx(speed, rel=0.2)

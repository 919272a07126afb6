"""Speech detection, against silero-vad itself."""

import sys

import numpy as np
import pytest
import soxr
import torch
from silero_vad import get_speech_timestamps, load_silero_vad

from audiograph.schemas import SpeakRequest
from deployments.models.base import AudioOutput, Samples
from deployments.models.espeak.model import EspeakOptions, EspeakSpeech
from deployments.models.loading import load
from deployments.models.whisper import vad
from deployments.models.whisper.vad import (
    BLOCK_CHUNKS,
    CHUNK_SAMPLES,
    SAMPLE_RATE,
    SpeechDetector,
    speech_detector,
    speech_segments,
)
from tests.deployments.models.fakes import FakeContext

TEXT = "The quick brown fox jumps over the lazy dog, and nobody knows why."

Talk = tuple[Samples, list[tuple[int, int]]]
"""A recording, and the start and end of each sentence in samples."""


def check() -> None:
    pass


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Samples:
    """One sentence, float32 ``[frames]`` at 16 kHz."""
    pytest.importorskip("espeakng_loader")
    model = EspeakSpeech(EspeakOptions())
    engine = load(model, "espeak-ng", "cpu", "tiny", tmp_path_factory.mktemp("work")).engine
    (file,) = model.run(engine, SpeakRequest(text=TEXT), FakeContext()).files
    assert isinstance(file, AudioOutput)
    samples: Samples = soxr.resample(np.ravel(file.frames()), file.sample_rate, SAMPLE_RATE)
    model.unload(engine)
    return samples.astype(np.float32)


@pytest.fixture(scope="module")
def talk(spoken: Samples) -> Talk:
    """The sentence, 5 s of hiss, and the sentence again."""
    hiss = np.random.default_rng(0).normal(0, 1e-3, 2 * len(spoken) + 7 * SAMPLE_RATE).astype(np.float32)
    sentences = [(start, start + len(spoken)) for start in (SAMPLE_RATE, len(spoken) + 6 * SAMPLE_RATE)]
    for start, end in sentences:
        hiss[start:end] += spoken
    return hiss, sentences


def test_probabilities_are_the_packages_own(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also across the blocks of a long recording."""
    samples, _ = talk
    monkeypatch.setattr(vad, "BLOCK_CHUNKS", 100)
    ours = SpeechDetector().probabilities(samples, check)
    theirs = load_silero_vad()
    padded = np.pad(samples, (0, -len(samples) % CHUNK_SAMPLES)).reshape(-1, CHUNK_SAMPLES)
    with torch.no_grad():
        expected = [theirs(torch.from_numpy(chunk), SAMPLE_RATE).item() for chunk in padded]
    np.testing.assert_allclose(ours, expected, atol=1e-4)
    assert ours.max() > 0.9
    assert ours.min() < 0.1
    found = speech_segments(ours, len(samples))
    own = get_speech_timestamps(torch.from_numpy(samples), theirs, speech_pad_ms=vad.PADDING_MS)
    assert found == [(segment["start"], segment["end"]) for segment in own]


def test_speech_is_found_where_it_is(talk: Talk) -> None:
    samples, sentences = talk
    found = speech_segments(speech_detector().probabilities(samples, check), len(samples))
    is_speech = np.zeros(len(samples), bool)
    for start, end in found:
        is_speech[start:end] = True
    for start, end in sentences:
        assert is_speech[start:end].mean() > 0.9
    pause = slice(sentences[0][1] + SAMPLE_RATE, sentences[1][0] - SAMPLE_RATE)
    assert not is_speech[pause].any()


@pytest.mark.parametrize("samples", [np.zeros(0, np.float32), np.zeros(40_000, np.float32)], ids=len)
def test_no_speech(samples: Samples) -> None:
    probabilities = speech_detector().probabilities(samples, check)
    assert len(probabilities) == -(-len(samples) // CHUNK_SAMPLES)
    assert speech_segments(probabilities, len(samples)) == []


def test_it_may_be_stopped_once_per_block() -> None:
    class Stop(Exception):
        pass

    calls: list[None] = []

    def stop() -> None:
        calls.append(None)
        if len(calls) == 2:
            raise Stop

    with pytest.raises(Stop):
        speech_detector().probabilities(np.zeros(3 * BLOCK_CHUNKS * CHUNK_SAMPLES, np.float32), stop)


def test_torch_keeps_its_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("silero_vad")]:
        monkeypatch.delitem(sys.modules, name)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        SpeechDetector()
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)

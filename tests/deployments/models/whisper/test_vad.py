import numpy as np
import pytest
import soxr
import torch
from silero_vad import get_speech_timestamps, load_silero_vad

from audiograph.schemas import SpeakRequest
from deployments.models.base import LoadContext
from deployments.models.espeak.model import EspeakOptions, EspeakSpeech
from deployments.models.whisper import vad as speech
from deployments.models.whisper.vad import (
    BLOCK,
    CHUNK,
    SAMPLE_RATE,
    SpeechDetector,
    speech_detector,
    stretches,
)
from tests.deployments.models.fakes import FakeContext

TEXT = "The quick brown fox jumps over the lazy dog, and nobody knows why."


def check():
    pass


@pytest.fixture(scope="module")
def spoken(tmp_path_factory):
    """One sentence, float32 ``[frames]`` at 16 kHz."""
    pytest.importorskip("espeakng_loader")
    model = EspeakSpeech(EspeakOptions())
    engine = model.load("espeak-ng", LoadContext("cpu", "tiny", tmp_path_factory.mktemp("work"))).engine
    (file,) = model.run(engine, SpeakRequest(text=TEXT), FakeContext()).files
    samples = soxr.resample(np.ravel(file.samples), file.sample_rate, SAMPLE_RATE)
    model.unload(engine)
    return samples.astype(np.float32)


@pytest.fixture(scope="module")
def talk(spoken):
    """The sentence, 5 s of hiss, and the sentence again; where each begins and ends, in samples."""
    hiss = np.random.default_rng(0).normal(0, 1e-3, 2 * len(spoken) + 7 * SAMPLE_RATE).astype(np.float32)
    places = [(start, start + len(spoken)) for start in (SAMPLE_RATE, len(spoken) + 6 * SAMPLE_RATE)]
    for start, end in places:
        hiss[start:end] += spoken
    return hiss, places


def test_probabilities_are_the_packages_own(talk, monkeypatch):
    """Also across the blocks that a long recording is taken in."""
    samples, _ = talk
    monkeypatch.setattr(speech, "BLOCK", 100)
    ours = SpeechDetector().probabilities(samples, check)
    theirs = load_silero_vad()
    padded = np.pad(samples, (0, -len(samples) % CHUNK)).reshape(-1, CHUNK)
    with torch.no_grad():
        expected = [theirs(torch.from_numpy(chunk), SAMPLE_RATE).item() for chunk in padded]
    np.testing.assert_allclose(ours, expected, atol=1e-4)
    assert ours.max() > 0.9
    assert ours.min() < 0.1
    found = stretches(ours, len(samples))
    own = get_speech_timestamps(torch.from_numpy(samples), theirs, speech_pad_ms=speech.PAD_MILLISECONDS)
    assert found == [(part["start"], part["end"]) for part in own]


def test_speech_is_found_where_it_is(talk):
    samples, places = talk
    found = stretches(speech_detector().probabilities(samples, check), len(samples))
    inside = np.zeros(len(samples), bool)
    for start, end in found:
        inside[start:end] = True
    for start, end in places:
        assert inside[start:end].mean() > 0.9
    pause = slice(places[0][1] + SAMPLE_RATE, places[1][0] - SAMPLE_RATE)
    assert not inside[pause].any()


@pytest.mark.parametrize("samples", [np.zeros(0, np.float32), np.zeros(40_000, np.float32)], ids=len)
def test_no_speech(samples):
    probabilities = speech_detector().probabilities(samples, check)
    assert len(probabilities) == -(-len(samples) // CHUNK)
    assert stretches(probabilities, len(samples)) == []


def test_it_may_be_stopped_once_per_block():
    class Stop(Exception):
        pass

    calls = []

    def stop():
        calls.append(1)
        if len(calls) == 2:
            raise Stop

    with pytest.raises(Stop):
        speech_detector().probabilities(np.zeros(3 * BLOCK * CHUNK, np.float32), stop)


def test_threads_of_torch_stay_as_they_are(monkeypatch):
    import sys

    for name in [name for name in sys.modules if name.startswith("silero_vad")]:
        monkeypatch.delitem(sys.modules, name)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        SpeechDetector()
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)

import os
import re
import subprocess
import sys

import numpy as np
import pytest
import scipy.ndimage

from audiograph.errors import Canceled, InvalidAudio, InvalidRequest
from audiograph.schemas import SeparateRequest
from deployments.models.base import LoadContext, Options
from deployments.models.hpss import spectral
from deployments.models.hpss.model import KERNEL, METHODS, Hpss, _median, harmonic
from tests.deployments.models.fakes import FakeContext
from tests.support.sounds import tone

RATE = 44_100
MODEL = Hpss(Options())


def clicks(seconds: float = 4.0, rate: int = RATE) -> np.ndarray:
    """Two noisy strokes a second, ``[1, frames]``."""
    rng = np.random.default_rng(0)
    samples = np.zeros((1, round(seconds * rate)), np.float32)
    length = rate // 100
    for start in range(rate // 4, samples.shape[1] - length, rate // 2):
        samples[0, start : start + length] = rng.normal(0, 0.3, length) * np.linspace(1, 0, length)
    return samples


def noise(seconds: float, rate: int = RATE, channels: int = 2) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.normal(0, 0.1, (channels, round(seconds * rate))).astype(np.float32)


def context_of(samples: np.ndarray, rate: int = RATE, **kwargs) -> FakeContext:
    return FakeContext({"song": (samples, rate)}, **kwargs)


def run(samples, variant="harmonic_percussive", rate=RATE, **fields):
    request = SeparateRequest(file="song", variant=variant, **fields)
    MODEL.check_request(request, variant)
    engine = MODEL.load(variant, LoadContext("cpu", "auto", None)).engine
    return MODEL.run(engine, request, context_of(samples, rate))


def stems_of(output) -> dict[str, np.ndarray]:
    """Samples ``[channels, frames]`` by stem."""
    return {file.name: file.samples.read(0, file.samples.frames).T for file in output.files}


def leak(stem: np.ndarray, part: np.ndarray) -> float:
    """How much of a part is missing from its stem, or is there besides, against the part; 1 is all of it."""
    return float(np.linalg.norm(stem - part) / np.linalg.norm(part))


# What is separated


def test_tones_from_strokes():
    steady, struck = tone(seconds=4.0) + tone(660, seconds=4.0), clicks(4.0)
    stems = stems_of(run(steady + struck))
    assert leak(stems["harmonic"], steady) < 0.1
    assert leak(stems["percussive"], struck) < 0.5
    assert leak(steady + struck, struck) > 5


def test_the_centre_from_the_sides():
    middle, left, right = tone(440, seconds=2.0), tone(1000, seconds=2.0), tone(3000, seconds=2.0)
    sides = np.concatenate([left, right])
    output = run(middle + sides, "center_channel")
    stems = stems_of(output)
    assert leak(stems["center"], np.tile(middle, (2, 1))) < 0.05
    assert leak(stems["sides"], sides) < 0.05
    assert output.result.stems == {"center": "center.wav", "sides": "sides.wav"}


@pytest.mark.parametrize(
    ("samples", "share"),
    [
        ((1.0, 1.0), 1.0),
        ((1.0, 0.0), 0.0),
        ((1.0, -1.0), 0.0),
        ((1.0, 0.5), 0.6),  # common power 0.8, of a middle of 0.75
    ],
)
def test_how_much_of_a_panned_tone_is_in_the_centre(samples, share):
    sound = tone(seconds=2.0)
    stems = stems_of(run(np.concatenate([sound * samples[0], sound * samples[1]]), "center_channel"))
    inner = slice(RATE // 2, 3 * RATE // 2)
    assert stems["center"][0, inner].std() / sound[0, inner].std() == pytest.approx(share, abs=0.01)


@pytest.mark.parametrize("variant", METHODS)
@pytest.mark.parametrize(
    ("seconds", "rate", "channels"),
    [
        (0.01, 8_000, 2),
        (0.01, 44_100, 2),
        (1.2345, 8_000, 2),
        (13.1, 44_100, 2),
        (1.0, 96_000, 2),
        (1.0, 1_000, 2),
    ],
    ids=str,
)
def test_stems_add_up_to_the_mixture(variant, seconds, rate, channels):
    samples = noise(seconds, rate, channels)
    output = run(samples, variant, rate)
    first, second = stems_of(output).values()
    assert first.shape == second.shape == samples.shape
    assert np.abs(first + second - samples).max() < 1e-6
    assert output.result.duration == samples.shape[1] / rate
    assert {file.sample_rate for file in output.files} == {rate}
    assert first.std() > 1e-3
    assert second.std() > 1e-3


def test_mono_gives_mono_and_has_no_sides():
    assert stems_of(run(noise(1.0, channels=1)))["harmonic"].shape == (1, RATE)
    with pytest.raises(
        InvalidAudio, match=r"center_channel needs a stereo file.*harmonic_percussive"
    ) as caught:
        run(noise(1.0, channels=1), "center_channel")
    assert caught.value.field == "file"


def test_surround_is_mixed_down():
    output = run(noise(1.0, channels=6))
    assert output.result.notes == ["the file's 6 channels were mixed down to two."]
    assert stems_of(output)["harmonic"].shape == (2, RATE)


@pytest.mark.parametrize("variant", METHODS)
def test_silence_stays_silent(variant):
    stems = stems_of(run(np.zeros((2, RATE), np.float32), variant))
    assert not any(stem.any() for stem in stems.values())


def test_stems_asked_for():
    samples = noise(1.0)
    output = run(samples, stems=["percussive"], format="flac")
    assert output.result.stems == {"percussive": "percussive.flac"}
    pair = stems_of(run(samples, two_stems="percussive"))
    assert list(pair) == ["percussive", "no_percussive"]
    assert np.array_equal(pair["percussive"], stems_of(output)["percussive"])
    assert np.array_equal(pair["no_percussive"], stems_of(run(samples))["harmonic"])


def test_notes_tell_what_was_not_followed():
    assert run(noise(0.5)).result.notes == []
    assert run(noise(0.5), shifts=3, segment=4).result.notes == [
        "ignored, since nothing here depends on them: shifts, segment."
    ]


@pytest.mark.parametrize("stems", [["vocals"], ["harmonic", "center"]])
def test_unknown_stems_are_refused(stems):
    with pytest.raises(InvalidRequest, match="harmonic, percussive") as refusal:
        run(noise(0.1), stems=stems)
    assert refusal.value.field == "stems"


# Block by block


@pytest.mark.parametrize("variant", METHODS)
def test_blocks_are_separated_as_the_whole_would_be(variant, monkeypatch):
    samples = noise(3.0)
    whole = stems_of(run(samples, variant))
    monkeypatch.setattr(spectral, "GROUP", 37)
    blocks = stems_of(run(samples, variant))
    assert all(np.abs(blocks[stem] - whole[stem]).max() < 1e-6 for stem in whole)


def test_medians_are_those_of_two_dimensions():
    spectra = np.random.default_rng(0).random((50, 1, 65)).astype(np.complex64)
    magnitude = np.abs(spectra[:, 0])
    tones = scipy.ndimage.median_filter(magnitude, size=(KERNEL, 1), mode="reflect")
    strokes = scipy.ndimage.median_filter(magnitude, size=(1, KERNEL), mode="reflect")
    assert np.array_equal(_median(magnitude), strokes)
    expected = magnitude * tones**2 / (tones**2 + strokes**2)
    assert np.allclose(np.abs(harmonic(spectra)[:, 0]), expected, atol=1e-5)


def test_progress_and_cancel():
    samples = noise(30.0)
    context = context_of(samples)
    request = SeparateRequest(file="song")
    MODEL.run(METHODS["harmonic_percussive"], request, context)
    assert context.stages == ["decoding", "separating"]
    assert context.fractions == sorted(context.fractions)
    steps = [stage for _, stage in context.reports].count("separating")
    assert steps == 6
    canceled = context_of(samples, cancel_after=len(context.reports) - 3)
    with pytest.raises(Canceled):
        MODEL.run(METHODS["harmonic_percussive"], request, canceled)
    assert [stage for _, stage in canceled.reports].count("separating") == steps - 2


def test_nothing_compiled_or_heavy_is_imported():
    """Numba's cache is not safe for processes that start at once, and librosa uses it."""
    code = """
from tests.deployments.models.hpss.test_model import noise, run
import sys
run(noise(0.1)); run(noise(0.1), "center_channel")
print({"librosa", "numba", "torch"} & set(sys.modules))
"""
    environment = {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True)
    assert re.fullmatch(rb"set\(\)\s*", done.stdout)

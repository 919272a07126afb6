"""Separation by signal processing: its two methods on synthetic mixtures, and block by block."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.ndimage

from audiograph.errors import Canceled, InvalidAudio, InvalidRequest
from audiograph.schemas import SeparateRequest
from deployments.models.base import Options, Output, Samples
from deployments.models.hpss import spectral
from deployments.models.hpss.model import KERNEL_SIZE, METHODS, Hpss, _median, harmonic
from deployments.models.loading import load
from tests.support.separation import FILE, RATE, audio_of, noise, result_of, song_context, stems_of
from tests.support.sounds import tone

MODEL = Hpss(Options())


def clicks(seconds: float = 4.0, rate: int = RATE) -> Samples:
    """Return two noisy strokes per second, ``[1, frames]``."""
    rng = np.random.default_rng(0)
    samples = np.zeros((1, round(seconds * rate)), np.float32)
    length = rate // 100
    for start in range(rate // 4, samples.shape[1] - length, rate // 2):
        samples[0, start : start + length] = rng.normal(0, 0.3, length) * np.linspace(1, 0, length)
    return samples


def run(samples: Samples, variant: str = "harmonic_percussive", rate: int = RATE, **fields: Any) -> Output:
    request = SeparateRequest(file=FILE, variant=variant, **fields)
    MODEL.check_request(request, variant)
    engine = load(MODEL, variant, "cpu", "auto", Path()).engine
    return MODEL.run(engine, request, song_context(samples, rate))


def leak(stem: Samples, part: Samples) -> float:
    """Return the norm of the difference between a stem and its true part, relative to the part."""
    return float(np.linalg.norm(stem - part) / np.linalg.norm(part))


# The methods


def test_tones_from_strokes() -> None:
    steady, struck = tone(seconds=4.0) + tone(660, seconds=4.0), clicks(4.0)
    stems = stems_of(run(steady + struck))
    assert leak(stems["harmonic"], steady) < 0.1
    assert leak(stems["percussive"], struck) < 0.5
    assert leak(steady + struck, struck) > 5


def test_the_centre_from_the_sides() -> None:
    middle, left, right = tone(440, seconds=2.0), tone(1000, seconds=2.0), tone(3000, seconds=2.0)
    sides = np.concatenate([left, right])
    output = run(middle + sides, "center_channel")
    stems = stems_of(output)
    assert leak(stems["center"], np.tile(middle, (2, 1))) < 0.05
    assert leak(stems["sides"], sides) < 0.05
    assert result_of(output).stems == {"center": "center.wav", "sides": "sides.wav"}


@pytest.mark.parametrize(
    ("samples", "share"),
    [
        ((1.0, 1.0), 1.0),
        ((1.0, 0.0), 0.0),
        ((1.0, -1.0), 0.0),
        ((1.0, 0.5), 0.6),  # common power 0.8, of a middle of 0.75
    ],
)
def test_how_much_of_a_panned_tone_is_in_the_centre(samples: tuple[float, float], share: float) -> None:
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
def test_stems_add_up_to_the_mixture(variant: str, seconds: float, rate: int, channels: int) -> None:
    samples = noise(seconds, rate, channels)
    output = run(samples, variant, rate)
    first, second = stems_of(output).values()
    assert first.shape == second.shape == samples.shape
    assert np.abs(first + second - samples).max() < 1e-6
    assert result_of(output).duration == samples.shape[1] / rate
    assert {file.sample_rate for file in audio_of(output)} == {rate}
    assert first.std() > 1e-3
    assert second.std() > 1e-3


def test_mono_gives_mono_and_has_no_sides() -> None:
    assert stems_of(run(noise(1.0, channels=1)))["harmonic"].shape == (1, RATE)
    with pytest.raises(
        InvalidAudio, match=r"center_channel needs a stereo file.*harmonic_percussive"
    ) as caught:
        run(noise(1.0, channels=1), "center_channel")
    assert caught.value.field == "file"


def test_surround_is_mixed_down() -> None:
    output = run(noise(1.0, channels=6))
    assert output.result.notes == ["the file's 6 channels were mixed down to two."]
    assert stems_of(output)["harmonic"].shape == (2, RATE)


@pytest.mark.parametrize("variant", METHODS)
def test_silence_stays_silent(variant: str) -> None:
    stems = stems_of(run(np.zeros((2, RATE), np.float32), variant))
    assert not any(stem.any() for stem in stems.values())


def test_stems_asked_for() -> None:
    samples = noise(1.0)
    output = run(samples, stems=["percussive"], format="flac")
    assert result_of(output).stems == {"percussive": "percussive.flac"}
    pair = stems_of(run(samples, two_stems="percussive"))
    assert list(pair) == ["percussive", "no_percussive"]
    assert np.array_equal(pair["percussive"], stems_of(output)["percussive"])
    assert np.array_equal(pair["no_percussive"], stems_of(run(samples))["harmonic"])


def test_notes_tell_what_was_not_followed() -> None:
    assert run(noise(0.5)).result.notes == []
    assert run(noise(0.5), shifts=3, segment=4).result.notes == [
        "ignored, since this model does not use them: shifts, segment."
    ]


@pytest.mark.parametrize(("stems", "field"), [(["vocals"], "stems.0"), (["harmonic", "center"], "stems.1")])
def test_unknown_stems_are_refused(stems: list[str], field: str) -> None:
    with pytest.raises(InvalidRequest, match="harmonic, percussive") as refusal:
        run(noise(0.1), stems=stems)
    assert refusal.value.field == field


# Block by block


@pytest.mark.parametrize("variant", METHODS)
def test_blocks_are_separated_as_the_whole_would_be(variant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = noise(3.0)
    whole = stems_of(run(samples, variant))
    monkeypatch.setattr(spectral, "BLOCK_FRAMES", 37)
    blocks = stems_of(run(samples, variant))
    assert all(np.abs(blocks[stem] - whole[stem]).max() < 1e-6 for stem in whole)


def test_medians_are_those_of_two_dimensions() -> None:
    spectra = np.random.default_rng(0).random((50, 1, 65)).astype(np.complex64)
    magnitude = np.abs(spectra[:, 0])
    tones = scipy.ndimage.median_filter(magnitude, size=(KERNEL_SIZE, 1), mode="reflect")
    strokes = scipy.ndimage.median_filter(magnitude, size=(1, KERNEL_SIZE), mode="reflect")
    assert np.array_equal(_median(magnitude), strokes)
    expected = magnitude * tones**2 / (tones**2 + strokes**2)
    assert np.allclose(np.abs(harmonic(spectra)[:, 0]), expected, atol=1e-5)


def test_progress_and_cancel() -> None:
    samples = noise(30.0)
    context = song_context(samples)
    request = SeparateRequest(file=FILE)
    MODEL.run(METHODS["harmonic_percussive"], request, context)
    assert context.stages == ["decoding", "separating"]
    assert context.fractions == sorted(context.fractions)
    steps = [stage for _, stage in context.reports].count("separating")
    assert steps == 6
    canceled = song_context(samples, cancel_after=len(context.reports) - 3)
    with pytest.raises(Canceled):
        MODEL.run(METHODS["harmonic_percussive"], request, canceled)
    assert [stage for _, stage in canceled.reports].count("separating") == steps - 2


def test_nothing_compiled_or_heavy_is_imported() -> None:
    """Librosa uses numba, whose cache is not safe for processes that start at the same time."""
    code = """
from tests.deployments.models.hpss.test_model import run
from tests.support.separation import noise
import sys
run(noise(0.1)); run(noise(0.1), "center_channel")
print({"librosa", "numba", "torch"} & set(sys.modules))
"""
    environment = {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True)
    assert re.fullmatch(rb"set\(\)\s*", done.stdout)

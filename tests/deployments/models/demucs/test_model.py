"""Demucs as a model: stems, requests and health; most tests compare with demucs itself or with other runs."""

import copy
import importlib.util
import os
import random
import re
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soxr
import torch
from demucs import apply
from demucs.api import Separator
from demucs.apply import BagOfModels
from demucs.htdemucs import HTDemucs

from audiograph.errors import Canceled, InvalidAudio, InvalidRequest, ModelUnavailable
from audiograph.schemas import SeparateRequest
from deployments.audio import files as audio
from deployments.audio.recording import Recording
from deployments.models.base import Output, Samples
from deployments.models.demucs.model import FOUR_STEMS, SIX_STEMS, Demucs, DemucsOptions
from deployments.models.demucs.tiny import HYBRID_TRANSFORMER, SOURCES
from deployments.models.loading import load
from tests.support.separation import FILE, RATE, audio_of, noise, result_of, song_context, stems_of

MODEL = Demucs(DemucsOptions())

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def work_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("work")


@pytest.fixture(scope="module")
def engine(work_dir: Path) -> BagOfModels:
    return load(MODEL, "htdemucs", "cpu", "tiny", work_dir).engine


@pytest.fixture(scope="module")
def quick() -> BagOfModels:
    """A transformer with segments of one second: many chunks in little time."""
    torch.manual_seed(0)
    return BagOfModels([HTDemucs(sources=SOURCES, **HYBRID_TRANSFORMER | {"segment": Fraction(1)}).eval()])


def run(engine: BagOfModels, samples: Samples, rate: int = RATE, **fields: Any) -> Output:
    return MODEL.run(engine, SeparateRequest(file=FILE, **fields), song_context(samples, rate))


# Stems


def test_a_song_into_its_stems(engine: BagOfModels) -> None:
    context = song_context(noise(3.0))
    output = MODEL.run(engine, SeparateRequest(file=FILE), context)
    result = result_of(output)
    assert result.stems == {stem: f"{stem}.wav" for stem in FOUR_STEMS}
    assert (result.duration, result.notes, output.audio_seconds) == (3.0, [], 3.0)
    stems = stems_of(output)
    assert list(stems) == list(FOUR_STEMS)
    assert {samples.shape for samples in stems.values()} == {(2, 3 * RATE)}
    assert all(samples.std() > 1e-3 for samples in stems.values())
    assert {(file.sample_rate, file.format) for file in audio_of(output)} == {(RATE, "wav")}
    assert context.stages == ["decoding", "separating"]
    assert context.fractions == sorted(context.fractions)


def test_it_is_what_demucs_says(engine: BagOfModels, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = noise(3.0)
    monkeypatch.setattr("demucs.api.get_model", lambda **_: engine)
    separator = Separator(device="cpu", shifts=2, overlap=0.5, segment=4)
    monkeypatch.setattr(apply, "random", random.Random(0))
    _, theirs = separator.separate_tensor(torch.from_numpy(samples), RATE)
    ours = stems_of(run(engine, samples, shifts=2, overlap=0.5, segment=4))
    for stem, expected in theirs.items():
        assert np.abs(ours[stem] - expected.numpy()).max() < 1e-5


@pytest.mark.parametrize("suffix", ["flac", "mp3", "opus"])
def test_formats(quick: BagOfModels, suffix: str, tmp_path: Path) -> None:
    output = run(quick, noise(1.0), format=suffix, stems=["bass"])
    assert result_of(output).stems == {"bass": f"bass.{suffix}"}
    (file,) = audio_of(output)
    info = audio.encode(file.samples, file.sample_rate, file.format, tmp_path / "bass")
    assert info.duration == pytest.approx(1.0)
    assert info.channels == 2


def test_some_stems_are_those_of_all(quick: BagOfModels) -> None:
    samples = noise(1.5)
    every = stems_of(run(quick, samples))
    some = stems_of(run(quick, samples, stems=["vocals", "bass", "vocals"]))
    assert list(some) == ["vocals", "bass"]
    assert all(np.array_equal(every[stem], samples) for stem, samples in some.items())


def test_two_stems_add_up_to_all(quick: BagOfModels) -> None:
    samples = noise(1.5)
    every = stems_of(run(quick, samples))
    output = run(quick, samples, two_stems="vocals")
    assert result_of(output).stems == {"vocals": "vocals.wav", "no_vocals": "no_vocals.wav"}
    pair = stems_of(output)
    assert np.array_equal(pair["vocals"], every["vocals"])
    rest = every["drums"] + every["bass"] + every["other"]
    assert np.abs(pair["no_vocals"] - rest).max() < 1e-6


@pytest.mark.parametrize(
    ("seconds", "rate", "channels"),
    [
        (0.01, 44_100, 2),
        (0.01, 8_000, 1),
        (1.0, 44_100, 1),
        (1.2345, 8_000, 1),
        (1.1, 96_000, 2),
        (1, 1_000, 1),
    ],
    ids=str,
)
def test_any_rate_length_and_channels(quick: BagOfModels, seconds: float, rate: int, channels: int) -> None:
    samples = noise(seconds, rate, channels)
    output = run(quick, samples, rate)
    stems = stems_of(output)
    assert {stem.shape for stem in stems.values()} == {(2, samples.shape[1])}
    assert {file.sample_rate for file in audio_of(output)} == {rate}
    assert result_of(output).duration == samples.shape[1] / rate
    assert all(np.isfinite(stem).all() for stem in stems.values())


def test_stems_of_another_rate_stay_in_time(quick: BagOfModels) -> None:
    samples = noise(1.5, RATE // 2)
    high = soxr.resample(samples.T, RATE // 2, RATE).T
    expected = soxr.resample(stems_of(run(quick, high))["bass"].T, RATE, RATE // 2).T
    assert np.abs(stems_of(run(quick, samples, RATE // 2))["bass"] - expected).max() < 1e-3


def test_surround_is_mixed_down(quick: BagOfModels) -> None:
    samples = noise(1.0, channels=6)
    left, right, middle, _, left_behind, right_behind = samples
    half = 0.5**0.5
    mixed = np.stack([left + half * (middle + left_behind), right + half * (middle + right_behind)])
    output = run(quick, samples)
    assert output.result.notes == ["the file's 6 channels were mixed down to two."]
    expected = stems_of(run(quick, mixed / (1 + 2 * half)))
    assert all(np.abs(stem - expected[name]).max() < 1e-6 for name, stem in stems_of(output).items())


def test_silence(quick: BagOfModels) -> None:
    stems = stems_of(run(quick, np.zeros((2, RATE), np.float32)))
    assert all(np.abs(stem).max() < 1e-6 for stem in stems.values())


def test_what_passes_full_scale_is_turned_down_and_told(quick: BagOfModels) -> None:
    output = run(quick, noise(1.0, level=20), stems=["bass"])
    recording = audio_of(output)[0].samples
    assert isinstance(recording, Recording)
    peak = recording.peak
    assert peak > 1
    assert output.result.notes == [
        f"bass exceeded full scale, and was turned down by {20 * np.log10(peak):.1f} dB."
    ]


def test_no_samples_at_all(quick: BagOfModels) -> None:
    with pytest.raises(InvalidAudio, match="no samples"):
        run(quick, np.zeros((2, 0), np.float32))


def test_the_same_request_gives_the_same_stems(quick: BagOfModels) -> None:
    one, other = (stems_of(run(quick, noise(1.0), shifts=2)) for _ in range(2))
    assert all(np.array_equal(one[stem], other[stem]) for stem in FOUR_STEMS)


@pytest.mark.parametrize(("options", "device", "size"), [({}, "cpu", 1), ({"batch_size": 3}, "cpu", 3)])
def test_chunks_are_batched_as_configured(
    quick: BagOfModels, options: dict[str, int], device: str, size: int
) -> None:
    sizes: list[int] = []
    hook = quick.models[0].register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    request = SeparateRequest(file=FILE, shifts=0)
    Demucs(DemucsOptions(**options)).run(quick, request, song_context(noise(4.0)))
    hook.remove()
    assert (sum(sizes), max(sizes)) == (6, size)


def test_progress_and_cancel_at_every_chunk(quick: BagOfModels) -> None:
    whole = song_context(noise(6.0))
    MODEL.run(quick, SeparateRequest(file=FILE), whole)
    chunks = len([stage for _, stage in whole.reports if stage == "separating"]) - 1
    assert chunks == 9  # of one second, overlapping by a quarter
    decoding = len(whole.reports) - chunks
    context = song_context(noise(6.0), cancel_after=decoding + 2)
    runs = []
    hook = quick.models[0].register_forward_pre_hook(lambda *_: runs.append(1))
    with pytest.raises(Canceled):
        MODEL.run(quick, SeparateRequest(file=FILE), context)
    hook.remove()
    assert len(runs) == 3


# Requests


@pytest.mark.parametrize(
    ("fields", "variant", "field", "says"),
    [
        ({"stems": ["vocals", "voice"]}, "htdemucs", "stems.1", "drums, bass, other, vocals"),
        ({"stems": ["guitar"]}, "mdx", "stems.0", "drums, bass, other, vocals"),
        ({"two_stems": "kazoo"}, "htdemucs_6s", "two_stems", "guitar, piano"),
        ({"stems": ["bass"], "two_stems": "bass"}, "htdemucs", "two_stems", "exclude each other"),
        ({"segment": 7.81}, "htdemucs_ft", "segment", "7.8 s that it was trained on"),
        ({"segment": 0.1}, "mdx", "segment", "0.5 s"),
        ({"overlap": 0.995}, "mdx", "overlap", "0.99"),
    ],
)
def test_refused(fields: dict[str, Any], variant: str, field: str, says: str) -> None:
    request = SeparateRequest(file=FILE, variant=variant, **fields)
    with pytest.raises(InvalidRequest, match=re.escape(says)) as refusal:
        MODEL.check_request(request, variant)
    assert refusal.value.field == field


@pytest.mark.parametrize(
    ("fields", "variant"),
    [
        ({}, "htdemucs"),
        ({"segment": 7.8, "overlap": 0.99, "shifts": 20}, "htdemucs"),
        ({"segment": 60}, "mdx"),
        ({"stems": list(SIX_STEMS)}, "htdemucs_6s"),
        ({"two_stems": "drums"}, "mdx_extra"),
    ],
)
def test_accepted(fields: dict[str, Any], variant: str) -> None:
    MODEL.check_request(SeparateRequest(file=FILE, variant=variant, **fields), variant)


@pytest.fixture
def no_diffq(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "diffq" else find(name))


@pytest.mark.usefixtures("no_diffq")
@pytest.mark.parametrize("variant", ["mdx_q", "mdx_extra_q"])
@pytest.mark.parametrize("how", ["asked", "loaded"])
def test_quantized_variants_say_what_they_need(variant: str, how: str, work_dir: Path) -> None:
    with pytest.raises(ModelUnavailable, match=r"pip install diffq.*CC BY-NC") as refusal:
        if how == "asked":
            MODEL.check_request(SeparateRequest(file=FILE), variant)
        else:
            load(MODEL, variant, "cpu", "tiny", work_dir)
    assert refusal.value.field == "variant"
    assert repr(variant.removesuffix("_q")) in refusal.value.message


# The engine


@pytest.mark.parametrize("variant", ["htdemucs_6s", "mdx"])
def test_tiny_checkpoints_are_random_ones(variant: str, work_dir: Path) -> None:
    loaded = load(MODEL, variant, "cpu", "tiny", work_dir)
    assert loaded.weights == "random"
    assert not any(module.training for module in loaded.engine.modules())


def test_health(engine: BagOfModels) -> None:
    MODEL.check_engine(engine)
    broken = copy.deepcopy(engine)
    with torch.no_grad():
        next(broken.parameters())[:] = float("nan")
    with pytest.raises(RuntimeError, match="finite"):
        MODEL.check_engine(broken)


def test_importing_the_module_imports_nothing_heavy() -> None:
    code = "import sys, deployments.models.demucs; print({'torch', 'demucs', 'librosa'} & set(sys.modules))"
    environment = {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True)
    assert done.stdout.strip() == b"set()"

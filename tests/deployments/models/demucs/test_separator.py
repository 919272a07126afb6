"""Separation in batches of chunks: equal to `demucs.apply.apply_model`, with less work and less memory."""

import os
import random
import subprocess
import sys
from collections.abc import Callable, Collection
from fractions import Fraction
from pathlib import Path
from threading import Barrier, get_ident
from typing import Any

import numpy as np
import pytest
import torch
from demucs import apply
from demucs.apply import BagOfModels
from demucs.htdemucs import HTDemucs
from demucs.pretrained import get_model
from torch import Tensor, nn

from deployments.audio.recording import Recording
from deployments.models.base import Samples
from deployments.models.demucs.passes import Settings
from deployments.models.demucs.separator import separate
from deployments.models.demucs.tiny import HYBRID_TRANSFORMER, SOURCES, build_repository

pytestmark = pytest.mark.usefixtures("one_thread")

RATE = 44_100
ALL = range(4)
DEFAULTS = Settings()


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tiny")


BagOf = Callable[[str], BagOfModels]


@pytest.fixture(scope="module")
def bag_of(repository: Path) -> BagOf:
    """Loads the tiny bag of a variant."""
    return lambda variant: get_model(variant, build_repository(variant, repository))


def quick_bag(models: int = 2, weights: list[list[float]] | None = None) -> BagOfModels:
    """Return transformers with different weights and segments of half a second: many chunks quickly."""
    transformers = []
    for seed in range(models):
        torch.manual_seed(seed)
        arguments = HYBRID_TRANSFORMER | {"segment": Fraction(1, 2)}
        transformers.append(HTDemucs(sources=SOURCES, **arguments).eval())
    return BagOfModels(transformers, weights)


class Mirror(nn.Module):
    """A model whose sources are the mixture at four levels; it costs next to no time.

    Args:
        segment: its length in seconds.
    """

    sources, samplerate, audio_channels = SOURCES, RATE, 2

    def __init__(self, segment: float = 1) -> None:
        super().__init__()
        self.segment = segment
        self.levels = nn.Parameter(torch.tensor([0.1, 0.2, 0.3, 0.4]))
        self.sizes: list[int] = []
        """Numbers of chunks in the batches, in order."""

    def forward(self, mix: Tensor) -> Tensor:
        self.sizes.append(len(mix))
        return mix[:, None] * self.levels[:, None, None]


def noise(seconds: float, channels: int = 2) -> Samples:
    """Return samples ``[frames, channels]`` with an offset, as cheap recorders produce it."""
    rng = np.random.default_rng(0)
    return (0.05 + rng.normal(0, 0.1, (round(seconds * RATE), channels))).astype(np.float32)


def recording_of(samples: Samples) -> Recording:
    recording = Recording(samples.shape[1])
    recording.append(samples)
    return recording


def ours(
    bag: BagOfModels, samples: Samples, settings: Settings = DEFAULTS, sources: Collection[int] = ALL
) -> Tensor:
    """Separate ``[frames, channels]`` into ``[sources, channels, frames]``, with the shifts of seed 7."""
    blocks = list(separate(bag, recording_of(samples), settings, sources, random.Random(7)))
    assert blocks[-1].progress == 1
    return torch.from_numpy(np.concatenate([block.sources for block in blocks], axis=1)).permute(0, 2, 1)


def theirs(bag: BagOfModels, samples: Samples, monkeypatch: pytest.MonkeyPatch, **options: Any) -> Tensor:
    """Separate the same by `demucs.apply.apply_model`, normalized as `demucs.api.Separator` does it."""
    monkeypatch.setattr(apply, "random", random.Random(7))
    mix = torch.from_numpy(samples.T.copy()).expand(2, -1)
    mono = mix.mean(0)
    mean, deviation = mono.mean(), mono.std() + 1e-8
    separated: Tensor = apply.apply_model(bag, ((mix - mean) / deviation)[None], **options)[0]
    return separated * deviation + mean


def assert_equal(left: Tensor, right: Tensor) -> None:
    assert left.shape == right.shape
    assert (left - right).abs().max() < 1e-6
    assert right.std() > 1e-3  # two silent signals would be equal, too


# Equality


@pytest.mark.parametrize(("variant", "seconds"), [("htdemucs", 8.5), ("htdemucs_6s", 8.5), ("mdx", 2)])
def test_every_class_of_models_separates_as_apply_model_does(
    bag_of: BagOf, variant: str, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Transformers separate in two chunks, the others, with segments of 44 s, in one."""
    bag, samples = bag_of(variant), noise(seconds)
    separated = ours(bag, samples, Settings(batch_size=2), range(len(bag.sources)))
    assert_equal(separated, theirs(bag, samples, monkeypatch))


@pytest.mark.parametrize(
    "options",
    [
        {"shifts": 0},
        {"shifts": 2},
        {"shifts": 0, "overlap": 0.1},
        {"shifts": 1, "overlap": 0.5},
        {"shifts": 0, "overlap": 0.0},
        {"shifts": 2, "overlap": 0.7},
        {"shifts": 1, "segment": 0.3},
        {"shifts": 1, "segment": Fraction(1, 4), "overlap": 0.3},
    ],
    ids=str,
)
def test_options_mean_what_they_mean_there(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    bag, samples = quick_bag(), noise(1.15)
    expected = theirs(bag, samples, monkeypatch, **options)
    for batch_size, batches in ((1, 1), (3, 2), (16, 1)):
        settings = Settings(**options, batch_size=batch_size, batches=batches)
        assert_equal(ours(bag, samples, settings), expected)


@pytest.mark.parametrize("seconds", [0.01, 0.5, 0.50003, 0.9], ids=lambda seconds: f"{seconds} s")
@pytest.mark.parametrize("shifts", [0, 1])
def test_any_length(seconds: float, shifts: int, monkeypatch: pytest.MonkeyPatch) -> None:
    bag, samples = quick_bag(models=1), noise(seconds)
    assert_equal(
        ours(bag, samples, Settings(shifts=shifts, batch_size=2)),
        theirs(bag, samples, monkeypatch, shifts=shifts),
    )


@pytest.mark.parametrize("variant", ["htdemucs", "mdx"])
def test_ten_milliseconds(bag_of: BagOf, variant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bag, samples = bag_of(variant), noise(0.01)
    assert_equal(ours(bag, samples), theirs(bag, samples, monkeypatch))


def test_segments_of_the_waveform_and_hybrid_models(bag_of: BagOf, monkeypatch: pytest.MonkeyPatch) -> None:
    bag, samples = BagOfModels(bag_of("mdx").models[:2]), noise(2.5)  # one of each
    separated = ours(bag, samples, Settings(segment=1.0, overlap=0.5, batch_size=3))
    assert_equal(separated, theirs(bag, samples, monkeypatch, segment=1.0, overlap=0.5))


def test_one_channel_is_heard_as_two(monkeypatch: pytest.MonkeyPatch) -> None:
    bag, samples = quick_bag(models=1), noise(0.7, channels=1)
    assert_equal(ours(bag, samples), theirs(bag, samples, monkeypatch))


def test_silence_stays_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    bag, samples = quick_bag(models=1), np.zeros((RATE, 2), np.float32)
    separated = ours(bag, samples)
    assert separated.abs().max() < 1e-6
    assert torch.allclose(separated, theirs(bag, samples, monkeypatch), atol=1e-9)


# Less work


def test_models_without_a_say_in_the_stems_asked_for_are_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = [[1.0, 0, 0, 0], [0, 1.0, 0, 0], [0, 0.5, 1.0, 1.0]]
    bag, samples = quick_bag(3, weights), noise(0.7)
    whole = theirs(bag, samples, monkeypatch, shifts=2)
    runs: list[int] = []
    for index, model in enumerate(bag.models):
        model.register_forward_hook(lambda *_, index=index: runs.append(index))
    separated = ours(bag, samples, Settings(shifts=2), sources={1})
    assert set(runs) == {1, 2}
    assert_equal(separated[1], whole[1])  # with the same shifts, though the first model is left out


def test_chunks_share_batches_but_for_those_of_other_lengths() -> None:
    bag = BagOfModels([Mirror()])
    (mirror,) = bag.models
    samples = noise(4.7)
    separated = ours(bag, samples, Settings(shifts=0, batch_size=3))
    assert mirror.sizes == [3, 2, 1, 1]  # the last two end with the recording
    expected = samples.T[None] * np.array([0.1, 0.2, 0.3, 0.4])[:, None, None]
    offset = samples.mean() * (1 - np.array([0.1, 0.2, 0.3, 0.4]))[:, None, None]  # as Separator adds it
    assert np.allclose(separated, expected + offset, atol=1e-6)


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), MemoryError()], ids=repr)
def test_a_batch_that_does_not_fit_is_halved(error: Exception) -> None:
    bag = BagOfModels([Mirror()])
    (mirror,) = bag.models
    samples = noise(6)
    whole = ours(bag, samples)
    tried: list[int] = []

    def check(module: nn.Module, inputs: tuple[Tensor]) -> None:
        tried.append(len(inputs[0]))
        if tried[-1] > 2:
            raise error

    mirror.register_forward_pre_hook(check)
    separated = ours(bag, samples, Settings(batch_size=7))
    assert tried[:3] == [7, 3, 1]
    assert set(tried[2:]) == {1}
    assert torch.equal(separated, whole)


def test_batches_run_side_by_side_each_with_its_share_of_the_processors() -> None:
    bag = BagOfModels([Mirror(), Mirror(3)])
    both = Barrier(2, timeout=30)
    threads: dict[int, int] = {}

    def meet(*_: object) -> None:
        threads[get_ident()] = torch.get_num_threads()
        both.wait()  # fails after the timeout if the batches run in turn

    for model in bag.models:
        model.register_forward_pre_hook(meet)
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        ours(bag, noise(3), Settings(shifts=0, batches=2))  # four of one second, two of three: three pairs
        assert torch.get_num_threads() == 4
    finally:
        torch.set_num_threads(before)
    assert list(threads.values()) == [2, 2]


def test_batches_that_do_not_fit_together_run_in_turn() -> None:
    bag = BagOfModels([Mirror()])
    (mirror,) = bag.models
    samples = noise(6)
    whole = ours(bag, samples)
    main = get_ident()

    def check(*_: object) -> None:
        if get_ident() != main:
            raise MemoryError

    mirror.register_forward_pre_hook(check)
    assert torch.equal(ours(bag, samples, Settings(batches=3)), whole)


def test_a_single_chunk_that_does_not_fit_is_told() -> None:
    bag = BagOfModels([Mirror()])

    def check(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    bag.models[0].register_forward_pre_hook(check)
    with pytest.raises(torch.OutOfMemoryError):
        ours(bag, noise(3), Settings(batch_size=4))


def test_other_errors_are_not_tried_again() -> None:
    bag = BagOfModels([Mirror()])
    tried: list[int] = []

    def check(module: nn.Module, inputs: tuple[Tensor]) -> None:
        tried.append(len(inputs[0]))
        raise RuntimeError("broken")

    bag.models[0].register_forward_pre_hook(check)
    with pytest.raises(RuntimeError, match="broken"):
        ours(bag, noise(3), Settings(batch_size=2))
    assert tried == [2]


# Less memory


def test_parts_come_in_order_as_soon_as_they_are_final() -> None:
    bag = BagOfModels([Mirror(), Mirror()])
    blocks = list(separate(bag, recording_of(noise(6)), Settings(shifts=2), ALL, random.Random(0)))
    assert sum(block.sources.shape[1] for block in blocks) == 6 * RATE
    assert max(block.sources.shape[1] for block in blocks) <= RATE
    progress = [block.progress for block in blocks]
    assert progress == sorted(set(progress))


GROWTH = """
import random, sys, tempfile
from pathlib import Path
import numpy as np
from demucs.apply import BagOfModels
from audiograph.schemas import SeparateRequest
from deployments.models.demucs.model import Demucs, DemucsOptions
from deployments.audio import files as audio
from deployments.audio.recording import AudioStream
from tests.deployments.models.fakes import FakeContext
from tests.deployments.models.demucs.test_separator import Mirror, noise

class Endless(FakeContext):
    minutes = 0
    def stream(self, file_id):
        from contextlib import nullcontext
        return nullcontext(AudioStream(44_100, 2, (noise(10) for _ in range(6 * self.minutes))))

def peak(minutes):
    context = Endless()
    context.minutes = minutes
    request = SeparateRequest(file="x", two_stems="vocals")
    output = Demucs(DemucsOptions()).run(BagOfModels([Mirror(int(sys.argv[2]))]), request, context)
    with tempfile.TemporaryDirectory() as folder:
        for file in output.files:
            info = audio.encode(file.samples, file.sample_rate, "wav", Path(folder) / "stem.wav")
            assert info.duration == 60 * minutes
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) >> 10

print(peak(1), peak(int(sys.argv[1])))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="peak memory is read from /proc")
@pytest.mark.parametrize(("processors", "segment"), [(1, 10), (2, 3)])  # as many batches at a time
def test_ten_more_minutes_take_no_more_memory(processors: int, segment: int) -> None:
    """The samples of a single stem would already take 200 MB more."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(sys.path),
        "OMP_NUM_THREADS": str(processors),
        "MALLOC_MMAP_THRESHOLD_": "131072",  # glibc would else adapt it, and keep freed arrays by chance
    }
    command = [sys.executable, "-c", GROWTH, "11", str(segment)]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    short, long = map(int, done.stdout.split())
    assert long - short < 20

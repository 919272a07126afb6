"""Long audio: decoded in a stream, recorded on disk, and encoded from there."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from numpy.typing import NDArray

from audiograph.errors import InvalidAudio
from audiograph.schemas import AudioFormat
from deployments.audio import files as audio
from deployments.audio.downmix import to_stereo
from deployments.audio.recording import Recording
from deployments.audio.resample import Resampler
from deployments.config import LimitsConfig
from tests.support.sounds import CONTAINERS, Samples, tone, wav_bytes

RATE = 44_100


def noise(frames: int, channels: int = 2) -> Samples:
    """Generate noise ``[frames, channels]``."""
    return np.random.default_rng(0).normal(0, 0.1, (frames, channels)).astype(np.float32)


def recording_of(samples: Samples, folder: Path | None = None) -> Recording:
    recording = Recording(samples.shape[1], folder)
    for start in range(0, len(samples), 1000):
        recording.append(samples[start : start + 1000])
    return recording


@pytest.mark.parametrize(
    ("start", "stop"), [(0, 2500), (999, 1001), (-10, 5), (2490, 2600), (-5, 2505), (3000, 3004)]
)
def test_what_was_written_is_read_with_zeros_around_it(start: int, stop: int) -> None:
    samples = noise(2500)
    recording = recording_of(samples)
    around = np.concatenate([np.zeros((10, 2)), samples, np.zeros((600, 2))]).astype(np.float32)
    assert np.array_equal(recording.read(start, stop), around[start + 10 : stop + 10])


def test_it_is_read_and_written_by_turns() -> None:
    samples = noise(2500, channels=1)
    recording = recording_of(samples[:1500])
    recording.read(0, 10)
    recording.append(samples[1500:])
    recording.append(samples[:0])
    assert (recording.frames, recording.channels) == (2500, 1)
    assert np.array_equal(np.concatenate(list(recording.blocks())), samples)
    assert recording.peak == np.abs(samples).max()


def test_the_peak_tells_of_what_is_not_finite() -> None:
    recording = recording_of(noise(10))
    recording.append(np.full((1, 2), np.nan, np.float32))
    recording.append(noise(10))
    assert math.isnan(recording.peak)


def test_no_file_is_left_even_while_it_is_open(tmp_path: Path) -> None:
    recording = recording_of(noise(100_000), tmp_path)
    assert list(tmp_path.iterdir()) == []
    recording.close()
    with pytest.raises(ValueError, match="closed"):
        recording.read(0, 1)


@pytest.mark.parametrize("suffix", ["wav", "mp3", "m4a", "webm"])
def test_a_stream_is_what_decode_gives(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / "sound"
    path.write_bytes(CONTAINERS[suffix](tone(seconds=3.0, sample_rate=48_000, channels=2), 48_000))
    whole, rate = audio.decode(path, limits=LimitsConfig())
    with audio.stream(path, LimitsConfig()) as source:
        blocks = list(source.blocks)
        assert (source.sample_rate, source.channels) == (rate, len(whole))
    assert len(blocks) > 1
    assert np.array_equal(np.concatenate(blocks).T, whole)


def test_a_stream_holds_the_limits(tmp_path: Path) -> None:
    path = tmp_path / "sound"
    path.write_bytes(wav_bytes(seconds=3.0))
    with (
        audio.stream(path, LimitsConfig(max_audio_seconds=1)) as source,
        pytest.raises(InvalidAudio, match="1 s"),
    ):
        list(source.blocks)


@pytest.mark.parametrize("kind", get_args(AudioFormat))
def test_a_recording_is_encoded_as_an_array_is(kind: AudioFormat, tmp_path: Path) -> None:
    samples = noise(100_000) * 20  # exceeds full scale
    array, recording = tmp_path / "array", tmp_path / "recording"
    info = audio.encode(samples.T, RATE, kind, array)
    assert audio.encode(recording_of(samples), RATE, kind, recording) == info
    decoded, _ = audio.decode(array, limits=LimitsConfig())
    assert np.array_equal(decoded, audio.decode(recording, limits=LimitsConfig())[0])
    assert np.abs(decoded).max() > 0.5


@pytest.mark.parametrize(
    ("samples", "kind", "words"),
    [
        (np.zeros((0, 2)), "wav", "no audio"),
        (np.full((5, 2), np.inf), "wav", "finite"),
        (np.zeros((5, 3)), "mp3", "3 channels"),
    ],
)
def test_what_cannot_be_encoded_is_told(
    samples: NDArray[np.float64], kind: AudioFormat, words: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidAudio, match=words):
        audio.encode(recording_of(samples.astype(np.float32)), RATE, kind, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("rates", [(44_100, 44_100), (8_000, 44_100), (96_000, 44_100)], ids=str)
def test_resampled_piece_by_piece(rates: tuple[int, int]) -> None:
    samples = tone(seconds=1.0, sample_rate=rates[0]).T
    resampler = Resampler(1, *rates)
    pieces = [resampler(samples[start : start + 777]) for start in range(0, len(samples), 777)]
    converted = np.concatenate([*pieces, resampler.finish()])
    assert abs(len(converted) - rates[1]) <= 1
    expected = tone(seconds=1.0, sample_rate=rates[1]).T
    inner = slice(1000, 40_000)
    assert np.abs(converted[inner] - expected[inner]).max() < 1e-3


@pytest.mark.parametrize("channels", [1, 2])
def test_one_and_two_channels_stay_as_they_are(channels: int) -> None:
    samples = noise(10, channels)
    assert to_stereo(samples) is samples


@pytest.mark.parametrize("channels", range(3, 12))
def test_many_channels_become_two_within_full_scale(channels: int) -> None:
    mixed = to_stereo(np.ones((1, channels), np.float32))
    assert np.allclose(mixed, 1)


@pytest.mark.parametrize(
    ("channel", "sides"),
    [(0, (1, 0)), (1, (0, 1)), (2, (0.7071, 0.7071)), (3, (0, 0)), (4, (0.7071, 0)), (5, (0, 0.7071))],
    ids=["left", "right", "center", "low frequencies", "surround left", "surround right"],
)
def test_where_a_channel_of_surround_is_heard(channel: int, sides: Sequence[float]) -> None:
    samples = np.zeros((1, 6), np.float32)
    samples[0, channel] = 1
    assert np.allclose(to_stereo(samples)[0] * (1 + 2**0.5), sides, atol=1e-4)

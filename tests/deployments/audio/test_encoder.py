"""Streams: every format can be decoded, and its bytes are available while samples are encoded."""

from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from audiograph.schemas import AudioFormat
from deployments.audio.encoder import CODECS, SoundFormat, StreamEncoder
from deployments.audio.files import decode, probe
from deployments.config import LimitsConfig
from tests.support.sounds import Samples, level_db, peak_frequency, tone

FORMATS: tuple[AudioFormat, ...] = get_args(AudioFormat)
RATE = 22_050
LAG = {"wav": 0.0, "flac": 0.0, "mp3": 0.1, "opus": 0.001, "aac": 0.15}
"""Seconds of padding that are decoded as audio, since the stream cannot state its padding."""


def streamed(sound_format: SoundFormat, samples: Samples, rate: int = RATE) -> list[bytes]:
    """Return the bytes of each tenth of a second, and the last ones."""
    encoder = StreamEncoder(sound_format, rate)
    blocks = [samples[start : start + rate // 10] for start in range(0, len(samples), rate // 10)]
    return [*(encoder.encode(block) for block in blocks), encoder.finish()]


@pytest.mark.parametrize("rate", [16_000, RATE, 24_000, 44_100])
@pytest.mark.parametrize("format_", FORMATS)
def test_a_stream_decodes_to_what_went_in(format_: AudioFormat, rate: int, tmp_path: Path) -> None:
    sound = tone(440, seconds=2, sample_rate=rate)[0]
    path = tmp_path / "stream"
    path.write_bytes(b"".join(streamed(format_, sound, rate)))
    assert probe(path, LimitsConfig()).media_type == CODECS[format_].media_type
    samples, found = decode(path, mono=True, limits=LimitsConfig())
    assert found == (48_000 if format_ == "opus" else rate)
    assert len(samples) / found == pytest.approx(2, abs=LAG[format_] + 1e-3)
    middle = samples[found // 2 : found * 3 // 2]
    assert peak_frequency(middle, found) == pytest.approx(440, abs=1)
    assert level_db(middle) == pytest.approx(level_db(sound), abs=1)


@pytest.mark.parametrize("rate", [8_000, RATE, 24_000, 48_000])
def test_pcm_is_16_bits_at_24_khz(rate: int) -> None:
    sound = tone(440, seconds=2, sample_rate=rate)[0]
    samples = np.frombuffer(b"".join(streamed("pcm", sound, rate)), "<i2") / 32768
    assert len(samples) == pytest.approx(48_000, abs=2)
    assert peak_frequency(samples[12_000:36_000], 24_000) == pytest.approx(440, abs=1)
    assert level_db(samples) == pytest.approx(level_db(sound), abs=0.1)


@pytest.mark.parametrize("sound_format", CODECS)
def test_bytes_come_while_samples_go_in(sound_format: SoundFormat) -> None:
    *parts, last = streamed(sound_format, tone(440, seconds=5, sample_rate=RATE)[0])
    whole = sum(map(len, parts)) + len(last)
    assert sum(map(len, parts[:25])) > 0.3 * whole  # half of the audio has been encoded
    assert len(last) < 0.2 * whole


@pytest.mark.parametrize("sound_format", CODECS)
def test_the_same_samples_give_the_same_bytes(sound_format: SoundFormat) -> None:
    sound = tone(440, sample_rate=RATE)[0]
    assert streamed(sound_format, sound) == streamed(sound_format, sound)


def test_full_scale_does_not_wrap() -> None:
    samples = np.frombuffer(b"".join(streamed("pcm", np.ones(24_000, np.float32), 24_000)), "<i2")
    assert samples.min() >= 32_000

"""Whole files: decoding every container, unusual but valid files, and measuring encoded audio."""

import subprocess
import sys
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from audiograph.errors import InvalidAudio, PayloadTooLarge
from audiograph.schemas import AudioFormat
from deployments.audio.encoder import CODECS
from deployments.audio.files import AudioInfo, decode, encode, probe
from deployments.config import LimitsConfig
from tests.support.sounds import (
    CONTAINERS,
    OPUS_ONLY_AT_48K,
    Samples,
    file_bytes,
    level_db,
    peak_frequency,
    speech_like,
    tone,
    wav_bytes,
)

LIMITS = LimitsConfig()
FORMATS: tuple[AudioFormat, ...] = get_args(AudioFormat)
RATES = (8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000)
CODEC_FRAME = {"wav": 0, "flac": 0, "mp3": 0, "opus": 0.001, "aac": 3 * 1024}
"""Tolerance of a file's duration: seconds for opus, which has its own sample rate, otherwise samples."""


def stored(folder: Path, content: bytes, name: str = "sound") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


# Reading.


@pytest.mark.parametrize("sample_rate", [8_000, 44_100, 48_000])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("kind", CONTAINERS)
def test_reads_every_container(kind: str, channels: int, sample_rate: int, tmp_path: Path) -> None:
    if kind in OPUS_ONLY_AT_48K and sample_rate != 48_000:
        pytest.skip("this writer does not resample")
    sound = tone(440, seconds=2, sample_rate=sample_rate, channels=channels)
    path = stored(tmp_path, CONTAINERS[kind](sound, sample_rate))
    info = probe(path, LIMITS)
    samples, rate = decode(path, limits=LIMITS)
    assert (info.sample_rate, info.channels) == (rate, len(samples)) == (sample_rate, channels)
    assert info.duration == samples.shape[1] / rate == pytest.approx(2, abs=0.1 + 2048 / sample_rate)
    middle = samples[0, rate // 2 : rate * 3 // 2]
    assert peak_frequency(middle, rate) == pytest.approx(440, abs=1)
    assert level_db(middle) == pytest.approx(level_db(sound), abs=1)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("wav", "audio/wav"),
        ("mp3", "audio/mpeg"),
        ("flac", "audio/flac"),
        ("vorbis.ogg", "audio/ogg"),
        ("opus.ogg", "audio/ogg"),
        ("m4a", "audio/mp4"),
        ("aac", "audio/aac"),
        ("webm", "audio/webm"),
        ("opus.mka", "audio/matroska"),
        ("aiff", "audio/aiff"),
        ("caf", "audio/x-caf"),
        ("w64", "audio/x-w64"),
    ],
)
def test_media_type_is_told_by_content(kind: str, expected: str, tmp_path: Path) -> None:
    path = stored(tmp_path, CONTAINERS[kind](tone(sample_rate=48_000), 48_000), "misleading.txt")
    assert probe(path, LIMITS).media_type == expected


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"%PDF-1.7", "PDF"), (b"ID3\4\0\0\x7f\x7f\x7f\x7f", "ID3 tag that claims 268435455")],
)
def test_content_without_audio_is_refused(content: bytes, words: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidAudio, match=words):
        probe(stored(tmp_path, content), LIMITS)


@pytest.mark.parametrize("name", ["sound.mp3", "sound.raw", "sound.txt", "sound"])
def test_a_wrong_extension_does_not_matter(name: str, tmp_path: Path) -> None:
    assert probe(stored(tmp_path, wav_bytes(), name), LIMITS) == AudioInfo(1.0, 44_100, 1, "audio/wav")


@pytest.mark.parametrize("kind", ["wav", "float.wav", "aiff", "flac", "w64", "caf"])
def test_six_channels_are_kept_apart(kind: str, tmp_path: Path) -> None:
    sound = np.concatenate([tone(200 * (channel + 1), channels=1) for channel in range(6)])
    samples, rate = decode(stored(tmp_path, CONTAINERS[kind](sound, 44_100)), limits=LIMITS)
    assert [round(peak_frequency(channel, rate)) for channel in samples] == [200, 400, 600, 800, 1000, 1200]


def test_mono_is_the_mean(tmp_path: Path) -> None:
    sound = np.stack([np.full(4_410, 0.5), np.full(4_410, -0.1), np.full(4_410, 0.2)]).astype(np.float32)
    samples, _ = decode(stored(tmp_path, wav_bytes(sound, subtype="FLOAT")), mono=True, limits=LIMITS)
    np.testing.assert_allclose(samples, np.full(4_410, 0.2), atol=1e-6)


def test_unusual_widths_decode_alike(tmp_path: Path) -> None:
    sound = speech_like()
    for subtype in ("PCM_U8", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"):
        samples, _ = decode(stored(tmp_path, wav_bytes(sound, 16_000, subtype)), limits=LIMITS)
        assert np.abs(samples - sound).max() < 0.03, subtype


def test_tags_before_the_sound_are_skipped(tmp_path: Path) -> None:
    tag = b"ID3\x04\x00\x00\x00\x00\x40\x00" + bytes(64 * 128)
    for kind in ("mp3", "flac", "aac"):
        content = CONTAINERS[kind](tone(seconds=1), 44_100)
        assert probe(stored(tmp_path, tag + content), LIMITS).duration == pytest.approx(1, abs=0.1), kind


def test_joined_mp3s_are_heard_to_the_end(tmp_path: Path) -> None:
    content = CONTAINERS["mp3"](tone(seconds=1), 44_100)
    assert probe(stored(tmp_path, content + content), LIMITS).duration == pytest.approx(2, abs=0.1)


@pytest.mark.parametrize("kind", ["piped.wav", "piped.mp3", "recorded.webm", "aac"])
def test_streams_promise_nothing_and_may_end_anywhere(kind: str, tmp_path: Path) -> None:
    content = CONTAINERS[kind](tone(seconds=2, sample_rate=48_000), 48_000)
    path = stored(tmp_path, content[: len(content) // 2])
    assert probe(path, LIMITS).duration == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("kind", sorted(set(CONTAINERS) - {"piped.wav", "piped.mp3", "recorded.webm", "aac"}))
@pytest.mark.parametrize("kept", [0.2, 0.5, 0.8])
def test_truncated_files_are_refused(kind: str, kept: float, tmp_path: Path) -> None:
    content = CONTAINERS[kind](tone(seconds=2, sample_rate=48_000), 48_000)
    path = stored(tmp_path, content[: int(len(content) * kept)])
    with pytest.raises(InvalidAudio, match=r"truncated|damaged"):
        probe(path, LIMITS)
    with pytest.raises(InvalidAudio, match=r"truncated|damaged"):
        decode(path, limits=LIMITS)


# Limits.


def test_too_many_bytes(tmp_path: Path) -> None:
    path = stored(tmp_path, wav_bytes())
    with pytest.raises(PayloadTooLarge, match="88244 bytes; at most 1000 are accepted"):
        probe(path, LimitsConfig(max_upload_bytes=1000))


@pytest.mark.parametrize("kind", CONTAINERS)
def test_limits_hold_while_decoding(kind: str, tmp_path: Path) -> None:
    path = stored(tmp_path, CONTAINERS[kind](tone(seconds=2, sample_rate=48_000, channels=2), 48_000))
    with pytest.raises(InvalidAudio, match=r"longer than 1\.5 s"):
        probe(path, LimitsConfig(max_audio_seconds=1.5))
    with pytest.raises(InvalidAudio, match="more than 600000 bytes when decoded"):
        decode(path, limits=LimitsConfig(max_decoded_bytes=600_000))
    with pytest.raises(InvalidAudio, match="2 channels; 1 to 1 are accepted"):
        probe(path, LimitsConfig(max_channels=1))


MEASURE = """
import resource, sys
from pathlib import Path
from deployments.config import LimitsConfig
from deployments.audio.files import probe
probe(Path(sys.argv[1]), LimitsConfig())
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
info = probe(Path(sys.argv[2]), LimitsConfig())
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, info.duration)
"""


@pytest.mark.parametrize("kind", ["wav", "flac", "mp3"])
def test_an_hour_is_measured_in_constant_memory(kind: str, tmp_path: Path) -> None:
    rate, write = 8_000, CONTAINERS[kind]
    short = stored(tmp_path, write(np.zeros((1, rate), np.float32), rate), "short")
    part, parts = (100, 36) if kind == "mp3" else (3600, 1)  # MP3s may be joined, which saves the encoding
    long = stored(tmp_path, write(np.zeros((1, rate * part), np.float32), rate) * parts, "long")
    command = [sys.executable, "-c", MEASURE, str(short), str(long)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env={"PYTHONPATH": "clients:."}
    )
    grown_kib, duration = done.stdout.split()
    assert float(duration) == pytest.approx(3600, rel=0.01)
    assert int(grown_kib) < 16 * 1024  # an hour of float32 at 8 kHz has 115 MB
    assert done.stderr == ""


# Resampling.


@pytest.mark.parametrize("target", [8_000, 16_000, 44_100, 48_000])
@pytest.mark.parametrize("source", [8_000, 22_050, 44_100, 96_000])
def test_resampling_keeps_pitch_level_and_length(source: int, target: int, tmp_path: Path) -> None:
    sound = tone(1000, seconds=2, sample_rate=source)
    path = stored(tmp_path, wav_bytes(sound, source))
    samples, rate = decode(path, sample_rate=target, mono=True, limits=LIMITS)
    assert rate == target
    assert abs(len(samples) - 2 * target) <= 1
    assert peak_frequency(samples, rate) == pytest.approx(1000, abs=0.5)
    assert level_db(samples) == pytest.approx(level_db(sound), abs=0.1)


def test_what_lies_above_the_new_rate_does_not_fold_back(tmp_path: Path) -> None:
    loud = tone(10_000, seconds=2, sample_rate=44_100, level=0.9)
    path = stored(tmp_path, wav_bytes(loud, subtype="FLOAT"))
    samples, _ = decode(path, sample_rate=16_000, mono=True, limits=LIMITS)  # would fold to 6 kHz
    assert level_db(samples[2_000:-2_000]) < level_db(loud) - 90


def test_resampling_in_blocks_leaves_no_seam(tmp_path: Path) -> None:
    sound = tone(997, seconds=8, sample_rate=44_100)
    path = stored(tmp_path, wav_bytes(sound, subtype="FLOAT"))
    samples, rate = decode(path, sample_rate=48_000, limits=LIMITS)
    ideal = tone(997, seconds=8, sample_rate=rate)
    middle = slice(rate // 10, -rate // 10)
    assert np.abs(samples[:, middle] - ideal[:, middle]).max() < 1e-4


# Writing.


@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize("sample_rate", RATES)
@pytest.mark.parametrize("format_", FORMATS)
def test_round_trip(format_: AudioFormat, sample_rate: int, channels: int, tmp_path: Path) -> None:
    path = tmp_path / "written"
    sound = tone(440, seconds=1.5, sample_rate=sample_rate, channels=channels)
    if format_ == "mp3" and channels > 2:
        with pytest.raises(InvalidAudio, match="mp3 cannot hold 6 channels"):
            encode(sound, sample_rate, format_, path)
        return
    info = encode(sound, sample_rate, format_, path)
    samples, rate = decode(path, limits=LIMITS)
    assert info == probe(path, LIMITS)
    assert info == AudioInfo(samples.shape[1] / rate, rate, channels, CODECS[format_].media_type)
    assert rate == {"opus": 48_000, "mp3": min(sample_rate, 48_000)}.get(format_, sample_rate)
    slack = CODEC_FRAME[format_] / (1 if format_ == "opus" else rate)
    assert info.duration == pytest.approx(1.5, abs=slack + 1 / rate)
    for channel in samples[:3]:  # the fourth of six has low frequencies only
        middle = channel[rate // 4 : rate * 5 // 4]
        assert peak_frequency(middle, rate) == pytest.approx(440, abs=1)
        assert level_db(middle) == pytest.approx(level_db(sound), abs=1)


@pytest.mark.parametrize("frames", [221, 577, 1151, 1152, 1153, 22_051])
@pytest.mark.parametrize("format_", FORMATS)
def test_what_is_told_of_any_length_is_what_is_decoded(
    format_: AudioFormat, frames: int, tmp_path: Path
) -> None:
    path = tmp_path / "written"
    info = encode(np.zeros((2, frames), np.float32), 22_050, format_, path)
    samples, rate = decode(path, limits=LIMITS)
    assert info == AudioInfo(samples.shape[1] / rate, rate, 2, CODECS[format_].media_type)


@pytest.mark.parametrize("format_", ["wav", "flac", "opus", "aac"])
def test_six_channels_stay_in_order(format_: AudioFormat, tmp_path: Path) -> None:
    path = tmp_path / "written"
    hertz = [300, 600, 900, 60, 1200, 1500]  # front left, right, center, low, back left, right
    encode(np.concatenate([tone(hz, sample_rate=48_000) for hz in hertz]), 48_000, format_, path)
    samples, rate = decode(path, limits=LIMITS)
    frequencies = [peak_frequency(channel[rate // 4 : rate * 3 // 4], rate) for channel in samples]
    assert frequencies == pytest.approx(hertz, abs=3)


@pytest.mark.parametrize("format_", FORMATS)
def test_what_passes_one_is_scaled_down_not_clipped(format_: AudioFormat, tmp_path: Path) -> None:
    path = tmp_path / "loud"
    encode(tone(440, seconds=1, level=2.5, channels=2), 44_100, format_, path)
    samples, rate = decode(path, limits=LIMITS)
    middle = samples[0, rate // 4 : rate * 3 // 4]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    third_harmonic = (
        spectrum[round(1320 * len(middle) / rate)] / spectrum.max()
    )  # the first harmonic that clipping adds
    assert 20 * np.log10(third_harmonic) < -50
    assert level_db(middle) == pytest.approx(level_db(tone(level=1.0)), abs=1)


def test_one_dimension_is_one_channel(tmp_path: Path) -> None:
    assert encode(tone()[0], 44_100, "wav", tmp_path / "a") == AudioInfo(1.0, 44_100, 1, "audio/wav")


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        (np.zeros((1, 0), np.float32), "no audio to encode"),
        (np.full((1, 4_410), np.nan, np.float32), "not all finite"),
        (np.full((1, 4_410), np.inf, np.float32), "not all finite"),
        (np.zeros((65, 4_410), np.float32), "wav cannot hold 65 channels"),
        (np.zeros((1, 40), np.float32), "at least 10 ms"),
    ],
)
def test_what_cannot_be_encoded_leaves_nothing(samples: Samples, words: str, tmp_path: Path) -> None:
    path = tmp_path / "nothing"
    with pytest.raises(InvalidAudio, match=words):
        encode(samples, 44_100, "wav", path)
    assert not path.exists()


def test_float_wav_on_the_scale_of_integers_is_read_as_it_is(tmp_path: Path) -> None:
    content = file_bytes(tone(level=30_000.0), 44_100, format="WAV", subtype="FLOAT")
    samples, _ = decode(stored(tmp_path, content), limits=LIMITS)
    assert samples.max() == pytest.approx(30_000, rel=1e-3)

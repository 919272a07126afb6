"""Kinds of files beyond the common ones, and the names of those that are refused."""

from collections.abc import Callable
from pathlib import Path

import pytest

from audiograph.errors import InvalidAudio
from deployments.audio.files import decode, probe
from deployments.config import LimitsConfig
from tests.support.sounds import av_bytes, file_bytes, level_db, peak_frequency, tone

LIMITS = LimitsConfig()
SOUND = tone(seconds=2, sample_rate=48_000, channels=2)
PHONE = tone(seconds=2, sample_rate=8_000)


def by_libav(codec: str, container: str) -> Callable[[], bytes]:
    return lambda: av_bytes(SOUND, 48_000, codec, container)


def by_libsndfile(container: str, subtype: str) -> Callable[[], bytes]:
    return lambda: file_bytes(SOUND, 48_000, format=container, subtype=subtype)


KINDS: dict[str, tuple[Callable[[], bytes], str]] = {
    "AC-3": (by_libav("ac3", "ac3"), "audio/ac3"),
    "E-AC-3": (by_libav("eac3", "eac3"), "audio/eac3"),
    "AAC in LATM": (by_libav("aac", "latm"), "audio/aac"),
    "IRCAM": (by_libsndfile("IRCAM", "PCM_16"), "audio/x-ircam"),
    "IRCAM of float": (by_libsndfile("IRCAM", "FLOAT"), "audio/x-ircam"),
    "IRCAM, big-endian": (
        lambda: file_bytes(SOUND, 48_000, format="IRCAM", subtype="PCM_16", endian="BIG"),
        "audio/x-ircam",
    ),
    "MP2": (by_libav("mp2", "mp2"), "audio/mpeg"),
    "WavPack": (by_libav("wavpack", "wv"), "audio/x-wavpack"),
    "TTA": (by_libav("tta", "tta"), "audio/x-tta"),
    "AU": (by_libsndfile("AU", "PCM_16"), "audio/basic"),
    "AU µ-law": (by_libsndfile("AU", "ULAW"), "audio/basic"),
    "VOC": (by_libsndfile("VOC", "PCM_16"), "audio/x-voc"),
    "NIST": (by_libsndfile("NIST", "PCM_16"), "audio/x-nist"),
    "BW64": (lambda: b"BW64" + by_libsndfile("RF64", "PCM_16")()[4:], "audio/wav"),
    "WAV, MS ADPCM": (by_libsndfile("WAV", "MS_ADPCM"), "audio/wav"),
    "WAV, MP3": (by_libav("libmp3lame", "wav"), "audio/wav"),
    "WAV, AC-3": (by_libav("ac3", "wav"), "audio/wav"),
    "CAF, ALAC": (by_libsndfile("CAF", "ALAC_16"), "audio/x-caf"),
    "CAF, ALAC by libav": (by_libav("alac", "caf"), "audio/x-caf"),
    "AIFF, IMA ADPCM": (by_libsndfile("AIFF", "IMA_ADPCM"), "audio/aiff"),
    "MOV, PCM": (by_libav("pcm_s16le", "mov"), "audio/mp4"),
    "MOV, PCM 24": (by_libav("pcm_s24be", "mov"), "audio/mp4"),
    "MP4, AC-3": (by_libav("ac3", "mp4"), "audio/mp4"),
    "MP4, Opus": (by_libav("libopus", "mp4"), "audio/mp4"),
    "Matroska, PCM": (by_libav("pcm_s16le", "matroska"), "audio/matroska"),
    "Matroska, WavPack": (by_libav("wavpack", "matroska"), "audio/matroska"),
    "MPEG-TS, AAC": (by_libav("aac", "mpegts"), "video/mp2t"),
    "MPEG-TS, MP2": (by_libav("mp2", "mpegts"), "video/mp2t"),
    "MPEG-PS": (by_libav("mp2", "mpeg"), "video/mpeg"),
    "AVI": (by_libav("libmp3lame", "avi"), "video/x-msvideo"),
    "Flash": (lambda: av_bytes(tone(seconds=2), 44_100, "libmp3lame", "flv"), "video/x-flv"),
    "Windows Media": (lambda: av_bytes(tone(seconds=2), 44_100, "libmp3lame", "asf"), "audio/x-ms-wma"),
    "AMR": (lambda: av_bytes(PHONE, 8_000, "libopencore_amrnb", "amr"), "audio/amr"),
    "AMR in 3GP": (lambda: av_bytes(PHONE, 8_000, "libopencore_amrnb", "3gp"), "audio/mp4"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_heard(kind: str, tmp_path: Path) -> None:
    write, media_type = KINDS[kind]
    path = tmp_path / "sound"
    path.write_bytes(write())
    info = probe(path, LIMITS)
    samples, rate = decode(path, limits=LIMITS)
    assert (info.media_type, info.notes) == (media_type, ())
    assert info.duration == samples.shape[1] / rate == pytest.approx(2, abs=0.06)
    middle = samples[0, rate // 2 : rate * 3 // 2]
    assert peak_frequency(middle, rate) == pytest.approx(440, abs=1)
    tolerance = 2 if kind.startswith("AMR") else 1  # AMR models a voice, not a tone
    assert level_db(middle) == pytest.approx(level_db(SOUND), abs=tolerance)


@pytest.mark.parametrize(
    "kind", ["BW64", "AU", "WavPack", "TTA", "CAF, ALAC", "MOV, PCM", "AVI", "Matroska, PCM"]
)
def test_a_cut_file_is_recognized(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "sound"
    content = KINDS[kind][0]()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(InvalidAudio, match="truncated"):
        probe(path, LIMITS)


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"MAC \x96\x0f" + bytes(500), "Monkey's Audio"),
        (b"MPCKSH" + bytes(500), "Musepack"),
        (b"DSD " + bytes(500), "DSD"),
        (b"\x7f\xfe\x80\x01" + bytes(500), "DTS"),
        (b".RMF" + bytes(500), "RealMedia"),
    ],
)
def test_audio_that_is_not_accepted_is_called_by_its_name(content: bytes, name: str, tmp_path: Path) -> None:
    path = tmp_path / "sound"
    path.write_bytes(content)
    with pytest.raises(InvalidAudio, match="is not among the accepted kinds of audio") as refused:
        probe(path, LIMITS)
    assert name in refused.value.message
    assert "not audio" not in refused.value.message
    assert "damaged" not in refused.value.message

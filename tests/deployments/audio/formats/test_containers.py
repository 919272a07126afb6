"""Kinds of files beyond the common ones, and the names of those that are refused."""

from collections.abc import Callable
from pathlib import Path

import pytest

from audiograph.errors import InvalidAudio
from deployments.audio.files import decode, probe
from deployments.config import LimitsConfig
from tests.support.films import Sound, film_bytes
from tests.support.sounds import av_bytes, file_bytes, level_db, peak_frequency, tone

LIMITS = LimitsConfig()
SOUND = tone(seconds=2, sample_rate=48_000, channels=2)
PHONE = tone(seconds=2, sample_rate=8_000)
WIDE_PHONE = tone(seconds=2, sample_rate=16_000)


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
    "WAV, G.722": (lambda: av_bytes(WIDE_PHONE, 16_000, "adpcm_g722", "wav"), "audio/wav"),
    "WAV, G.726": (lambda: av_bytes(PHONE, 8_000, "adpcm_g726", "wav"), "audio/wav"),
    "AU, G.722": (lambda: av_bytes(WIDE_PHONE, 16_000, "adpcm_g722", "au"), "audio/basic"),
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
    "kind",
    [
        "BW64",
        "AU",
        "WAV, G.722",
        "WAV, G.726",
        "WavPack",
        "TTA",
        "CAF, ALAC",
        "MOV, PCM",
        "AVI",
        "Matroska, PCM",
    ],
)
def test_a_cut_file_is_recognized(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "sound"
    content = KINDS[kind][0]()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(InvalidAudio, match="truncated"):
        probe(path, LIMITS)


UNREAD: dict[str, Callable[[], bytes]] = {
    "Monkey's Audio": lambda: b"MAC \x96\x0f" + bytes(500),
    "Musepack": lambda: b"MPCKSH" + bytes(500),
    "DSD": lambda: b"DSD " + bytes(500),
    "DTS": lambda: b"\x7f\xfe\x80\x01" + bytes(500),
    "TrueHD": lambda: b"\x81\xf4\x01\x02\xf8\x72\x6f\xba" + bytes(500),
    "RealMedia": by_libav("ac3", "rm"),
    "DSS": lambda: b"\x02dss" + bytes(500),
    "Audible": lambda: b"\0\x01\0\0\x57\x90\x75\x36" + bytes(500),
    "SoX": by_libav("pcm_s32le", "sox"),
    "ADX": by_libav("adpcm_adx", "adx"),
    "SMAF": lambda: av_bytes(tone(), 44_100, "adpcm_yamaha", "mmf"),
    "S/PDIF": by_libav("ac3", "spdif"),
    "Flash (SWF)": lambda: av_bytes(tone(), 44_100, "libmp3lame", "swf"),
    "MXF": lambda: film_bytes("mxf", [Sound(SOUND, codec="pcm_s16le")], video_seconds=2),
    "NUT": by_libav("pcm_s16le", "nut"),
    "WTV": by_libav("ac3", "wtv"),
    "8SVX": lambda: file_bytes(PHONE, 8_000, format="SVX", subtype="PCM_S8"),
    "16SV": lambda: file_bytes(PHONE, 8_000, format="SVX", subtype="PCM_16"),
    "PAF": by_libsndfile("PAF", "PCM_16"),
    "PVF": by_libsndfile("PVF", "PCM_16"),
    "AVR": by_libsndfile("AVR", "PCM_16"),
    "WVE": lambda: file_bytes(PHONE, 8_000, format="WVE", subtype="ALAW"),
    "XI": lambda: file_bytes(PHONE, 8_000, format="XI", subtype="DPCM_16"),
    "SDS": lambda: file_bytes(PHONE, 8_000, format="SDS", subtype="PCM_16"),
    "MPC 2000": lambda: file_bytes(PHONE, 44_100, format="MPC2K", subtype="PCM_16"),
    "HTK": lambda: file_bytes(PHONE, 8_000, format="HTK", subtype="PCM_16"),
}
"""Writers of kinds of audio that are not accepted, by their names in the error."""


@pytest.mark.parametrize("name", UNREAD)
def test_audio_that_is_not_accepted_is_called_by_its_name(name: str, tmp_path: Path) -> None:
    path = tmp_path / "sound"
    path.write_bytes(UNREAD[name]())
    with pytest.raises(InvalidAudio, match="is not among the accepted kinds of audio") as refused:
        probe(path, LIMITS)
    assert name in refused.value.message
    assert "not audio" not in refused.value.message
    assert "damaged" not in refused.value.message


@pytest.mark.parametrize("subtype", ["PCM_16", "DOUBLE"])
@pytest.mark.parametrize("version", ["MAT4", "MAT5"])
def test_a_matlab_file_is_called_one(version: str, subtype: str, tmp_path: Path) -> None:
    path = tmp_path / "sound"
    path.write_bytes(file_bytes(PHONE, 8_000, format=version, subtype=subtype))
    with pytest.raises(InvalidAudio, match="not audio but a MATLAB file"):
        probe(path, LIMITS)


def test_audio_without_a_header_is_said_to_be_unrecognizable(tmp_path: Path) -> None:
    path = tmp_path / "sound"
    path.write_bytes(av_bytes(PHONE, 8_000, "pcm_alaw", "alaw"))
    with pytest.raises(InvalidAudio, match="audio without a header cannot be recognized"):
        probe(path, LIMITS)


def test_silence_before_an_mp3_hides_nothing(tmp_path: Path) -> None:
    path = tmp_path / "sound"
    path.write_bytes(bytes(2_000) + av_bytes(SOUND, 48_000, "libmp3lame", "mp3", {"write_xing": "0"})[45:])
    assert probe(path, LIMITS).media_type == "audio/mpeg"

"""Gaps, late beginnings, longer pictures and sound that changes midway: times in the sound fit the file."""

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from audiograph.errors import InvalidAudio
from deployments.audio.files import AudioInfo, decode, probe
from deployments.audio.timeline import MAX_GAP_SECONDS, Timeline
from deployments.config import LimitsConfig
from tests.support.films import Sound, film_bytes
from tests.support.sounds import (
    CONTAINERS,
    Samples,
    av_bytes,
    file_bytes,
    level_db,
    patched,
    peak_frequency,
    tone,
)

LIMITS = LimitsConfig()
FILMS = {
    "mp4": "aac",
    "mov": "aac",
    "matroska": "aac",
    "webm": "libopus",
    "mpegts": "aac",
}
FOUR_SECONDS = tone(seconds=4, sample_rate=48_000)


def measured(folder: Path, content: bytes) -> tuple[AudioInfo, Samples, int]:
    path = folder / "sound"
    path.write_bytes(content)
    info = probe(path, LIMITS)
    samples, rate = decode(path, limits=LIMITS)
    assert info.duration == samples.shape[1] / rate
    return info, samples, rate


# Length.


@pytest.mark.parametrize("container", FILMS)
def test_a_picture_may_go_on_after_the_sound(container: str, tmp_path: Path) -> None:
    content = film_bytes(container, [Sound(FOUR_SECONDS, codec=FILMS[container])], video_seconds=10)
    info, _, _ = measured(tmp_path, content)
    assert info.duration == pytest.approx(4, abs=0.05)
    assert (info.offset, info.notes) == (0, ())


@pytest.mark.parametrize("container", FILMS)
def test_another_track_may_go_on_after_the_sound(container: str, tmp_path: Path) -> None:
    codec = FILMS[container]
    sounds = [Sound(FOUR_SECONDS, codec=codec), Sound(tone(seconds=9, sample_rate=48_000), codec=codec)]
    info, _, _ = measured(tmp_path, film_bytes(container, sounds))
    assert info.duration == pytest.approx(4, abs=0.05)


@pytest.mark.parametrize("container", sorted(set(FILMS) - {"mpegts"}))
@pytest.mark.parametrize("start", [0, 3])
def test_a_film_that_is_cut_is_refused(container: str, start: float, tmp_path: Path) -> None:
    sound = Sound(FOUR_SECONDS, codec=FILMS[container], start=start)
    content = film_bytes(container, [sound], video_seconds=10)
    path = tmp_path / "film"
    for kept in (0.3, 0.6, 0.9):
        path.write_bytes(content[: int(len(content) * kept)])
        with pytest.raises(InvalidAudio, match="truncated"):
            probe(path, LIMITS)


# Gaps.


@pytest.mark.parametrize("container", [*FILMS, "ogg"])
def test_silence_stands_for_what_was_not_sent(container: str, tmp_path: Path) -> None:
    codec = FILMS.get(container, "libopus")
    sound = Sound(FOUR_SECONDS, codec=codec, unsent=[(1, 2), (3, 3.1)])
    info, samples, rate = measured(tmp_path, film_bytes(container, [sound]))
    assert info.duration == pytest.approx(4, abs=0.06)
    assert "2 gaps, of 1.1" in info.notes[0]
    assert level_db(samples[0, int(1.1 * rate) : int(1.9 * rate)]) < -60
    for first, last in ((0.2, 0.9), (2.2, 2.9), (3.3, 3.9)):
        heard = samples[0, int(first * rate) : int(last * rate)]
        assert peak_frequency(heard, rate) == pytest.approx(440, abs=2)
        assert level_db(heard) == pytest.approx(level_db(FOUR_SECONDS), abs=1)


def test_single_lost_packets_do_not_add_up(tmp_path: Path) -> None:
    lost = [(second + 0.1, second + 0.115) for second in range(4)]
    info, _, _ = measured(tmp_path, film_bytes("webm", [Sound(FOUR_SECONDS, codec="libopus", unsent=lost)]))
    assert info.duration == pytest.approx(4, abs=0.05)


def test_a_jump_of_hours_begins_another_timeline() -> None:
    timeline = Timeline(8_000, 1)
    piece = np.ones((8_000, 1), np.float32)
    placed = [*timeline.place(piece, 8_000, 0.0), *timeline.place(piece, 8_000, MAX_GAP_SECONDS + 2)]
    placed += timeline.place(piece, 8_000, 0.0)
    assert sum(map(len, placed)) == 24_000
    assert timeline.notes() == []


def test_rounded_times_make_no_gaps() -> None:
    timeline = Timeline(8_000, 1)
    piece = np.ones((160, 1), np.float32)
    placed = [block for n in range(100) for block in timeline.place(piece, 8_000, round(0.02 * n + 0.004, 2))]
    assert sum(map(len, placed)) == 16_000
    assert timeline.notes() == []


# A late beginning.


@pytest.mark.parametrize("container", FILMS)
def test_the_offset_of_a_late_sound_is_told(container: str, tmp_path: Path) -> None:
    click = np.zeros((1, 96_000), np.float32)
    click[0, 48_000:48_480] = 0.9
    sound = Sound(click, codec=FILMS[container], start=2.95)
    info, samples, rate = measured(tmp_path, film_bytes(container, [sound], video_seconds=8))
    assert info.offset == pytest.approx(2.95, abs=0.03)
    at = float(np.abs(samples[0]).argmax()) / rate
    assert info.offset + at == pytest.approx(3.95, abs=0.02)
    assert f"begins {info.offset:.2f} s into the file" in info.notes[0]


@pytest.mark.parametrize("container", ["matroska", "webm", "mpegts"])
def test_sound_alone_has_no_offset(container: str, tmp_path: Path) -> None:
    sound = Sound(FOUR_SECONDS, codec=FILMS[container], start=5)
    info, _, _ = measured(tmp_path, film_bytes(container, [sound]))
    assert (info.offset, info.notes) == (0, ())


def test_an_edit_list_delays_sound_alone(tmp_path: Path) -> None:
    info, _, _ = measured(tmp_path, film_bytes("mp4", [Sound(FOUR_SECONDS, start=5)]))
    assert info.offset == pytest.approx(5, abs=0.03)


def avi_bytes(sound: Sound, video_seconds: float, *, delay: float = 0.0, slowdown: int = 1) -> bytes:
    """Write an AVI whose header delays the sound, as editors do, or states a rate that is too low."""
    content = film_bytes("avi", [sound], video_seconds)
    header = content.index(b"strh\x38\0\0\0auds") + 8
    scale, rate = struct.unpack_from("<II", content, header + 20)
    return patched(content, header + 24, "<II", rate // slowdown, round(delay * rate / scale))


@pytest.mark.parametrize("codec", ["pcm_s16le", "libmp3lame", "ac3", "adpcm_ms"])
@pytest.mark.parametrize("video_seconds", [0, 8])
def test_the_header_of_an_avi_delays_its_sound(codec: str, video_seconds: float, tmp_path: Path) -> None:
    click = np.zeros((1, 96_000), np.float32)
    click[0, 48_000:48_480] = 0.9
    info, samples, rate = measured(tmp_path, avi_bytes(Sound(click, codec=codec), video_seconds, delay=2.95))
    assert info.offset == pytest.approx(2.95, abs=0.03)
    assert info.duration == pytest.approx(2, abs=0.05)
    assert info.offset + float(np.abs(samples[0]).argmax()) / rate == pytest.approx(3.95, abs=0.04)


@pytest.mark.parametrize("codec", ["pcm_s16le", "libmp3lame"])
def test_a_wrong_rate_in_the_header_of_an_avi_makes_no_gaps(codec: str, tmp_path: Path) -> None:
    info, _, _ = measured(tmp_path, avi_bytes(Sound(FOUR_SECONDS, codec=codec), 0, slowdown=2))
    assert info.duration == pytest.approx(4, abs=0.05)
    assert (info.offset, info.notes) == (0, ())


# Changes midway.


def joined(
    write: Callable[[Samples, int], bytes], rates: tuple[int, int], channels: tuple[int, int]
) -> bytes:
    hertz = (440, 880)
    parts = [
        write(tone(hz, seconds=2, sample_rate=rate, channels=count), rate)
        for hz, rate, count in zip(hertz, rates, channels, strict=True)
    ]
    return b"".join(parts)


@pytest.mark.parametrize(
    ("write", "rates"),
    [
        (CONTAINERS["mp3"], (44_100, 48_000)),
        (CONTAINERS["mp3"], (44_100, 22_050)),
        (CONTAINERS["aac"], (44_100, 16_000)),
        (CONTAINERS["vorbis.ogg"], (44_100, 22_050)),
        (CONTAINERS["vorbis.ogg"], (16_000, 48_000)),
        (CONTAINERS["opus.ogg"], (48_000, 48_000)),
        (lambda sound, rate: file_bytes(sound, rate, format="FLAC"), (44_100, 48_000)),
        (lambda sound, rate: file_bytes(sound, rate, format="FLAC"), (44_100, 16_000)),
        (lambda sound, rate: file_bytes(sound, rate, format="FLAC"), (44_100, 44_100)),
        (lambda sound, rate: av_bytes(sound, rate, "ac3", "ac3"), (44_100, 48_000)),
        (lambda sound, rate: av_bytes(sound, rate, "aac", "mpegts"), (44_100, 48_000)),
    ],
)
@pytest.mark.parametrize("channels", [(1, 2), (2, 1), (2, 2)])
def test_sound_that_changes_is_heard_to_the_end(
    write: Callable[[Samples, int], bytes], rates: tuple[int, int], channels: tuple[int, int], tmp_path: Path
) -> None:
    info, samples, rate = measured(tmp_path, joined(write, rates, channels))
    assert (info.sample_rate, info.channels) == (rates[0], channels[0])
    assert info.duration == pytest.approx(4, abs=0.2)
    for hz, start in ((440, 0.5), (880, 2.8)):
        for channel in samples:
            heard = channel[int(start * rate) : int((start + 0.8) * rate)]
            assert peak_frequency(heard, rate) == pytest.approx(hz, abs=2)
            assert level_db(heard) == pytest.approx(level_db(FOUR_SECONDS), abs=1)
    changed = rates[0] != rates[1] or channels[0] != channels[1]
    assert any("changes from" in note for note in info.notes) == changed


def test_three_joined_flacs_of_which_one_is_tagged_are_heard_and_a_cut_one_is_refused(tmp_path: Path) -> None:
    tag = b"ID3\4\0\0\0\0\0\x0a" + bytes(10)
    parts = [file_bytes(tone(hz, seconds=2), 44_100, format="FLAC") for hz in (440, 660, 880)]
    info, samples, rate = measured(tmp_path, parts[0] + tag + parts[1] + parts[2])
    assert info.duration == pytest.approx(6, abs=0.001)
    assert info.notes == ()
    for hz, start in ((440, 0.5), (660, 2.5), (880, 4.5)):
        assert peak_frequency(samples[0][int(start * rate) : int((start + 1) * rate)], rate) == pytest.approx(
            hz, abs=2
        )
    with pytest.raises(InvalidAudio, match="truncated"):
        measured(tmp_path, b"".join(parts)[: -len(parts[2]) // 3])


def test_the_note_says_what_changes_and_when(tmp_path: Path) -> None:
    info, _, _ = measured(tmp_path, joined(CONTAINERS["vorbis.ogg"], (44_100, 22_050), (1, 2)))
    assert info.notes == (
        "The sound changes from 44100 Hz with 1 channel to 22050 Hz with 2 channels at 2.00 s; "
        "it was converted to what it begins with.",
    )

"""Choice of an audio track."""

from pathlib import Path

import pytest

from audiograph.errors import InvalidAudio
from deployments.audio.files import AudioInfo, decode, probe
from deployments.config import LimitsConfig
from tests.support.films import Sound, film_bytes
from tests.support.sounds import peak_frequency, tone

LIMITS = LimitsConfig()


def track(hz: float, codec: str = "aac", *, default: bool = False, language: str | None = None) -> Sound:
    return Sound(tone(hz, sample_rate=48_000), codec=codec, default=default, language=language)


def heard(folder: Path, content: bytes, number: int | None = None) -> tuple[AudioInfo, float]:
    path = folder / "film"
    path.write_bytes(content)
    samples, rate = decode(path, limits=LIMITS, track=number)
    return probe(path, LIMITS, number), round(peak_frequency(samples[0], rate))


def test_one_track_needs_no_note(tmp_path: Path) -> None:
    info, hertz = heard(tmp_path, film_bytes("matroska", [track(300)]))
    assert (info.track, info.notes, hertz) == (1, (), 300)


@pytest.mark.parametrize("container", ["matroska", "mp4", "mov"])
def test_the_default_track_is_heard(container: str, tmp_path: Path) -> None:
    tracks = [track(300, language="eng"), track(600, default=True, language="jpn"), track(900)]
    info, hertz = heard(tmp_path, film_bytes(container, tracks))
    assert (info.track, hertz) == (2, 600)
    assert "track 2 of 3 (aac, jpn) was taken: the default" in info.notes[0]


def test_without_a_default_the_first_is_heard(tmp_path: Path) -> None:
    info, hertz = heard(tmp_path, film_bytes("matroska", [track(300), track(600)]))
    assert (info.track, hertz) == (1, 300)
    assert "track 1 of 2 (aac) was taken: the first" in info.notes[0]


def test_a_track_that_cannot_be_decoded_is_passed_over(tmp_path: Path) -> None:
    tracks = [track(300, "adpcm_yamaha"), track(600, "libmp3lame")]
    info, hertz = heard(tmp_path, film_bytes("avi", tracks))
    assert (info.track, hertz) == (2, 600)
    assert "track 1 (adpcm_yamaha) cannot be decoded" in info.notes[0]


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_named_track_is_heard(number: int, tmp_path: Path) -> None:
    tracks = [track(300), track(600, default=True), track(900)]
    info, hertz = heard(tmp_path, film_bytes("matroska", tracks), number)
    assert (info.track, hertz) == (number, 300 * number)
    assert f"track {number} of 3 (aac) was taken: as requested" in info.notes[0]


@pytest.mark.parametrize("number", [0, 3, 10**9])
def test_a_track_that_is_not_there_is_refused_by_its_field(number: int, tmp_path: Path) -> None:
    with pytest.raises(InvalidAudio, match="has 2 audio tracks") as refused:
        heard(tmp_path, film_bytes("matroska", [track(300), track(600)]), number)
    assert refused.value.field == "track"


def test_a_file_of_one_sound_has_one_track(tmp_path: Path) -> None:
    path = tmp_path / "sound"
    path.write_bytes(film_bytes("wav", [Sound(tone(), 44_100, "pcm_s16le")]))
    assert probe(path, LIMITS, 1).duration == 1
    with pytest.raises(InvalidAudio, match="1 audio track; there is no track 2"):
        probe(path, LIMITS, 2)


def test_an_encoding_without_a_decoder_is_named(tmp_path: Path) -> None:
    content = film_bytes("avi", [track(300, "adpcm_yamaha")])
    with pytest.raises(InvalidAudio, match="encoded as adpcm_yamaha, which cannot be decoded here"):
        heard(tmp_path, content)

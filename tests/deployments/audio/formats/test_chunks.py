"""Sizes that a killed recorder never filled in."""

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from audiograph.errors import InvalidAudio
from deployments.audio.files import decode, probe
from deployments.config import LimitsConfig
from tests.support.sounds import Samples, file_bytes, patched, tone

LIMITS = LimitsConfig()
RATE = 16_000
SOUND = tone(seconds=1.5, sample_rate=RATE, channels=2)


def written(container: str, subtype: str = "PCM_16") -> bytes:
    return file_bytes(SOUND, RATE, format=container, subtype=subtype)


def riff(outer: int, audio: int, subtype: str = "PCM_16") -> bytes:
    content = written("WAV", subtype)
    return patched(patched(content, 4, "<I", outer), content.find(b"data") + 4, "<I", audio)


def rf64(audio: int, magic: bytes = b"RF64") -> bytes:
    content = magic + written("RF64")[4:]
    at = content.find(b"ds64") + 8
    return patched(patched(content, at, "<Q", audio), at + 8, "<Q", audio)


def w64(audio: int) -> bytes:
    content = written("W64")
    return patched(content, content.find(b"data\xf3\xac") + 16, "<Q", audio)


def caf(audio: int) -> bytes:
    content = written("CAF")
    return patched(content, content.find(b"data") + 4, ">Q", audio)


def aiff(outer: int, frames: int, audio: int, subtype: str = "PCM_16") -> bytes:
    content = patched(written("AIFF", subtype), 4, ">I", outer)
    content = patched(content, content.find(b"COMM") + 10, ">I", frames)
    return patched(content, content.find(b"SSND") + 4, ">I", audio)


def au(audio: int) -> bytes:
    return patched(written("AU"), 8, ">I", audio)


ONES, LONG_ONES = 2**32 - 1, 2**64 - 1
OPEN: dict[str, Callable[[], bytes]] = {
    "wav 0 0": lambda: riff(0, 0),
    "wav 36 0": lambda: riff(36, 0),
    "wav 0 36": lambda: riff(0, 36),
    "wav 36 36": lambda: riff(36, 36),
    "wav whole 0": lambda: riff(len(written("WAV")) - 8, 0),
    "wav twice 0": lambda: riff(2 * len(written("WAV")), 0),
    "wav ones": lambda: riff(ONES, ONES),
    "wav ones 0": lambda: riff(ONES, 0),
    "wav float 0": lambda: riff(0, 0, "FLOAT"),
    "wav ulaw 0": lambda: riff(0, 0, "ULAW"),
    "wav 24 bits 0": lambda: riff(0, 0, "PCM_24"),
    "rf64 0": lambda: rf64(0),
    "rf64 ones": lambda: rf64(LONG_ONES),
    "bw64": lambda: b"BW64" + written("RF64")[4:],
    "bw64 0": lambda: rf64(0, b"BW64"),
    "w64 0": lambda: w64(0),
    "w64 header": lambda: w64(24),
    "w64 ones": lambda: w64(LONG_ONES),
    "caf 0": lambda: caf(0),
    "caf ones": lambda: caf(LONG_ONES),
    "aiff 0": lambda: aiff(0, 0, 0),
    "aiff 8": lambda: aiff(46, 0, 8),
    "aiff ones": lambda: aiff(ONES, ONES, ONES),
    "aiff 24 bits 0": lambda: aiff(0, 0, 0, "PCM_24"),
    "au 0": lambda: au(0),
    "au ones": lambda: au(ONES),
}


def decoded(folder: Path, content: bytes) -> Samples:
    path = folder / "sound"
    path.write_bytes(content)
    info = probe(path, LIMITS)
    samples, _ = decode(path, limits=LIMITS)
    assert (info.sample_rate, info.channels, info.duration) == (RATE, 2, samples.shape[1] / RATE)
    return samples


@pytest.mark.parametrize("kind", OPEN)
def test_an_open_size_reaches_to_the_end_of_the_file(kind: str, tmp_path: Path) -> None:
    samples = decoded(tmp_path, OPEN[kind]())
    assert samples.shape == SOUND.shape
    assert np.abs(samples - SOUND).max() < 0.02


@pytest.mark.parametrize("kind", OPEN)
def test_an_open_file_may_end_anywhere(kind: str, tmp_path: Path) -> None:
    content = OPEN[kind]()
    if kind == "bw64":
        return  # its size is filled in
    samples = decoded(tmp_path, content[: len(content) - RATE])
    assert 0.5 < samples.shape[1] / RATE < 1.5
    assert np.abs(samples - SOUND[:, : samples.shape[1]]).max() < 0.02


def test_an_empty_recording_stays_empty(tmp_path: Path) -> None:
    path = tmp_path / "sound"
    tags = b"LIST" + struct.pack("<I", 26) + b"INFOINAM" + struct.pack("<I", 14) + b"a title of it\0"
    for end in (b"", tags):
        path.write_bytes(riff(36 + len(end), 0)[:44] + end)
        with pytest.raises(InvalidAudio, match=r"0\.0 ms of audio"):
            probe(path, LIMITS)


def test_tags_behind_the_samples_are_not_heard(tmp_path: Path) -> None:
    content = written("WAV")
    tags = b"LIST" + struct.pack("<I", 2 * RATE) + bytes(2 * RATE)
    assert decoded(tmp_path, content + tags).shape == SOUND.shape

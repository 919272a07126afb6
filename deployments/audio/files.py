"""Whole audio files: probing, decoding and encoding them.

Uploads are decoded block by block and to the end before they are trusted: the claims of their headers are
compared with the decoded audio. Every failure is an `InvalidAudio` that names the fault and its cure.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiograph.errors import InvalidAudio
from audiograph.schemas import AudioFormat
from deployments.audio.decoder import open_source
from deployments.audio.encoder import CODECS, Encoder
from deployments.audio.measure import AudioInfo, check_bytes, check_duration, checked_blocks, probe
from deployments.audio.mono import MonoMixer
from deployments.audio.recording import AudioStream, Recording
from deployments.audio.resample import resample
from deployments.audio.source import BLOCK_SAMPLES, Block
from deployments.config import LimitsConfig

__all__ = ["AudioInfo", "decode", "encode", "probe", "stream"]

UNLIMITED = LimitsConfig(
    max_upload_bytes=2**62, max_audio_seconds=1e12, max_decoded_bytes=2**62, max_channels=64
)
"""For the output of models, which their requests limit already."""


def decode(
    path: Path,
    *,
    sample_rate: int | None = None,
    mono: bool = False,
    limits: LimitsConfig,
    track: int | None = None,
) -> tuple[NDArray[np.float32], int]:
    """Decode a file to float32 samples ``[channels, frames]``, or ``[frames]`` if mono, and their rate in Hz.

    Args:
        path: the file; its content decides the container, its name is ignored.
        sample_rate: resample to this many Hz, band-limited; None keeps the file's own rate.
        mono: average all channels; see `MonoMixer`.
        limits: as for `probe`.
        track: as for `probe`.

    Raises:
        InvalidAudio: the file is no audio, damaged, shorter than its header claims, or over a limit.
        PayloadTooLarge: the file has more bytes than ``limits.max_upload_bytes``.
    """
    with stream(path, limits, track) as source:
        rate = sample_rate or source.sample_rate
        channels = 1 if mono else source.channels
        blocks = source.blocks
        if mono:
            blocks = MonoMixer(source.sample_rate).mix(blocks)
        samples = _concatenate(resample(blocks, channels, source.sample_rate, rate), channels)
    return (samples[0] if mono else samples), rate


@contextmanager
def stream(path: Path, limits: LimitsConfig, track: int | None = None) -> Iterator[AudioStream]:
    """Open a track of a file for decoding block by block, in constant memory, at its own sample rate.

    Raises:
        InvalidAudio: the file is not audio; reading its blocks also raises for the other reasons of `decode`.
        PayloadTooLarge: the file has more bytes than ``limits.max_upload_bytes``.
    """
    check_bytes(path, limits)
    with open_source(path, track) as source:
        yield AudioStream(source.sample_rate, source.channels, checked_blocks(source, limits))


def _concatenate(blocks: Iterator[Block], channels: int) -> NDArray[np.float32]:
    """Join blocks ``[frames, channels]`` to one array ``[channels, frames]``."""
    decoded = list(blocks)
    samples = np.empty((channels, sum(len(block) for block in decoded)), np.float32)
    end = samples.shape[1]
    while decoded:  # from the back, releasing each block: the peak stays near one and a half copies
        block = decoded.pop()
        samples[:, end - len(block) : end] = block.T
        end -= len(block)
    return samples


def encode(
    samples: NDArray[np.floating[Any]] | Recording,
    sample_rate: int,
    format: AudioFormat,  # noqa: A002
    target: Path,
) -> AudioInfo:
    """Encode samples to a file, block by block, and return its measures.

    If a sample exceeds ±1, all are scaled down by the same factor; nothing is clipped. A codec that does not
    support the sample rate gets the next higher one that it supports (the highest, if there is none). WAV and
    FLAC have 16 bits. AAC is ADTS, which cannot state the encoder's delay: it begins with 1024 samples of
    silence and ends on a full frame. MP3 of some lengths ends 46 samples late. The other formats are exact to
    the sample.

    Args:
        samples: ``[channels, frames]`` or ``[frames]``, or a recording, within -1..1.
        sample_rate: of the samples, in Hz.
        format: WAV, MP3, FLAC, Ogg Opus or AAC; see `CODECS`.
        target: path of the file; removed on failure.

    Raises:
        InvalidAudio: there are no samples, some are not finite, or the format cannot hold so many channels.
    """
    source = _open_samples(samples)
    _check(source, format)
    try:
        with target.open("wb") as file:
            encoder = Encoder(file, format, sample_rate, source.channels)
            for block in _scaled(source):
                encoder.write(block)
            encoder.close()
        return _info(encoder, format) if CODECS[format].exact else probe(target, UNLIMITED)
    except BaseException:
        target.unlink(missing_ok=True)
        raise


@dataclass(frozen=True, slots=True)
class _Samples:
    """Samples to encode, in memory or on disk."""

    shape: tuple[int, ...]
    """``[frames, channels]``."""
    peak: float
    blocks: Callable[[], Iterator[NDArray[np.floating[Any]]]]

    @property
    def channels(self) -> int:
        return self.shape[1]


def _open_samples(samples: NDArray[np.floating[Any]] | Recording) -> _Samples:
    if isinstance(samples, Recording):
        return _Samples((samples.frames, samples.channels), samples.peak, samples.blocks)
    frames = np.atleast_2d(samples).T

    def blocks() -> Iterator[NDArray[np.floating[Any]]]:
        step = max(1, BLOCK_SAMPLES // frames.shape[1])
        return (frames[start : start + step] for start in range(0, len(frames), step))

    peak = max(float(frames.max()), -float(frames.min())) if frames.size else 0.0
    return _Samples(frames.shape, peak, blocks)


def _check(source: _Samples, codec: AudioFormat) -> None:
    if len(source.shape) != 2 or not all(source.shape):
        raise InvalidAudio(f"there is no audio to encode: the samples have the shape {source.shape[::-1]}")
    if not np.isfinite(source.peak):
        raise InvalidAudio("the samples to encode are not all finite numbers")
    if source.channels not in CODECS[codec].channels:
        supported = ", ".join(str(number) for number in CODECS[codec].channels)
        raise InvalidAudio(
            f"{codec} cannot hold {source.channels} channels, only {supported}; use wav or flac",
            field="format",
        )


def _scaled(source: _Samples) -> Iterator[Block]:
    gain = 1 / max(1.0, source.peak)
    for block in source.blocks():
        yield np.multiply(block, gain, dtype=np.float32)


def _info(encoder: Encoder, codec: AudioFormat) -> AudioInfo:
    """Return the measures of a file without decoding it, for codecs that are exact to the sample."""
    duration = encoder.frames / encoder.sample_rate
    check_duration(duration)
    return AudioInfo(duration, encoder.sample_rate, encoder.channels, CODECS[codec].media_type)

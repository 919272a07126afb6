"""Samples to files: WAV, MP3, FLAC, Ogg Opus and AAC; `deployments.audio.encoder` writes them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiograph.errors import InvalidAudio
from audiograph.schemas import AudioFormat
from deployments.audio.decoder import BLOCK_SAMPLES, Block
from deployments.audio.encoder import CODECS, Encoder
from deployments.audio.measure import AudioInfo, check_duration, probe
from deployments.audio.recording import Recording
from deployments.config import LimitsConfig

MEDIA_TYPES: dict[AudioFormat, str] = {
    codec: CODECS[codec].media_type for codec in ("wav", "mp3", "flac", "opus", "aac")
}

# What a model makes is bounded by its request.
UNLIMITED = LimitsConfig(
    max_upload_bytes=2**62, max_audio_seconds=1e12, max_decoded_bytes=2**62, max_channels=64
)


def encode(
    samples: NDArray[np.floating[Any]] | Recording,
    sample_rate: int,
    format: AudioFormat,  # noqa: A002
    target: Path,
) -> AudioInfo:
    """Write samples to a file, block by block, and say what it holds.

    Samples that pass ±1 are scaled down, all by the same factor, rather than clipped. Where a codec does not
    know the sample rate, the next higher one that it knows is used (the highest, if there is none). WAV and
    FLAC have 16 bits. AAC is ADTS, a stream that cannot say where its encoder's delay ends: it begins with
    1024 samples of silence, and ends on a full frame. MP3 of some lengths ends 46 samples late. The other
    formats are exact to the sample.

    Args:
        samples: ``[channels, frames]`` or ``[frames]``, or a recording, within -1..1.
        sample_rate: of the samples, in Hz.
        format: one of `MEDIA_TYPES`.
        target: where to write; on failure nothing is left there.

    Raises:
        InvalidAudio: there are no samples, some are not finite, or the format cannot hold so many channels.
    """
    sound = _checked(_sound(samples), format)
    try:
        with target.open("wb") as file:
            encoder = Encoder(file, format, sample_rate, sound.channels)
            for block in _scaled(sound):
                encoder.write(block)
            encoder.close()
        return _info(encoder, sound.channels) if CODECS[format].exact else probe(target, UNLIMITED)
    except BaseException:
        target.unlink(missing_ok=True)
        raise


@dataclass(frozen=True, slots=True)
class _Sound:
    """What is to be written, wherever it lies."""

    shape: tuple[int, ...]
    """``[frames, channels]``."""
    peak: float
    blocks: Callable[[], Iterator[NDArray[np.floating[Any]]]]

    @property
    def channels(self) -> int:
        return self.shape[1]


def _sound(samples: NDArray[np.floating[Any]] | Recording) -> _Sound:
    if isinstance(samples, Recording):
        return _Sound((samples.frames, samples.channels), samples.peak, samples.blocks)
    frames = np.atleast_2d(samples).T

    def blocks() -> Iterator[NDArray[np.floating[Any]]]:
        step = max(1, BLOCK_SAMPLES // frames.shape[1])
        return (frames[start : start + step] for start in range(0, len(frames), step))

    peak = max(float(frames.max()), -float(frames.min())) if frames.size else 0.0
    return _Sound(frames.shape, peak, blocks)


def _checked(sound: _Sound, codec: AudioFormat) -> _Sound:
    if len(sound.shape) != 2 or not all(sound.shape):
        raise InvalidAudio(f"there is no audio to encode: the samples have the shape {sound.shape[::-1]}")
    if not np.isfinite(sound.peak):
        raise InvalidAudio("the samples to encode are not all finite numbers")
    if sound.channels not in CODECS[codec].channels:
        held = ", ".join(str(number) for number in CODECS[codec].channels)
        raise InvalidAudio(
            f"{codec} cannot hold {sound.channels} channels, only {held}; use wav or flac", field="format"
        )
    return sound


def _info(encoder: Encoder, channels: int) -> AudioInfo:
    duration = encoder.frames / encoder.sample_rate
    check_duration(duration)
    return AudioInfo(duration, encoder.sample_rate, channels)


def _scaled(sound: _Sound) -> Iterator[Block]:
    gain = 1 / max(1.0, sound.peak)
    for block in sound.blocks():
        yield np.multiply(block, gain, dtype=np.float32)

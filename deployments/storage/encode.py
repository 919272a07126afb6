"""Samples to files: WAV, MP3, FLAC and Ogg Opus by libsndfile, AAC by libav."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import soundfile
from av.audio.frame import AudioFrame
from numpy.typing import NDArray

from audiograph.errors import InvalidAudio
from audiograph.schemas import AudioFormat
from deployments.config import LimitsConfig
from deployments.storage.decode import BLOCK_SAMPLES, Block
from deployments.storage.measure import AudioInfo, probe
from deployments.storage.recording import Recording
from deployments.storage.resample import resampled

MEDIA_TYPES: dict[AudioFormat, str] = {
    "wav": "audio/wav",
    "mp3": "audio/mpeg",
    "flac": "audio/flac",
    "opus": "audio/ogg",
    "aac": "audio/aac",
}

# Ascending; the codec takes no others. WAV and FLAC take any rate.
RATES: dict[AudioFormat, tuple[int, ...]] = {
    "mp3": (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000),
    "opus": (48000,),
    "aac": (7350, 8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000),
}
CHANNELS: dict[AudioFormat, tuple[int, ...]] = {
    "wav": tuple(range(1, 65)),
    "mp3": (1, 2),
    "flac": tuple(range(1, 9)),
    "opus": tuple(range(1, 9)),
    "aac": (1, 2, 3, 4, 5, 6, 8),
}
SOUNDFILE_OPTIONS: dict[AudioFormat, dict[str, Any]] = {
    "wav": {"format": "WAV", "subtype": "PCM_16"},
    "mp3": {"format": "MP3", "bitrate_mode": "VARIABLE", "compression_level": 0.2},
    "flac": {"format": "FLAC", "subtype": "PCM_16"},
    "opus": {"format": "OGG", "subtype": "OPUS"},
}
# Opus has the channels in the order of Vorbis, all else here in that of WAV; libsndfile does not reorder.
OPUS_ORDER = {
    3: (0, 2, 1),
    5: (0, 2, 1, 3, 4),
    6: (0, 2, 1, 4, 5, 3),
    7: (0, 2, 1, 5, 6, 4, 3),
    8: (0, 2, 1, 6, 7, 4, 5, 3),
}
AAC_LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1", 8: "7.1"}
AAC_BITS_PER_CHANNEL = 96_000

# What a model makes is bounded by its request; only the measuring is wanted here.
UNLIMITED = LimitsConfig(
    max_upload_bytes=2**62, max_audio_seconds=1e12, max_decoded_bytes=2**62, max_channels=64
)


def encode(
    samples: NDArray[np.floating[Any]] | Recording,
    sample_rate: int,
    format: AudioFormat,  # noqa: A002
    target: Path,
) -> AudioInfo:
    """Write samples to a file, block by block, and measure what was written.

    Samples that pass ±1 are scaled down, all by the same factor, rather than clipped. Where a codec does not
    know the sample rate, the next higher one that it knows is used (the highest, if there is none). WAV and
    FLAC have 16 bits. AAC is ADTS, a stream that cannot say where its encoder's delay ends: it begins with
    1024 samples of silence, and ends on a full frame. The other formats are exact to the sample.

    Args:
        samples: ``[channels, frames]`` or ``[frames]``, or a recording, within -1..1.
        sample_rate: of the samples, in Hz.
        format: one of `MEDIA_TYPES`.
        target: where to write; on failure nothing is left there.

    Raises:
        InvalidAudio: there are no samples, some are not finite, or the format cannot hold so many channels.
    """
    sound = _checked(_sound(samples), format)
    rate = next((rate for rate in RATES.get(format, ()) if rate >= sample_rate), None)
    rate = rate or (RATES[format][-1] if format in RATES else sample_rate)
    blocks = resampled(_scaled(sound), sound.channels, sample_rate, rate)
    write = _write_aac if format == "aac" else _write_soundfile
    try:
        write(blocks, sound.channels, rate, format, target)
        return probe(target, UNLIMITED)
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
    if sound.channels not in CHANNELS[codec]:
        held = ", ".join(str(number) for number in CHANNELS[codec])
        raise InvalidAudio(
            f"{codec} cannot hold {sound.channels} channels, only {held}; use wav or flac", field="format"
        )
    return sound


def _scaled(sound: _Sound) -> Iterator[Block]:
    gain = 1 / max(1.0, sound.peak)
    for block in sound.blocks():
        yield (block * gain).astype(np.float32)


def _write_soundfile(
    blocks: Iterator[Block],
    channels: int,
    rate: int,
    codec: AudioFormat,
    target: Path,
) -> None:
    options = SOUNDFILE_OPTIONS[codec]
    with soundfile.SoundFile(target, "w", samplerate=rate, channels=channels, **options) as file:
        order = OPUS_ORDER.get(channels) if codec == "opus" else None
        for block in blocks:
            file.write(block if order is None else block[:, order])


def _write_aac(
    blocks: Iterator[Block],
    channels: int,
    rate: int,
    codec: AudioFormat,
    target: Path,
) -> None:
    layout = AAC_LAYOUTS[channels]
    with target.open("wb") as file, av.open(file, "w", format="adts") as container:
        stream = container.add_stream("aac", rate=rate, layout=layout)
        stream.bit_rate = AAC_BITS_PER_CHANNEL * channels
        at = 0
        for block in blocks:
            if not len(block):
                continue
            frame = AudioFrame.from_ndarray(block.reshape(1, -1), format="flt", layout=layout)
            frame.sample_rate, frame.time_base, frame.pts = rate, Fraction(1, rate), at
            at += len(block)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))

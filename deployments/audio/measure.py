"""Measuring audio by decoding it: the limits, and whether all came that the headers promise."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audiograph.errors import InvalidAudio, PayloadTooLarge
from deployments.audio.decoder import Block, Source, open_source
from deployments.audio.formats.claims import truncated
from deployments.config import LimitsConfig

MIN_SECONDS = 0.01
MIN_SAMPLE_RATE = 1_000
MAX_SAMPLE_RATE = 768_000
MAX_AMPLITUDE = 65_536.0
"""Float samples lie within -1..1. Some programs write them on the scale of 16-bit integers; beyond that
(+96 dB) it is no sound, and sums over it would overflow."""


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """What a file holds, measured."""

    duration: float
    """Seconds."""
    sample_rate: int
    """Hz."""
    channels: int


def probe(path: Path, limits: LimitsConfig) -> AudioInfo:
    """Decode a file from end to end, in constant memory, and say what came out.

    Stops as soon as a limit is passed.

    Raises:
        InvalidAudio: it is not audio, is damaged, holds less than its header promises, or breaks a limit.
        PayloadTooLarge: it has more bytes than ``limits.max_upload_bytes``.
    """
    check_bytes(path, limits)
    with open_source(path) as source:
        frames = sum(len(block) for block in checked_blocks(source, limits))
        return AudioInfo(frames / source.sample_rate, source.sample_rate, source.channels)


def check_bytes(path: Path, limits: LimitsConfig) -> None:
    """Refuse a file that is larger than an upload may be.

    Raises:
        PayloadTooLarge: with its size and the limit.
    """
    size = path.stat().st_size
    if size > limits.max_upload_bytes:
        raise PayloadTooLarge(
            f"the file has {size} bytes; at most {limits.max_upload_bytes} are accepted", field="file"
        )


def checked_blocks(source: Source, limits: LimitsConfig) -> Iterator[Block]:
    """The blocks of a source, every one checked, and their sum at the end.

    Raises:
        InvalidAudio: naming what is wrong, the value, and what would be right.
    """
    _check_shape(source, limits)
    frames = 0
    for block in source.blocks():
        _check_samples(block, frames, source.sample_rate)
        frames += len(block)
        _check_length(frames, source, limits)
        yield block
    _check_complete(frames / source.sample_rate, source)


def check_duration(seconds: float) -> None:
    """Refuse what is too short to be heard, or to be decoded by every program.

    Raises:
        InvalidAudio: with the duration and the least.
    """
    if seconds < MIN_SECONDS:
        raise InvalidAudio(
            f"the file holds {seconds * 1000:.1f} ms of audio; "
            f"at least {MIN_SECONDS * 1000:.0f} ms are needed",
            field="file",
        )


def _check_shape(source: Source, limits: LimitsConfig) -> None:
    if not MIN_SAMPLE_RATE <= source.sample_rate <= MAX_SAMPLE_RATE:
        raise InvalidAudio(
            f"the sample rate is {source.sample_rate} Hz; "
            f"{MIN_SAMPLE_RATE} to {MAX_SAMPLE_RATE} Hz are accepted",
            field="file",
        )
    if not 1 <= source.channels <= limits.max_channels:
        raise InvalidAudio(
            f"the audio has {source.channels} channels; 1 to {limits.max_channels} are accepted", field="file"
        )


def _check_samples(block: Block, before: int, sample_rate: int) -> None:
    if float(np.abs(block).max(initial=0)) <= MAX_AMPLITUDE:  # false for NaN too
        return
    frame, channel = np.argwhere(~(np.abs(block) <= MAX_AMPLITUDE))[0]
    value = float(block[frame, channel])
    raise InvalidAudio(
        f"the sample at {(before + frame) / sample_rate:.3f} s in channel {channel + 1} is {value:g}; "
        "samples must be finite numbers, within -1 to 1",
        field="file",
    )


def _check_length(frames: int, source: Source, limits: LimitsConfig) -> None:
    if frames > limits.max_audio_seconds * source.sample_rate:
        raise InvalidAudio(
            f"the audio is longer than {limits.max_audio_seconds:g} s, the limit; send it in parts",
            field="file",
        )
    if frames * source.channels * 4 > limits.max_decoded_bytes:
        raise InvalidAudio(
            f"the audio takes more than {limits.max_decoded_bytes} bytes when decoded, the limit; "
            "send it in parts, with fewer channels or at a lower sample rate",
            field="file",
        )


def _check_complete(seconds: float, source: Source) -> None:
    """Compare what came with what was promised.

    More than promised is no fault (joined MP3s). A little less is none either: headers count the encoder's
    delay and padding, and durations are rounded to frames or milliseconds.
    """
    if source.missing == 1:
        raise truncated(source.missing)
    claimed = max(source.claimed_seconds or 0.0, seconds / (1 - source.missing))
    slack = max(0.1, 0.01 * claimed, source.container.delay_frames / source.sample_rate)
    if source.lost_seconds > slack:
        raise InvalidAudio(
            f"the file is damaged: {source.lost_seconds:.1f} s of its audio could not be decoded; "
            "send it anew",
            field="file",
        )
    if claimed - seconds > slack:
        raise InvalidAudio(
            f"the header claims {claimed:.1f} s of audio, but only {seconds:.1f} s could be decoded: "
            "the file is truncated or its header is wrong; send all of it",
            field="file",
        )
    check_duration(seconds)

"""Measurement of audio by decoding it, with checks of the limits and of the claims of its headers."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audiograph.errors import InvalidAudio, PayloadTooLarge
from deployments.audio.decoder import open_source
from deployments.audio.formats.claims import truncation_error
from deployments.audio.mono import MonoMixer
from deployments.audio.source import Block, Source
from deployments.config import LimitsConfig

MIN_SECONDS = 0.01
MIN_SAMPLE_RATE = 1_000
MAX_SAMPLE_RATE = 768_000
MAX_AMPLITUDE = 65_536.0
"""Float samples lie within -1..1, but some programs write them on the scale of 16-bit integers. Beyond that
scale (+96 dB) they are not sound, and sums over them could overflow."""


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """Measures of an audio file."""

    duration: float
    """Seconds."""
    sample_rate: int
    """Hz."""
    channels: int
    media_type: str
    """Of the container, such as ``audio/wav``."""
    offset: float = 0.0
    """Seconds from the beginning of the file's timeline, such as that of its picture, to the first sample."""
    track: int = 1
    """Number of the audio track, from 1."""
    notes: tuple[str, ...] = ()
    """Sentences for the sender: on the choice of the track, gaps, changes midway, canceling channels."""


def probe(path: Path, limits: LimitsConfig, track: int | None = None) -> AudioInfo:
    """Measure a file by decoding it to its end, in constant memory.

    Stops as soon as a limit is exceeded. ``track`` is the number of an audio track, from 1; None takes the
    default one.

    Raises:
        InvalidAudio: the file is no audio, damaged, shorter than its header claims, or over a limit.
        PayloadTooLarge: the file has more bytes than ``limits.max_upload_bytes``.
    """
    check_bytes(path, limits)
    with open_source(path, track) as source:
        mixer = MonoMixer(source.sample_rate)
        frames = sum(len(mixer(block)) for block in checked_blocks(source, limits))
        return AudioInfo(
            frames / source.sample_rate,
            source.sample_rate,
            source.channels,
            source.container.media_type,
            source.offset,
            source.track,
            (*_offset_notes(source.offset), *source.notes, *mixer.notes()),
        )


def _offset_notes(offset: float) -> list[str]:
    if not offset:
        return []
    return [f"The sound begins {offset:.2f} s into the file; times of words and segments count from 0 s."]


def check_bytes(path: Path, limits: LimitsConfig) -> None:
    """Check the size of a file.

    Raises:
        PayloadTooLarge: the file has more bytes than ``limits.max_upload_bytes``.
    """
    size = path.stat().st_size
    if size > limits.max_upload_bytes:
        raise PayloadTooLarge(
            f"the file has {size} bytes; at most {limits.max_upload_bytes} are accepted", field="file"
        )


def checked_blocks(source: Source, limits: LimitsConfig) -> Iterator[Block]:
    """Yield the blocks of a source; check each of them, and their total duration at the end.

    Raises:
        InvalidAudio: the source is damaged or incomplete, or exceeds a limit.
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
    """Check that audio is long enough to be heard, and to be decoded by every program.

    Raises:
        InvalidAudio: the duration is below the minimum.
    """
    if seconds < MIN_SECONDS:
        raise InvalidAudio(
            f"the file holds {seconds * 1000:.1f} ms of audio; "
            f"at least {MIN_SECONDS * 1000:.0f} ms are required",
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
    """Compare the claimed duration with that of the audio, or with the end of the file's last packet.

    A longer duration is accepted (joined MP3s). So is a slightly shorter one: headers count the encoder's
    delay and padding, and durations are rounded to frames or milliseconds. A picture or another track may go
    on after the sound.
    """
    if source.missing == 1:
        raise truncation_error(source.missing)
    reached = max(seconds, source.reached_seconds)
    claimed = max(source.claimed_seconds or 0.0, reached / (1 - source.missing))
    slack = max(0.1, 0.01 * claimed, source.container.delay_frames / source.sample_rate)
    if source.lost_seconds > slack:
        raise InvalidAudio(
            f"the file is damaged: {source.lost_seconds:.1f} s of its audio could not be decoded; "
            "export or send it again",
            field="file",
        )
    if claimed - reached > slack:
        raise InvalidAudio(
            f"the header claims {claimed:.1f} s, but only {reached:.1f} s could be decoded: "
            "the file is truncated or its header is wrong; send the whole file",
            field="file",
        )
    check_duration(seconds)

"""Audio in and out of storage: the public face of measuring, decoding and encoding.

What users send is decoded whole, block by block, before it is believed: what a header says is compared with
what came. Every failure is an `InvalidAudio` that says what is wrong and what would be right.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audiograph.errors import InvalidAudio
from deployments.audio.decoder import Block, open_source
from deployments.audio.encode import MEDIA_TYPES, encode
from deployments.audio.formats.containers import sniff
from deployments.audio.measure import AudioInfo, check_bytes, checked_blocks, probe
from deployments.audio.recording import AudioStream
from deployments.audio.resample import resampled
from deployments.config import LimitsConfig

__all__ = ["MEDIA_TYPES", "AudioInfo", "decode", "encode", "media_type", "probe", "stream"]


def decode(
    path: Path, *, sample_rate: int | None = None, mono: bool = False, limits: LimitsConfig
) -> tuple[NDArray[np.float32], int]:
    """Decode a file to float32 samples ``[channels, frames]``, or ``[frames]`` if mono, and their rate in Hz.

    Args:
        path: the file; its content decides what it is, its name does not matter.
        sample_rate: resample to this many Hz, band-limited; None keeps the file's own.
        mono: take the mean of all channels.
        limits: as for `probe`.

    Raises:
        InvalidAudio: it is not audio, is damaged, holds less than its header promises, or breaks a limit.
        PayloadTooLarge: it has more bytes than ``limits.max_upload_bytes``.
    """
    with stream(path, limits) as source:
        rate = sample_rate or source.sample_rate
        channels = 1 if mono else source.channels
        blocks = source.blocks
        if mono:
            blocks = (block.mean(axis=1, keepdims=True, dtype=np.float32) for block in blocks)
        samples = _joined(resampled(blocks, channels, source.sample_rate, rate), channels)
    return (samples[0] if mono else samples), rate


@contextmanager
def stream(path: Path, limits: LimitsConfig) -> Iterator[AudioStream]:
    """Open a file for decoding block by block, in constant memory, at its own rate.

    Raises:
        InvalidAudio: it is not audio; while its blocks are read, also whatever else `decode` finds.
        PayloadTooLarge: it has more bytes than ``limits.max_upload_bytes``.
    """
    check_bytes(path, limits)
    with open_source(path) as source:
        yield AudioStream(source.sample_rate, source.channels, checked_blocks(source, limits))


def media_type(path: Path) -> str:
    """The media type of a file by its content; ``application/octet-stream`` if it is no audio known here."""
    with path.open("rb") as file:
        try:
            container = sniff(file)
        except InvalidAudio:  # it starts like audio, with a tag beyond all reason
            container = None
    return container.media_type if container else "application/octet-stream"


def _joined(blocks: Iterator[Block], channels: int) -> NDArray[np.float32]:
    gathered = list(blocks)
    samples = np.empty((channels, sum(len(block) for block in gathered)), np.float32)
    at = samples.shape[1]
    while gathered:  # from the back, letting go of each block: the peak stays near one copy and a half
        block = gathered.pop()
        at -= len(block)
        samples[:, at : at + len(block)] = block.T
    return samples

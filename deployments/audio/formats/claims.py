"""Claims of a file's headers, read without decoding, to detect truncated files and false headers.

Claims are never trusted. They are only compared with the audio that was decoded.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

from audiograph.errors import InvalidAudio

MAX_METADATA_BYTES = 64 * 1024**2
"""Larger tags, pictures and indexes are refused: decoders hold all of them in memory at once."""


@dataclass(frozen=True, slots=True)
class HeaderClaims:
    """Values stated by a file's headers; None where they state none."""

    seconds: float | None = None
    missing: float = 0.0
    """Fraction (0..1) of the claimed bytes of audio that lie beyond the end of the file."""
    sample_rate: int | None = None
    channels: int | None = None
    sections: Sequence[tuple[int, int]] = ()
    """Start and stop, in bytes, of parts that are files of their own; empty if the file is one."""
    sizes: Mapping[int, bytes] = field(default_factory=dict)
    """The sizes that the writer never filled in, by their offsets in the file, as they should read."""


def truncation_error(missing: float) -> InvalidAudio:
    """Return the error for a file that lacks this fraction of the bytes that its headers claim."""
    return InvalidAudio(
        f"the file is truncated, or its header is wrong: {missing:.0%} of the bytes that it claims "
        "are missing; send the whole file",
        field="file",
    )


def read_no_claims(file: BinaryIO, size: int) -> HeaderClaims:
    """Return empty claims, for formats without any."""
    return HeaderClaims()

"""Claims of a file's headers, read without decoding, to detect truncated files and false headers.

Claims are never trusted. They are only compared with the audio that was decoded.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import BinaryIO

from audiograph.errors import InvalidAudio

MAX_METADATA_BYTES = 64 * 1024**2
"""Larger tags, pictures and indexes are refused: decoders hold all of them in memory at once."""
MAX_CHUNKS = 100_000
OGG_PAGE_BYTES = 27 + 255 + 255 * 255


@dataclass(frozen=True, slots=True)
class HeaderClaims:
    """Values stated by a file's headers; None where they state none."""

    seconds: float | None = None
    missing: float = 0.0
    """Fraction (0..1) of the claimed bytes of audio that lie beyond the end of the file."""
    sample_rate: int | None = None
    channels: int | None = None


@dataclass(frozen=True, slots=True)
class ChunkLayout:
    """Layout of one family of chunked files, in which each chunk has an id, a size and a body."""

    start: int
    """Offset of the first chunk."""
    id_bytes: int
    size: struct.Struct
    audio: bytes
    """First four bytes of the id of the chunk with the samples."""
    align: int = 2
    size_counts_header: bool = False
    form: struct.Struct | None = None
    """Layout of channels and sample rate in the ``fmt `` chunk, after its format tag."""

    @property
    def header_bytes(self) -> int:
        """Return the number of bytes of a chunk's id and size."""
        return self.id_bytes + self.size.size


RIFF_CHUNKS = ChunkLayout(12, 4, struct.Struct("<I"), b"data", form=struct.Struct("<2xHI"))
RIFX_CHUNKS = ChunkLayout(12, 4, struct.Struct(">I"), b"data", form=struct.Struct(">2xHI"))
RF64_CHUNKS = RIFF_CHUNKS
W64_CHUNKS = ChunkLayout(
    40, 16, struct.Struct("<Q"), b"data", align=8, size_counts_header=True, form=struct.Struct("<2xHI")
)
AIFF_CHUNKS = ChunkLayout(12, 4, struct.Struct(">I"), b"SSND")
CAF_CHUNKS = ChunkLayout(8, 4, struct.Struct(">Q"), b"data", align=1)


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


def chunk_claims_reader(layout: ChunkLayout) -> Callable[[BinaryIO, int], HeaderClaims]:
    """Return a function that reads the claims of WAV, W64, AIFF or CAF files."""

    def read_claims(file: BinaryIO, size: int) -> HeaderClaims:
        channels, sample_rate, long_size = None, None, None
        for kind, offset, length in islice(_chunks(file, layout, size), MAX_CHUNKS):
            if kind == b"fmt " and layout.form:
                channels, sample_rate = _unpack(file, offset, layout.form) or (None, None)
            if kind == b"ds64":
                (long_size,) = _unpack(file, offset, struct.Struct("<8xQ")) or (None,)
            if kind == layout.audio:
                claimed = long_size if long_size is not None and length == 0xFFFFFFFF else length
                return HeaderClaims(
                    missing=_missing(claimed, size - offset), sample_rate=sample_rate, channels=channels
                )
        return HeaderClaims(sample_rate=sample_rate, channels=channels)

    return read_claims


def _chunks(file: BinaryIO, layout: ChunkLayout, size: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield each chunk: the first four bytes of its id, and the offset and length of its body."""
    at = layout.start
    while at + layout.header_bytes <= size:
        file.seek(at)
        header = file.read(layout.header_bytes)
        (length,) = layout.size.unpack(header[layout.id_bytes :])
        length -= layout.header_bytes if layout.size_counts_header else 0
        body = at + layout.header_bytes
        yield header[:4], body, max(0, length)
        at = body + -(-max(0, length) // layout.align) * layout.align


def _missing(claimed: int, present: int) -> float:
    """Return the fraction of the claimed bytes that are missing.

    Placeholders count as no claim: ffmpeg, sox and espeak cannot correct the size when they write to a pipe.
    They leave 0, or a number within 4096 of 2**31, 2**32, 2**63 or 2**64.
    """
    placeholder = claimed == 0 or any(abs(claimed - limit) <= 4096 for limit in (2**31, 2**32, 2**63, 2**64))
    return 0.0 if placeholder or claimed <= present else 1 - present / claimed


def _unpack(file: BinaryIO, offset: int, form: struct.Struct) -> tuple[int, ...] | None:
    file.seek(offset)
    content = file.read(form.size)
    return form.unpack(content) if len(content) == form.size else None


def read_ogg_claims(file: BinaryIO, size: int) -> HeaderClaims:
    """Check that the last page of an Ogg file is complete; its headers claim nothing else.

    A missing end-of-stream mark is allowed: recordings of internet radio may end anywhere.

    Raises:
        InvalidAudio: the last page is incomplete.
    """
    start = max(0, size - 2 * OGG_PAGE_BYTES)
    file.seek(start)
    tail = file.read()
    page = tail[tail.rfind(b"OggS\x00") :]
    segments = page[27 : 27 + page[26]] if len(page) > 26 else b""
    if len(page) < 27 or len(segments) < page[26] or len(page) < 27 + len(segments) + sum(segments):
        raise InvalidAudio(
            "the file is truncated: its last OGG page is incomplete; send the whole file", field="file"
        )
    return HeaderClaims()

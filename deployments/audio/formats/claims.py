"""What a file's headers promise, read without decoding, to notice a truncated file or a lying header.

Nothing here is trusted. A promise is only ever compared with what was really decoded.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import BinaryIO

from audiograph.errors import InvalidAudio

MAX_METADATA_BYTES = 64 * 1024**2
"""Tags, pictures and indexes beyond this are refused: decoders hold them in memory, all of them at once."""
MAX_CHUNKS = 100_000
OGG_PAGE_BYTES = 27 + 255 + 255 * 255


@dataclass(frozen=True, slots=True)
class Promise:
    """What the headers say; None where they are silent."""

    seconds: float | None = None
    missing: float = 0.0
    """The fraction (0..1) of the promised bytes of audio that lie beyond the end of the file."""
    sample_rate: int | None = None
    channels: int | None = None


@dataclass(frozen=True, slots=True)
class ChunkLayout:
    """How one family of chunked files is laid out: an id, a size, a body, and so on to the end."""

    start: int
    """Offset of the first chunk."""
    id_bytes: int
    size: struct.Struct
    audio: bytes
    """First four bytes of the id of the chunk that holds the samples."""
    align: int = 2
    size_counts_header: bool = False
    form: struct.Struct | None = None
    """Channels and sample rate in the ``fmt `` chunk, behind its format tag."""

    @property
    def header_bytes(self) -> int:
        """Bytes of a chunk's id and size."""
        return self.id_bytes + self.size.size


RIFF_CHUNKS = ChunkLayout(12, 4, struct.Struct("<I"), b"data", form=struct.Struct("<2xHI"))
RIFX_CHUNKS = ChunkLayout(12, 4, struct.Struct(">I"), b"data", form=struct.Struct(">2xHI"))
RF64_CHUNKS = RIFF_CHUNKS
W64_CHUNKS = ChunkLayout(
    40, 16, struct.Struct("<Q"), b"data", align=8, size_counts_header=True, form=struct.Struct("<2xHI")
)
AIFF_CHUNKS = ChunkLayout(12, 4, struct.Struct(">I"), b"SSND")
CAF_CHUNKS = ChunkLayout(8, 4, struct.Struct(">Q"), b"data", align=1)


def truncated(missing: float) -> InvalidAudio:
    """The error for a file of which this fraction of the promised bytes is not there."""
    return InvalidAudio(
        f"the file is truncated, or its header is wrong: {missing:.0%} of the bytes that it promises "
        "are not there; send all of it",
        field="file",
    )


def nothing_promised(file: BinaryIO, size: int) -> Promise:
    """For formats whose headers promise nothing, or whose decoder tells it."""
    return Promise()


def chunk_promise(layout: ChunkLayout) -> Callable[[BinaryIO, int], Promise]:
    """A reader of the promise of WAV, W64, AIFF or CAF files."""

    def promise(file: BinaryIO, size: int) -> Promise:
        channels, sample_rate, long_size = None, None, None
        for kind, offset, length in islice(_chunks(file, layout, size), MAX_CHUNKS):
            if kind == b"fmt " and layout.form:
                channels, sample_rate = _unpack(file, offset, layout.form) or (None, None)
            if kind == b"ds64":
                (long_size,) = _unpack(file, offset, struct.Struct("<8xQ")) or (None,)
            if kind == layout.audio:
                claimed = long_size if long_size is not None and length == 0xFFFFFFFF else length
                return Promise(
                    missing=_missing(claimed, size - offset), sample_rate=sample_rate, channels=channels
                )
        return Promise(sample_rate=sample_rate, channels=channels)

    return promise


def _chunks(file: BinaryIO, layout: ChunkLayout, size: int) -> Iterator[tuple[bytes, int, int]]:
    """First four bytes of the id, offset and length of each chunk's body."""
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
    """Sizes that a writer to a pipe leaves behind are no promise: ffmpeg, sox and espeak cannot go back to
    correct them. They leave 0, or a number just below or at 2**31, 2**32 or 2**64."""
    placeholder = claimed == 0 or any(abs(claimed - limit) <= 4096 for limit in (2**31, 2**32, 2**63, 2**64))
    return 0.0 if placeholder or claimed <= present else 1 - present / claimed


def _unpack(file: BinaryIO, offset: int, form: struct.Struct) -> tuple[int, ...] | None:
    file.seek(offset)
    content = file.read(form.size)
    return form.unpack(content) if len(content) == form.size else None


def ogg_promise(file: BinaryIO, size: int) -> Promise:
    """An Ogg file promises that its last page is whole, and no more.

    A missing end-of-stream mark is allowed, for recordings of internet radio end wherever they were cut.

    Raises:
        InvalidAudio: the last page is cut off.
    """
    start = max(0, size - 2 * OGG_PAGE_BYTES)
    file.seek(start)
    tail = file.read()
    page = tail[tail.rfind(b"OggS\x00") :]
    segments = page[27 : 27 + page[26]] if len(page) > 26 else b""
    if len(page) < 27 or len(segments) < page[26] or len(page) < 27 + len(segments) + sum(segments):
        raise InvalidAudio(
            "the file is truncated: its last OGG page is cut off; send all of it", field="file"
        )
    return Promise()

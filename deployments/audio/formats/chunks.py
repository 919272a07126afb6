"""Chunks of WAV, RF64, BW64, W64, AIFF, CAF and AVI, and the header of AU: claims and open sizes.

A recorder writes its headers first and fills in the sizes at the end. If it writes to a pipe or is killed,
they keep a placeholder: then the audio reaches to the end of the file.
"""

import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import BinaryIO, NamedTuple

from deployments.audio.formats.claims import HeaderClaims

MAX_CHUNKS = 100_000
PLACEHOLDERS = (2**31, 2**32, 2**63, 2**64)
PLACEHOLDER_SLACK = 4096
"""ffmpeg, sox and espeak leave a number this close to one of the placeholders."""


@dataclass(frozen=True, slots=True)
class ChunkLayout:
    """Layout of one family of chunked files, in which each chunk has an id, a size and a body."""

    start: int
    """Offset of the first chunk."""
    id_bytes: int
    size: struct.Struct
    audio: bytes
    """First four bytes of the id of the chunk with the samples."""
    lead: int = 0
    """Bytes of the chunk with the samples that come before them."""
    align: int = 2
    size_counts_header: bool = False
    form: struct.Struct | None = None
    """Layout of channels and sample rate in the ``fmt `` chunk, after its format tag."""
    outer_size: int | None = None
    """Offset of the size of the whole file, less 8 bytes; None if there is none."""

    @property
    def header_bytes(self) -> int:
        """Return the number of bytes of a chunk's id and size."""
        return self.id_bytes + self.size.size

    def packed(self, length: int) -> bytes:
        """Return the size of a chunk whose body has this many bytes."""
        return self.size.pack(length + (self.header_bytes if self.size_counts_header else 0))


RIFF = ChunkLayout(12, 4, struct.Struct("<I"), b"data", form=struct.Struct("<2xHI"), outer_size=4)
RIFX = ChunkLayout(12, 4, struct.Struct(">I"), b"data", form=struct.Struct(">2xHI"), outer_size=4)
W64 = ChunkLayout(
    40, 16, struct.Struct("<Q"), b"data", align=8, size_counts_header=True, form=struct.Struct("<2xHI")
)
AIFF = ChunkLayout(12, 4, struct.Struct(">I"), b"SSND", lead=8, outer_size=4)
AVI = ChunkLayout(0, 4, struct.Struct("<I"), b"movi")
CAF = ChunkLayout(8, 4, struct.Struct(">Q"), b"data", lead=4, align=1)

RF64_SIZE = struct.Struct("<Q")
RF64_AUDIO_AT = 8
"""Offset of the size of the samples in a ``ds64`` chunk."""
AU_SIZE = struct.Struct(">I")


class Chunk(NamedTuple):
    """First four bytes of a chunk's id, and the offset and length of its body."""

    kind: bytes
    start: int
    length: int


def claims_reader(layout: ChunkLayout) -> Callable[[BinaryIO, int], HeaderClaims]:
    """Return a function that reads the claims of the files of a layout."""

    def read_claims(file: BinaryIO, size: int) -> HeaderClaims:
        found: dict[bytes, Chunk] = {}
        for chunk in islice(_chunks(file, layout, layout.start, size), MAX_CHUNKS):
            found[chunk.kind] = chunk
            if chunk.kind == layout.audio:
                break
        channels, sample_rate = _form(file, layout, found)
        audio = found.get(layout.audio)
        if audio is None:
            return HeaderClaims(sample_rate=sample_rate, channels=channels)
        claimed = _claimed(file, audio, found.get(b"ds64"))
        present = size - audio.start
        is_open = _is_open(file, layout, audio, claimed, size)
        return HeaderClaims(
            missing=0.0 if is_open or claimed <= present else 1 - present / claimed,
            sample_rate=sample_rate,
            channels=channels,
            sizes=_sizes(file, layout, found, present) if is_open else {},
        )

    return read_claims


def read_au_claims(file: BinaryIO, size: int) -> HeaderClaims:
    """Read the size in the header of an AU file: all ones if unknown, and 0 if its writer was killed."""
    file.seek(0)
    header = file.read(24)
    form = AU_SIZE if header[:4] == b".snd" else struct.Struct("<I")
    if len(header) < 24:
        return HeaderClaims()
    (start,), (claimed,) = form.unpack_from(header, 4), form.unpack_from(header, 8)
    (sample_rate,), (channels,) = form.unpack_from(header, 16), form.unpack_from(header, 20)
    present = max(0, size - start)
    is_open = present > 0 and _is_placeholder(claimed)
    return HeaderClaims(
        missing=0.0 if is_open or claimed <= present else 1 - present / claimed,
        sample_rate=sample_rate,
        channels=channels,
        sizes={8: form.pack(present)} if is_open else {},
    )


def read_avi_claims(file: BinaryIO, size: int) -> HeaderClaims:
    """Read the sizes of the outermost chunks of an AVI: one for the first gigabyte, and one for each more."""
    end = max(
        (chunk.start + chunk.length for chunk in islice(_chunks(file, AVI, 0, size), MAX_CHUNKS)), default=0
    )
    return HeaderClaims(missing=max(0.0, 1 - size / end) if end else 0.0)


def _chunks(file: BinaryIO, layout: ChunkLayout, at: int, size: int) -> Iterator[Chunk]:
    while at + layout.header_bytes <= size:
        file.seek(at)
        header = file.read(layout.header_bytes)
        (length,) = layout.size.unpack(header[layout.id_bytes :])
        length = max(0, length - (layout.header_bytes if layout.size_counts_header else 0))
        body = at + layout.header_bytes
        yield Chunk(header[:4], body, length)
        at = body + -(-length // layout.align) * layout.align


def _form(file: BinaryIO, layout: ChunkLayout, found: Mapping[bytes, Chunk]) -> tuple[int | None, int | None]:
    """Return the channels and the sample rate in the ``fmt `` chunk."""
    chunk = found.get(b"fmt ")
    if chunk is None or layout.form is None:
        return None, None
    channels, sample_rate = _unpack(file, chunk.start, layout.form) or (None, None)
    return channels, sample_rate


def _claimed(file: BinaryIO, audio: Chunk, long_sizes: Chunk | None) -> int:
    """Return the claimed bytes of the samples; those of RF64 are in another chunk."""
    if long_sizes is not None and audio.length == 2**32 - 1:
        values = _unpack(file, long_sizes.start + RF64_AUDIO_AT, RF64_SIZE)
        return values[0] if values else audio.length
    return audio.length


def _is_open(file: BinaryIO, layout: ChunkLayout, audio: Chunk, claimed: int, size: int) -> bool:
    """Return whether the writer left the size of the samples open, although samples follow.

    So it is if the size is a placeholder, or if the file's own size ends before the samples begin. An empty
    chunk with other chunks behind it, such as tags, is an empty recording.
    """
    if audio.start + layout.lead >= size:
        return False
    if claimed and _is_placeholder(claimed):
        return True
    return (claimed <= layout.lead or _ends_before(file, layout, audio)) and not _are_chunks(
        file, layout, audio.start + claimed, size
    )


def _is_placeholder(claimed: int) -> bool:
    return claimed == 0 or any(abs(claimed - limit) <= PLACEHOLDER_SLACK for limit in PLACEHOLDERS)


def _ends_before(file: BinaryIO, layout: ChunkLayout, audio: Chunk) -> bool:
    """Return whether the size of the whole file, in its first header, excludes all samples."""
    if layout.outer_size is None:
        return False
    values = _unpack(file, layout.outer_size, layout.size)
    return values is not None and values[0] + 8 <= audio.start


def _are_chunks(file: BinaryIO, layout: ChunkLayout, at: int, size: int) -> bool:
    """Return whether chunks with printable ids fill the file from an offset to its end."""
    end = at
    for chunk in islice(_chunks(file, layout, at, size), MAX_CHUNKS):
        if not all(32 <= byte < 127 for byte in chunk.kind):
            return False
        end = chunk.start + chunk.length
    return at < size and abs(size - end) <= layout.align


def _sizes(
    file: BinaryIO, layout: ChunkLayout, found: Mapping[bytes, Chunk], present: int
) -> dict[int, bytes]:
    """Return the sizes of a file whose samples reach to its end, by their offsets."""
    audio = found[layout.audio]
    sizes = {audio.start - layout.size.size: layout.packed(min(present, 2 ** (8 * layout.size.size) - 1))}
    long_sizes = found.get(b"ds64")
    if long_sizes is not None and audio.length == 2**32 - 1:
        return {long_sizes.start + RF64_AUDIO_AT: RF64_SIZE.pack(present)}
    if layout is AIFF and b"COMM" in found:
        sizes |= _aiff_frames(file, found[b"COMM"], present - layout.lead)
    if layout.outer_size is not None:
        sizes[layout.outer_size] = layout.size.pack(min(audio.start + present - 8, 2**32 - 1))
    return sizes


def _aiff_frames(file: BinaryIO, common: Chunk, present: int) -> dict[int, bytes]:
    """Return the number of frames in an AIFF's COMM chunk, which follows its channels."""
    values = _unpack(file, common.start, struct.Struct(">HIH"))
    if not values or not values[0] or not values[2]:
        return {}
    channels, _, bits = values
    frames = present // (channels * -(-bits // 8))
    return {common.start + 2: struct.pack(">I", max(0, min(frames, 2**32 - 1)))}


def _unpack(file: BinaryIO, offset: int, form: struct.Struct) -> tuple[int, ...] | None:
    file.seek(offset)
    content = file.read(form.size)
    return form.unpack(content) if len(content) == form.size else None

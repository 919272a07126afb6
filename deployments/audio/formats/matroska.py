"""Outer elements of WebM and Matroska: the size and the duration that the file claims."""

import struct
from collections.abc import Iterator
from itertools import islice
from typing import BinaryIO, NamedTuple

from deployments.audio.formats.claims import HeaderClaims

SEGMENT = 0x18538067
INFO = 0x1549A966
TIMESTAMP_SCALE = 0x2AD7B1
DURATION = 0x4489
MAX_ELEMENTS = 100_000


class Element(NamedTuple):
    """Position of an element's body; ``end`` is None if its size is unknown, as in live streams."""

    kind: int
    start: int
    end: int | None


def read_claims(file: BinaryIO, size: int) -> HeaderClaims:
    """Read the segment's size and the duration in its Info, where they are stated.

    Recordings by browsers state neither; such a file is complete wherever it ends.
    """
    seconds, missing = None, 0.0
    for outer in _elements(file, 0, size):
        if outer.kind != SEGMENT:
            continue
        if outer.end is not None:
            missing = max(0.0, 1 - size / outer.end)
        for inner in islice(_elements(file, outer.start, min(outer.end or size, size)), MAX_ELEMENTS):
            if inner.kind == INFO and inner.end is not None:
                seconds = _duration(file, inner.start, min(inner.end, size))
        break
    return HeaderClaims(seconds=seconds, missing=missing)


def _elements(file: BinaryIO, at: int | None, end: int) -> Iterator[Element]:
    """Yield consecutive elements, up to one of unknown size."""
    while at is not None and at + 2 <= end:
        file.seek(at)
        header = file.read(12)
        kind, id_bytes = _number(header, keep_marker=True)
        length, length_bytes = _number(header[id_bytes:])
        if not id_bytes or not length_bytes:
            return
        start = at + id_bytes + length_bytes
        open_ended = length == (1 << 7 * length_bytes) - 1
        at = None if open_ended else start + length
        yield Element(kind, start, at)


def _number(content: bytes, *, keep_marker: bool = False) -> tuple[int, int]:
    """Return a number of variable length and its length in bytes, which is 0 if it is invalid."""
    if not content or not content[0]:
        return 0, 0
    length = 9 - content[0].bit_length()
    if len(content) < length:
        return 0, 0
    number = int.from_bytes(content[:length], "big")
    return number if keep_marker else number & ((1 << 7 * length) - 1), length


def _duration(file: BinaryIO, start: int, end: int) -> float | None:
    """Return the duration in seconds from the elements of an Info; None if it has none."""
    scale, ticks = 1_000_000, None
    for element in _elements(file, start, end):
        if element.end is None or element.end > end or element.end - element.start not in range(1, 9):
            continue
        file.seek(element.start)
        content = file.read(element.end - element.start)
        if element.kind == TIMESTAMP_SCALE:
            scale = int.from_bytes(content, "big")
        if element.kind == DURATION and len(content) in (4, 8):
            (ticks,) = struct.unpack(">f" if len(content) == 4 else ">d", content)
    return None if ticks is None or not 0 < ticks < float("inf") else ticks * scale / 1e9

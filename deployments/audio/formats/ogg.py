"""Pages of Ogg: the links of a chained file, and whether the last page is complete."""

import struct
from collections.abc import Iterator
from itertools import pairwise
from typing import BinaryIO

from audiograph.errors import InvalidAudio
from deployments.audio.formats.claims import HeaderClaims

PAGE = struct.Struct("<4sBBqIIIB")
PAGE_BYTES = PAGE.size + 255 + 255 * 255
FIRST_PAGE = 2
"""Flag of the first page of a track."""
MAX_LINKS = 1000


def read_claims(file: BinaryIO, size: int) -> HeaderClaims:
    """Find the links of a chained file, such as recorded radio, and check that it ends on a whole page.

    The headers claim nothing else. A missing end-of-stream mark is allowed: recordings of internet radio may
    end anywhere.

    Raises:
        InvalidAudio: the last page is incomplete.
    """
    _check_last_page(file, size)
    starts = _link_starts(file, size)
    return HeaderClaims(sections=[*pairwise([*starts, size])] if len(starts) > 1 else ())


def _link_starts(file: BinaryIO, size: int) -> list[int]:
    """Return the offsets of the links; each begins with the first pages of all its tracks."""
    starts = [0]
    previous = FIRST_PAGE
    for at, flags in _pages(file, size):
        if flags & FIRST_PAGE and not previous & FIRST_PAGE and len(starts) < MAX_LINKS:
            starts.append(at)
        previous = flags
    return starts


def _pages(file: BinaryIO, size: int) -> Iterator[tuple[int, int]]:
    """Yield the offset and the flags of each page, up to a damaged one."""
    at = 0
    while at + PAGE.size <= size:
        file.seek(at)
        header = file.read(PAGE.size + 255)
        magic, _, flags, *_, segments = PAGE.unpack_from(header)
        if magic != b"OggS":
            return
        yield at, flags
        at += PAGE.size + segments + sum(header[PAGE.size : PAGE.size + segments])


def _check_last_page(file: BinaryIO, size: int) -> None:
    start = max(0, size - 2 * PAGE_BYTES)
    file.seek(start)
    tail = file.read()
    page = tail[tail.rfind(b"OggS\x00") :]
    segments = page[27 : 27 + page[26]] if len(page) > 26 else b""
    if len(page) < 27 or len(segments) < page[26] or len(page) < 27 + len(segments) + sum(segments):
        raise InvalidAudio(
            "the file is truncated: its last OGG page is incomplete; send the whole file", field="file"
        )

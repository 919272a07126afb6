"""Headers of FLAC: the number of samples that they claim, and where joined files begin."""

import re
from collections.abc import Iterator
from itertools import islice, pairwise
from typing import BinaryIO

from deployments.audio.formats.claims import HeaderClaims
from deployments.audio.formats.mpeg import after_id3

STREAMINFO_BYTES = 34
BEGINNING = re.compile(rb"fLaC[\x00\x80]\x00\x00\x22")
"""The mark of a file, and the header of its first block, which is always STREAMINFO."""
BEGINNING_BYTES = 8
BLOCK_BYTES = 1 << 20
MAX_FILES = 1000


def read_claims(file: BinaryIO, size: int) -> HeaderClaims:
    """Read the duration in STREAMINFO, and find the files of which this one was joined, as with ``cat``.

    Encoders that write to a pipe leave a duration of 0, which is no claim. Libav repeats frames where
    one file follows another, so each is decoded as a section of its own.
    """
    first = after_id3(file)
    later = (start for start in _beginnings(file) if start > first)
    starts = [first, *islice(later, MAX_FILES - 1)]
    seconds = [_claimed_seconds(file, start) for start in starts]
    return HeaderClaims(
        seconds=sum(filter(None, seconds)) if all(seconds) else None,
        sections=[*pairwise([*starts, size])] if len(starts) > 1 else (),
    )


def _beginnings(file: BinaryIO) -> Iterator[int]:
    """Yield the offsets at which a file begins."""
    file.seek(0)
    kept, offset = b"", 0
    while block := file.read(BLOCK_BYTES):
        content = kept + block
        for found in BEGINNING.finditer(content):
            yield offset - len(kept) + found.start()
        kept = content[-(BEGINNING_BYTES - 1) :]
        offset += len(block)


def _claimed_seconds(file: BinaryIO, start: int) -> float | None:
    file.seek(start + BEGINNING_BYTES)
    streaminfo = file.read(STREAMINFO_BYTES)
    packed = int.from_bytes(streaminfo[10:18], "big")  # bits: 20 rate, 3 channels, 5 depth, 36 samples
    sample_rate, samples = packed >> 44, packed & (1 << 36) - 1
    return samples / sample_rate if len(streaminfo) == STREAMINFO_BYTES and sample_rate and samples else None

"""Objects of ASF, the container of Windows Media: the size that the file claims."""

import struct
from collections.abc import Iterator
from itertools import islice
from typing import BinaryIO

from deployments.audio.formats.claims import HeaderClaims

HEADER_GUID = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
DATA_GUID = bytes.fromhex("3626b2758e66cf11a6d900aa0062ce6c")
MAX_OBJECTS = 10_000
OBJECT = struct.Struct("<16sQ")


def read_claims(file: BinaryIO, size: int) -> HeaderClaims:
    """Read the size of the object with the packets. Writers to a pipe leave one that is too small."""
    for kind, start, length in islice(_objects(file, size), MAX_OBJECTS):
        if kind == DATA_GUID and length:
            return HeaderClaims(missing=max(0.0, 1 - (size - start) / length))
    return HeaderClaims()


def _objects(file: BinaryIO, size: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield the id, the offset and the length of each outermost object."""
    at = 0
    while at + OBJECT.size <= size:
        file.seek(at)
        kind, length = OBJECT.unpack(file.read(OBJECT.size))
        yield kind, at, length
        if length < OBJECT.size:
            return
        at += length

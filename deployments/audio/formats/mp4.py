"""Atoms of MP4, M4A and MOV: their claims, and a limit on the memory that their index makes a decoder use.

libav allocates an index entry for every sample that the tables claim, before it looks for any of them. A file
of 600 bytes can thus make it allocate gigabytes, so the claims are added up here first.
"""

import struct
from collections.abc import Iterator
from itertools import islice
from typing import BinaryIO, NamedTuple

import numpy as np

from audiograph.errors import InvalidAudio
from deployments.audio.formats.claims import MAX_METADATA_BYTES, HeaderClaims

MAX_ATOMS = 1_000_000
MAX_INDEX_ENTRIES = 2_000_000
"""More than twelve hours of AAC; about 100 MB of index while decoding."""
CONTAINER_ATOMS = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"moof", b"traf")
SKIPPED = (b"mdat", b"free", b"skip", b"wide")
"""Atoms of any size: decoders never hold them in memory."""
MAX_DEPTH = 8


class Atom(NamedTuple):
    """Kind of an atom, and the position of its body in the file."""

    kind: bytes
    start: int
    end: int


def read_claims(file: BinaryIO, size: int) -> HeaderClaims:
    """Read the missing part of the outermost atoms, and the duration if header and index disagree.

    Raises:
        InvalidAudio: the index or the metadata exceeds its limit.
    """
    claimed = 0
    survey = _Survey(file)
    for atom in islice(_atoms(file, 0, size), MAX_ATOMS):
        claimed = max(claimed, atom.end)
        for inner in _walk(file, atom, size):
            survey.visit(inner)
    missing = max(0.0, 1 - size / claimed) if claimed else 0.0
    return HeaderClaims(seconds=survey.false_seconds, missing=missing)


class _Survey:
    """Sum of the claims of the tables, atom by atom."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._entries = 0
        self._edits = 1
        self._scale = 1
        self._ticks = 0
        self._handler = b""
        self.false_seconds: float | None = None
        """Duration in the audio track's header, if the track's own index has far less."""

    def visit(self, atom: Atom) -> None:
        """Add the claims of an atom.

        Raises:
            InvalidAudio: the atom, or the index so far, exceeds its limit.
        """
        _check_size(atom)
        head = self._head(atom)
        if atom.kind == b"mdhd":
            at = 20 if head[0] == 1 else 12  # version 1 has times of 64 bits
            self._scale = _number(head, at) or 1
            self._ticks = _number(head, at + 4, 8 if head[0] == 1 else 4)
        elif atom.kind == b"hdlr":
            self._handler = head[8:12]
        elif atom.kind == b"elst":
            self._claim(edits=_number(head, 4))
        elif atom.kind in (b"stsz", b"stz2"):
            self._claim(entries=_number(head, 8))
        elif atom.kind == b"trun":
            self._claim(entries=_number(head, 4))
        elif atom.kind in (b"stts", b"ctts"):
            self._add_runs(atom)

    def _head(self, atom: Atom) -> bytes:
        self._file.seek(atom.start)
        return self._file.read(min(36, max(0, atom.end - atom.start))).ljust(36, b"\0")

    def _claim(self, *, entries: int = 0, edits: int = 0) -> None:
        self._entries += entries
        self._edits += edits
        _check_entries(self._entries * self._edits)

    def _add_runs(self, atom: Atom) -> None:
        """Add a table of times, whose rows are a number of samples and the duration of each."""
        self._file.seek(atom.start + 8)
        table = self._file.read(max(0, atom.end - atom.start - 8))
        counts, times = (
            np.frombuffer(table[: len(table) // 8 * 8], dtype=">u4").reshape(-1, 2).T.astype(float)
        )
        _check_entries(int(counts.sum()))
        ticks = float(counts @ times)
        if atom.kind == b"stts" and self._handler == b"soun" and 0 < 1.05 * ticks < self._ticks:
            self.false_seconds = self._ticks / self._scale


def _check_entries(entries: int) -> None:
    if entries > MAX_INDEX_ENTRIES:
        raise InvalidAudio(
            f"the MP4 index claims {entries} entries; at most {MAX_INDEX_ENTRIES} are "
            "accepted: send the audio alone, as AAC in M4A or as FLAC",
            field="file",
        )


def _number(content: bytes, at: int, length: int = 4) -> int:
    return int.from_bytes(content[at : at + length], "big")


def _atoms(file: BinaryIO, at: int, end: int) -> Iterator[Atom]:
    while at + 8 <= end:
        file.seek(at)
        header = file.read(16)
        length, kind = struct.unpack_from(">I4s", header)
        body = at + 8
        if length == 1 and len(header) == 16:
            (length,) = struct.unpack_from(">Q", header, 8)
            body = at + 16
        length = length if length else end - at  # 0: the atom extends to the end
        if at + length < body:
            return  # invalid size: libav stops here too
        yield Atom(kind, body, at + length)
        at += length


def _walk(file: BinaryIO, atom: Atom, size: int, depth: int = 0) -> Iterator[Atom]:
    """Yield an atom and all atoms in it, depth first."""
    yield atom
    if atom.kind in CONTAINER_ATOMS and depth < MAX_DEPTH:
        for inner in _atoms(file, atom.start, min(atom.end, size)):
            yield from _walk(file, inner, size, depth + 1)


def _check_size(atom: Atom) -> None:
    if atom.kind == b"cmov":
        raise InvalidAudio(
            "the MP4 index is compressed, which is not accepted; export the file with a plain index",
            field="file",
        )
    length = atom.end - atom.start
    if length > MAX_METADATA_BYTES and atom.kind not in SKIPPED:
        raise InvalidAudio(
            f"the MP4 metadata claims {length} bytes in one atom; at most {MAX_METADATA_BYTES} are accepted",
            field="file",
        )

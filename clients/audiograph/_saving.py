"""Writes downloads atomically, under safe file names."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO

from audiograph.errors import ChecksumMismatch
from audiograph.schemas import File

MAX_NAME_BYTES = 255

_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""Control characters, line separators and marks of writing direction."""


class Sink:
    """A seekable file with the size and SHA-256 of its content."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = 0
        self._hash = hashlib.sha256()

    def write(self, chunk: bytes) -> None:
        """Append a chunk."""
        self._file.write(chunk)
        self._hash.update(chunk)
        self.size += len(chunk)

    def restart(self) -> None:
        """Discard all content."""
        self._file.seek(0)
        self._file.truncate()
        self.size = 0
        self._hash = hashlib.sha256()

    def verify(self, record: File) -> None:
        """Compare the SHA-256 with that of the server's record.

        Raises:
            ChecksumMismatch: the two differ.
        """
        found = self._hash.hexdigest()
        if found != record.sha256:
            raise ChecksumMismatch(
                f"{record.id} ({record.name}) should be {record.bytes} bytes with SHA-256 {record.sha256}, "
                f"but {self.size} bytes with SHA-256 {found} arrived",
                details={"expected": record.sha256, "found": found},
            )


@contextmanager
def atomic_write(target: Path) -> Iterator[BinaryIO]:
    """Open a temporary file that replaces the target when the block succeeds, and is removed if it fails."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".audiograph-{secrets.token_hex(8)}.part")
    try:
        with partial.open("xb") as file:
            yield file
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def check_writable(to: str | os.PathLike[str]) -> None:
    """Check that a file can be written to ``to``, or inside of it, as `output_path` chooses; leave nothing.

    An unnamed file is created in the folder, or in the nearest one above it that exists: permissions alone
    do not tell of a disk that is mounted for reading.

    Raises:
        OSError: no file can be written there.
    """
    target = output_path(to, "any")
    with suppress(FileNotFoundError):
        target.lstat()  # a name that is too long, or below a file
    folder = next(folder for folder in target.absolute().parents if folder.exists())
    with TemporaryFile(dir=folder):
        pass


def output_path(to: str | os.PathLike[str], name: str) -> Path:
    """Return ``to``, or the name inside of ``to`` if it is a folder or ends with a slash."""
    return Path(to) / safe_name(name) if is_folder(to) else Path(to)


def is_folder(to: str | os.PathLike[str]) -> bool:
    """Return whether a path is that of a folder, or ends with a slash."""
    is_there = os.path.isdir(to)  # noqa: PTH112  # pathlib's raises where a name is too long
    return is_there or os.fspath(to).endswith(("/", os.sep))


def safe_name(name: str) -> str:
    """Return the last part of a name from the network: at most 255 bytes, and nothing that disguises it."""
    base = _UNSAFE.sub("", re.split(r"[/\\]", name)[-1]).strip()
    if base in ("", ".", ".."):
        return "unnamed"
    return base.encode(errors="ignore")[-MAX_NAME_BYTES:].decode(errors="ignore")


def distinct_names(records: Sequence[File]) -> list[str]:
    """Return a unique file name for each record; records of the same name get their id as a prefix."""
    names = [safe_name(record.name) for record in records]
    return [
        f"{record.id}-{name}" if names.count(name) > 1 else name
        for record, name in zip(records, names, strict=True)
    ]

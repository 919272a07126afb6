"""Writing downloads: whole or not at all, under a name that stays in its folder."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from audiograph.errors import ChecksumMismatch
from audiograph.schemas import File

LONGEST_NAME = 255


class Sink:
    """A seekable file that knows the size and SHA-256 of what was written to it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = 0
        self._hash = hashlib.sha256()

    def write(self, chunk: bytes) -> None:
        """Append."""
        self._file.write(chunk)
        self._hash.update(chunk)
        self.size += len(chunk)

    def restart(self) -> None:
        """Forget everything written."""
        self._file.seek(0)
        self._file.truncate()
        self.size = 0
        self._hash = hashlib.sha256()

    def verify(self, record: File) -> None:
        """Compare with what the server says it keeps.

        Raises:
            ChecksumMismatch: the bytes are others.
        """
        found = self._hash.hexdigest()
        if found != record.sha256:
            raise ChecksumMismatch(
                f"{record.id} ({record.name}) should be {record.bytes} bytes with SHA-256 {record.sha256}, "
                f"but {self.size} bytes with {found} arrived",
                details={"expected": record.sha256, "found": found},
            )


@contextmanager
def replacing(target: Path) -> Iterator[BinaryIO]:
    """A file beside the target that takes its place if the block ends well, and is removed if not."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".audiograph-{secrets.token_hex(8)}.part")
    try:
        with partial.open("xb") as file:
            yield file
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def resolve(to: str | os.PathLike[str], name: str) -> Path:
    """Where to write: the path itself, or the name inside it if it is a folder or ends like one."""
    path = Path(to)
    is_folder = path.is_dir() or os.fspath(to).endswith(("/", os.sep))
    return path / safe_name(name) if is_folder else path


def safe_name(name: str) -> str:
    """The last part of a name that came over the network, without control characters, of usable length."""
    base = re.sub(r"[\x00-\x1f\x7f]", "", re.split(r"[/\\]", name)[-1]).strip()
    if base in ("", ".", ".."):
        return "unnamed"
    return base.encode(errors="ignore")[-LONGEST_NAME:].decode(errors="ignore")


def distinct_names(records: Sequence[File]) -> list[str]:
    """One name for each record, the id before it where two would be written to the same file."""
    names = [safe_name(record.name) for record in records]
    return [
        f"{record.id}-{name}" if names.count(name) > 1 else name
        for record, name in zip(records, names, strict=True)
    ]

"""Temporary files that tell by themselves whether their owner still lives."""

import fcntl
import os
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO


@dataclass(frozen=True)
class ScratchFile:
    """An open temporary file. Its owner holds a file lock, which the kernel drops when the process dies."""

    path: Path
    handle: BinaryIO

    def discard(self) -> None:
        """Close it, and remove it unless it has been moved into place."""
        self.handle.close()
        self.path.unlink(missing_ok=True)


class Scratch:
    """A folder of temporary files that processes share."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def create(self) -> ScratchFile:
        """A new empty file, locked and open for writing and reading."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        while True:
            path = self._folder / f"{uuid.uuid4().hex}.part"
            handle = path.open("x+b")
            fcntl.flock(handle, fcntl.LOCK_EX)
            if os.fstat(handle.fileno()).st_nlink:
                return ScratchFile(path, handle)
            handle.close()  # cleared between its creation and our lock: take another

    def clear_stale(self) -> int:
        """Remove what dead processes left; gives the number of files."""
        return sum(_remove_unlocked(path) for path in self._folder.glob("*.part"))


def _remove_unlocked(path: Path) -> bool:
    try:
        with path.open("r+b") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
    except (FileNotFoundError, BlockingIOError):  # gone meanwhile, or its owner lives
        return False
    return True

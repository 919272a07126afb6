"""Temporary files whose file locks show whether their owner is still alive."""

import fcntl
import os
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO


@dataclass(frozen=True)
class ScratchFile:
    """Open temporary file. Its owner holds a file lock, which the kernel releases when the process dies."""

    path: Path
    handle: BinaryIO

    def discard(self) -> None:
        """Close the file, and remove it unless it has been moved into place."""
        self.handle.close()
        self.path.unlink(missing_ok=True)


class Scratch:
    """Folder of temporary files that processes share."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def create(self) -> ScratchFile:
        """Create an empty file, locked and open for writing and reading."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        while True:
            path = self._folder / f"{uuid.uuid4().hex}.part"
            handle = path.open("x+b")
            fcntl.flock(handle, fcntl.LOCK_EX)
            if os.fstat(handle.fileno()).st_nlink:
                return ScratchFile(path, handle)
            handle.close()  # removed between its creation and our lock: create another

    def clear_stale(self) -> int:
        """Remove the files of dead processes; return their number."""
        return sum(_remove_unlocked(path) for path in self._folder.glob("*.part"))


def _remove_unlocked(path: Path) -> bool:
    try:
        with path.open("r+b") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
    except (FileNotFoundError, BlockingIOError):  # removed meanwhile, or its owner is alive
        return False
    return True

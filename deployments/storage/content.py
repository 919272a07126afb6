"""Where bytes lie, by their SHA-256. Here: what every place can do, and the local folder.

Placing and removing content is for `Blobs` alone, which holds the content's lock meanwhile.
"""

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from audiograph.errors import InternalError
from deployments.storage.scratch import Scratch


class Content(ABC):
    """The bytes of blobs, without any knowledge of the database."""

    scratch: Scratch
    """Where writers keep their bytes until they are whole."""

    @abstractmethod
    def holds(self, sha256: str, size: int) -> bool:
        """Whether the content is there, with all its bytes."""

    @abstractmethod
    def stage(self, source: Path, sha256: str, size: int) -> str | None:
        """Do the slow part of placing a file, before the lock is taken; gives what `place` needs of it."""

    @abstractmethod
    def place(self, source: Path, staged: str | None, sha256: str, size: int) -> None:
        """Put a file in its place, unless the content is there already. The source may be moved away."""

    @abstractmethod
    def unstage(self, staged: str | None) -> None:
        """Clear away what `stage` made."""

    @abstractmethod
    def remove(self, sha256: str) -> None:
        """Remove the content, if it is there."""

    @abstractmethod
    def blocks(self, sha256: str, start: int, stop: int, block_bytes: int) -> Iterator[bytes]:
        """The bytes from ``start`` up to ``stop``. Raises FileNotFoundError at the first block."""

    @abstractmethod
    def local(self, sha256: str, size: int) -> AbstractContextManager[Path]:
        """A path on this machine to the bytes, for as long as the context lasts."""

    def clear_stale(self) -> None:
        """Remove the unfinished writes of processes that died."""
        self.scratch.clear_stale()


class LocalContent(Content):
    """A folder. Files appear in it by a rename, so they are whole or not there."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.scratch = Scratch(root / "tmp")

    def _path(self, sha256: str) -> Path:
        return self._root / "sha256" / sha256[:2] / sha256

    def holds(self, sha256: str, size: int) -> bool:
        """Whether the file is there, with all its bytes."""
        try:
            return self._path(sha256).stat().st_size == size
        except FileNotFoundError:
            return False

    def stage(self, source: Path, sha256: str, size: int) -> str | None:
        """Bring the bytes to the disk; the rename itself is fast enough to be done under the lock."""
        _flush(source)
        return None

    def place(self, source: Path, staged: str | None, sha256: str, size: int) -> None:
        """Rename the file into place. From then on it outlives a loss of power."""
        if self.holds(sha256, size):
            return
        target = self._path(sha256)
        target.parent.mkdir(parents=True, exist_ok=True)
        source.replace(target)
        _flush(target.parent)

    def unstage(self, staged: str | None) -> None:
        """Nothing: the source is its writer's."""

    def remove(self, sha256: str) -> None:
        """Remove the file; whoever has it open reads on to its end."""
        self._path(sha256).unlink(missing_ok=True)

    def blocks(self, sha256: str, start: int, stop: int, block_bytes: int) -> Iterator[bytes]:
        """The bytes from ``start`` up to ``stop``."""
        with self._path(sha256).open("rb") as file:
            file.seek(start)
            while start < stop and (block := file.read(min(block_bytes, stop - start))):
                start += len(block)
                yield block

    def local(self, sha256: str, size: int) -> AbstractContextManager[Path]:
        """The content itself: read it, do not change it."""
        return nullcontext(self._path(sha256))


def verified(blocks: Iterable[bytes], sha256: str) -> Iterator[bytes]:
    """Hand on the blocks of a whole content; the last one only once all are known to be right.

    Raises:
        InternalError: the bytes are not those that were stored.
    """
    digest = hashlib.sha256()
    held = b""
    for block in blocks:
        if held:
            yield held
        digest.update(block)
        held = block
    if digest.hexdigest() != sha256:
        raise InternalError(f"the stored content {sha256} is damaged")
    if held:
        yield held


def _flush(path: Path) -> None:
    """Bring a file's bytes, or a folder's names, from the kernel's memory to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

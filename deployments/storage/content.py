"""Storage of content by its SHA-256: the common interface, and storage in a local folder.

Only `Blobs` places and removes content, while it holds the content's lock.
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
    """Storage of the bytes of blobs, independent of the database."""

    scratch: Scratch
    """Temporary files of writers."""

    @abstractmethod
    def holds(self, sha256: str, size: int) -> bool:
        """Return whether the content exists with all its bytes."""

    @abstractmethod
    def stage(self, source: Path, sha256: str, size: int) -> str | None:
        """Do the slow part of placing a file, without the lock. Returns the staged name for `place`."""

    @abstractmethod
    def place(self, source: Path, staged: str | None, sha256: str, size: int) -> None:
        """Put a file in its place, unless the content exists already. The source may be moved."""

    @abstractmethod
    def unstage(self, staged: str | None) -> None:
        """Remove the leftovers of `stage`."""

    @abstractmethod
    def remove(self, sha256: str) -> None:
        """Remove the content if it exists."""

    @abstractmethod
    def blocks(self, sha256: str, start: int, stop: int, block_bytes: int) -> Iterator[bytes]:
        """Yield the bytes from ``start`` up to ``stop``.

        Raises:
            FileNotFoundError: the content does not exist; raised at the first block.
        """

    @abstractmethod
    def local(self, sha256: str, size: int) -> AbstractContextManager[Path]:
        """Provide a local path to the content for as long as the context lasts."""

    def clear_stale(self) -> None:
        """Remove the unfinished writes of dead processes."""
        self.scratch.clear_stale()


class LocalContent(Content):
    """Content in a local folder. Files appear in it by a rename, so they are complete or absent."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.scratch = Scratch(root / "tmp")

    def _path(self, sha256: str) -> Path:
        return self._root / "sha256" / sha256[:2] / sha256

    def holds(self, sha256: str, size: int) -> bool:
        """See `Content.holds`."""
        try:
            return self._path(sha256).stat().st_size == size
        except FileNotFoundError:
            return False

    def stage(self, source: Path, sha256: str, size: int) -> str | None:
        """Flush the bytes to disk; the rename itself is fast enough to be done under the lock."""
        _fsync(source)
        return None

    def place(self, source: Path, staged: str | None, sha256: str, size: int) -> None:
        """Rename the file into place. After that it survives a power failure."""
        if self.holds(sha256, size):
            return
        target = self._path(sha256)
        target.parent.mkdir(parents=True, exist_ok=True)
        source.replace(target)
        _fsync(target.parent)

    def unstage(self, staged: str | None) -> None:
        """Do nothing: the source belongs to its writer."""

    def remove(self, sha256: str) -> None:
        """Remove the file; open readers can still read it to its end."""
        self._path(sha256).unlink(missing_ok=True)

    def blocks(self, sha256: str, start: int, stop: int, block_bytes: int) -> Iterator[bytes]:
        """See `Content.blocks`."""
        with self._path(sha256).open("rb") as file:
            file.seek(start)
            while start < stop and (block := file.read(min(block_bytes, stop - start))):
                start += len(block)
                yield block

    def local(self, sha256: str, size: int) -> AbstractContextManager[Path]:
        """Provide the path of the stored file itself, which must not be changed."""
        return nullcontext(self._path(sha256))


def verify_blocks(blocks: Iterable[bytes], sha256: str) -> Iterator[bytes]:
    """Yield the blocks of a whole content; withhold the last one until its SHA-256 is verified.

    Raises:
        InternalError: the content is damaged.
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


def _fsync(path: Path) -> None:
    """Flush a file's bytes, or a folder's names, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

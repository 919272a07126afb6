"""Content in an object store, or in any other file system of fsspec."""

import os
import re
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from deployments.storage.content import Content, LocalContent, verify_blocks
from deployments.storage.scratch import Scratch

MIB = 1024**2
PART_BYTES = 8 * MIB
"""Bytes per request, and thus about the memory of one transfer."""

STALE_SECONDS = 86_400.0
"""Age at which a staged upload is taken to belong to a dead process."""

_UPLOAD = re.compile(r"/(?P<seconds>\d+)-[0-9a-f]{32}$")


def open_content(url: str) -> Content:
    """Open the content storage at a folder or an fsspec URL."""
    filesystem, root = url_to_fs(url, use_listings_cache=False)
    if isinstance(filesystem, LocalFileSystem):
        return LocalContent(Path(root))
    return RemoteContent(filesystem, root)


class RemoteContent(Content):
    """Content in an object store. Uploads are staged under another name, so the lock is held only briefly."""

    def __init__(self, filesystem: Any, root: str) -> None:
        self._fs = filesystem
        self._root = root.rstrip("/")
        self.scratch = Scratch(Path(tempfile.gettempdir()) / f"audiograph-{os.getuid()}")

    def _path(self, sha256: str) -> str:
        return f"{self._root}/sha256/{sha256}"

    def holds(self, sha256: str, size: int) -> bool:
        """See `Content.holds`."""
        try:
            return bool(self._fs.size(self._path(sha256)) == size)
        except FileNotFoundError:
            return False

    def stage(self, source: Path, sha256: str, size: int) -> str | None:
        """Upload under a name with the current time, unless the content exists already."""
        if self.holds(sha256, size):
            return None
        for folder in ("incoming", "sha256"):  # required by file systems with real folders, such as SFTP
            self._fs.makedirs(f"{self._root}/{folder}", exist_ok=True)
        staged = f"{self._root}/incoming/{int(time.time())}-{uuid.uuid4().hex}"
        try:
            self._upload(source, staged)
        except BaseException:
            self.unstage(staged)
            raise
        return staged

    def place(self, source: Path, staged: str | None, sha256: str, size: int) -> None:
        """Copy the staged upload into place inside the store."""
        if self.holds(sha256, size):
            return
        if staged is None:  # the content existed while staging, and its last item has been deleted since
            self._upload(source, self._path(sha256))
        else:
            self._fs.cp_file(staged, self._path(sha256))

    def unstage(self, staged: str | None) -> None:
        """Remove the staged upload."""
        if staged is not None:
            self._remove(staged)

    def remove(self, sha256: str) -> None:
        """See `Content.remove`."""
        self._remove(self._path(sha256))

    def blocks(self, sha256: str, start: int, stop: int, block_bytes: int) -> Iterator[bytes]:
        """Yield the bytes from ``start`` up to ``stop``, with one request per 8 MiB."""
        for offset in range(start, stop, PART_BYTES):
            end = min(offset + PART_BYTES, stop)
            part = self._fs.cat_file(self._path(sha256), start=offset, end=end)
            for begin in range(0, len(part), block_bytes):
                yield part[begin : begin + block_bytes]

    @contextmanager
    def local(self, sha256: str, size: int) -> Iterator[Path]:
        """Provide a copy, which is verified by its SHA-256 and removed at the end."""
        copy = self.scratch.create()
        try:
            for block in verify_blocks(self.blocks(sha256, 0, size, MIB), sha256):
                copy.handle.write(block)
            copy.handle.flush()
            yield copy.path
        finally:
            copy.discard()

    def clear_stale(self) -> None:
        """Remove the unfinished writes of dead processes, on this machine and in the store."""
        super().clear_stale()
        for path in self._uploads():
            upload = _UPLOAD.search(path)
            if upload and float(upload["seconds"]) < time.time() - STALE_SECONDS:
                self._remove(path)

    def _uploads(self) -> list[str]:
        try:
            return [str(path) for path in self._fs.ls(f"{self._root}/incoming", detail=False)]
        except FileNotFoundError:
            return []

    def _upload(self, source: Path, target: str) -> None:
        with source.open("rb") as file, self._fs.open(target, "wb", block_size=PART_BYTES) as remote:
            shutil.copyfileobj(file, remote, MIB)

    def _remove(self, path: str) -> None:
        with suppress(FileNotFoundError):
            self._fs.rm_file(path)

"""Files that appear whole or not at all, written by one process of the machine at a time."""

import hashlib
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from deployments.models.weights.published import FetchFailed, Report

DOWNLOADS = "downloads"
"""The part of a scratch folder that holds packages, from which a file is rebuilt."""
POLL_SECONDS = 0.5
STALL_SECONDS = 120.0
"""A process that fetches a file, and whose bytes do not grow for this long, is not waited for any longer."""


@contextmanager
def locked(target: Path, report: Report) -> Iterator[None]:
    """Be the only process that fetches a file; while another one does, wait and report its bytes.

    The operating system releases the lock of a process that is killed.

    Raises:
        FetchFailed: the other process makes no progress, or the folder cannot be written.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(target.with_name(f".{target.name}.lock"))
        _acquire(lock, target, report)
    except OSError as error:
        raise FetchFailed(f"{target.parent} cannot be written ({error})") from error
    try:
        yield
    finally:
        lock.release()


def _acquire(lock: FileLock, target: Path, report: Report) -> None:
    watch = Stall(lambda: fetched_bytes(target), STALL_SECONDS)
    while True:
        try:
            lock.acquire(timeout=POLL_SECONDS)
        except Timeout:
            if watch.stalled():
                raise FetchFailed(
                    f"another process fetches it, and made no progress for {STALL_SECONDS:.0f} s"
                ) from None
            report(watch.size, None)
        else:
            return


@contextmanager
def scratch_folder(target: Path) -> Iterator[Path]:
    """Create a folder beside a file that is fetched, and delete it afterwards.

    What killed processes have left is deleted first: the caller holds the lock, so nobody uses it.
    """
    for left in _scratch_folders(target):
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as folder:
        yield Path(folder)


def fetched_bytes(target: Path) -> int:
    """Return the size of what was downloaded for a file up to now, by any process."""
    return sum(
        folder_bytes(folder / DOWNLOADS) or folder_bytes(folder) for folder in _scratch_folders(target)
    )


def folder_bytes(folder: Path) -> int:
    """Return the size of all files below a folder, which may change meanwhile."""
    total = 0
    for path in folder.rglob("*"):
        with suppress(OSError):  # deleted since it was listed
            total += path.lstat().st_size
    return total


class Stall:
    """Watches a size that grows while work goes on."""

    def __init__(self, measure: Callable[[], int], seconds: float) -> None:
        self.size = 0
        self._measure = measure
        self._seconds = seconds
        self._grown_at = time.monotonic()

    def stalled(self) -> bool:
        """Measure the size; return whether it has not grown for the whole time."""
        size = self._measure()
        if size != self.size:
            self._grown_at = time.monotonic()
        self.size = size
        return time.monotonic() - self._grown_at > self._seconds


@contextmanager
def reporting(folder: Path, total: int | None, report: Report) -> Iterator[None]:
    """Report the size of a folder, in which another library writes, until the block ends."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(POLL_SECONDS):
            report(folder_bytes(folder), total)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _scratch_folders(target: Path) -> list[Path]:
    return [path for path in target.parent.glob(f".{target.name}.*") if path.is_dir()]

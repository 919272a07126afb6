"""Paths that callers name: each means a file below one folder, or is refused."""

import re
import unicodedata
from pathlib import Path

from deployments.storage.names import MAX_NAME_BYTES

MAX_PATH_BYTES = 1024

_ELSEWHERE = re.compile(r'[\\:%~$*?"<>|\x00-\x1f\x7f]')
"""What has a meaning of its own in URLs, in shells or on Windows, and control characters."""


def is_plain(path: str) -> bool:
    """Whether a text reads as a relative path, and as nothing else to anybody.

    Its parts are neither empty nor hidden nor ``..``, also where characters only look like dots and slashes.
    """
    parts = unicodedata.normalize("NFKC", path).split("/")
    return (
        not _ELSEWHERE.search(path)
        and all(part and not part.startswith(".") for part in parts)
        and _is_short(path)
    )


def within(folder: Path, path: str) -> Path:
    """The file that a relative path means below a folder, whether or not it is there; links are followed.

    Raises:
        ValueError: it leads out of the folder, or is longer than any path.
    """
    folder = folder.resolve()
    if not _is_short(path) or ".." in Path(path).parts or Path(path).is_absolute():
        raise ValueError(f"no path below a folder: {path[:80]!r}")
    try:
        found = (folder / path).resolve()
    except (OSError, RuntimeError) as error:  # links in a circle
        raise ValueError(f"no path below a folder: {path[:80]!r}") from error
    if not found.is_relative_to(folder):
        raise ValueError(f"a link out of its folder: {path[:80]!r}")
    return found


def relative_to(folder: Path, path: str) -> str:
    """An absolute path below a folder as a relative one; any other as it is."""
    for start in (folder, folder.resolve()):
        if Path(path).is_relative_to(start):
            return Path(path).relative_to(start).as_posix()
    return path


def _is_short(path: str) -> bool:
    encoded = path.encode(errors="replace")
    return len(encoded) <= MAX_PATH_BYTES and max(map(len, encoded.split(b"/"))) <= MAX_NAME_BYTES

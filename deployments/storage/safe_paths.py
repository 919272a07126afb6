"""Validation of caller-supplied paths: only files below one folder."""

import re
import unicodedata
from pathlib import Path

from audiograph._wording import shown
from deployments.storage.names import MAX_NAME_BYTES

MAX_PATH_BYTES = 1024

_FORBIDDEN = re.compile(r'[\\:%~$*?"<>|\x00-\x1f\x7f]')
"""Characters with a special meaning in URLs, in shells or on Windows, and control characters."""


def is_safe_relative(path: str) -> bool:
    """Return whether a text is a relative path and can be read as nothing else.

    None of its parts is empty, hidden or ``..``, even if characters that only look like dots and slashes are
    read as such.
    """
    parts = unicodedata.normalize("NFKC", path).split("/")
    return (
        not _FORBIDDEN.search(path)
        and all(part and not part.startswith(".") for part in parts)
        and _is_short(path)
    )


def resolve_below(folder: Path, path: str) -> Path:
    """Resolve a relative path below a folder, following links. The file need not exist.

    Raises:
        ValueError: the path leads out of the folder, or is longer than paths may be.
    """
    folder = folder.resolve()
    if not _is_short(path) or ".." in Path(path).parts or Path(path).is_absolute():
        raise ValueError(f"path {shown(path)} is not below its folder")
    try:
        resolved = (folder / path).resolve()
    except (OSError, RuntimeError) as error:  # links in a circle
        raise ValueError(f"path {shown(path)} cannot be resolved") from error
    if not resolved.is_relative_to(folder):
        raise ValueError(f"path {shown(path)} is a link out of its folder")
    return resolved


def relative_to(folder: Path, path: str) -> str:
    """Make an absolute path below a folder relative to it; return any other path unchanged."""
    for start in (folder, folder.resolve()):
        if Path(path).is_relative_to(start):
            return Path(path).relative_to(start).as_posix()
    return path


def _is_short(path: str) -> bool:
    encoded = path.encode(errors="replace")
    return len(encoded) <= MAX_PATH_BYTES and max(map(len, encoded.split(b"/"))) <= MAX_NAME_BYTES

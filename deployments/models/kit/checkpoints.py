"""Builds checkpoint folders, safely beside other replicas."""

import tempfile
from collections.abc import Callable
from pathlib import Path


def build_once(path: Path, write: Callable[[Path], None]) -> Path:
    """Return the folder `path`; if it does not exist, write it under a temporary name first.

    The folder appears complete or not at all. Replicas may build it at the same time, provided that `write`
    always writes the same content.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
            part = Path(scratch) / path.name
            write(part)
            _move(part, path)
    return path


def _move(part: Path, path: Path) -> None:
    try:
        part.rename(path)
    except OSError:  # a folder that is not empty is not replaced
        if not path.exists():  # else another replica was first
            raise

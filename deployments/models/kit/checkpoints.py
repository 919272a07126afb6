"""Checkpoints that are folders, built where they will be looked for."""

import tempfile
from collections.abc import Callable
from pathlib import Path


def built(path: Path, write: Callable[[Path], None]) -> Path:
    """The folder `path`, which `write` is called to make under another name if it is not there.

    Written whole or not at all. Replicas may build at once, since `write` always makes the same content.
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
    except OSError:  # a folder with something in it is not replaced
        if not path.exists():  # else another replica was first
            raise

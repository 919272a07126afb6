"""Files that callers want on the server's own machine: below one folder, whole or not at all."""

import os
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import cast, get_args

from audiograph.errors import Conflict, InvalidRequest
from audiograph.schemas import AudioFormat
from deployments.storage.confined import is_plain, relative_to, within

ENDINGS = {f".{audio_format}": cast("AudioFormat", audio_format) for audio_format in get_args(AudioFormat)}


@dataclass(frozen=True, slots=True)
class Export:
    """Where audio is to be written."""

    path: Path
    """Absolute and inside the folder; no part of it is a link."""
    format: AudioFormat

    def write(self, content: Iterable[bytes]) -> None:
        """Write the file, over any that is there: readers have the old one or the new. Blocking.

        Raises:
            Conflict: something else has come to its place since it was checked.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self.path.parent.resolve() != self.path.parent:
                raise Conflict(f"{self.path} cannot be written: one of its folders has become a link")
            _write_whole(self.path, content)
        except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
            raise Conflict(f"{self.path} cannot be written: something else has come to its place") from error


def export(folder: Path, wanted: str, field: str) -> Export:
    """What a path means that a caller wants audio to be written to. Blocking.

    Args:
        folder: that it must be in.
        wanted: relative to the folder, or absolute; its ending chooses the format.
        field: that names it.

    Raises:
        InvalidRequest: it leads out of the folder, has another ending, or cannot be a file.
    """
    path = _inside(folder, wanted, field)
    audio_format = ENDINGS.get(path.suffix.lower())
    if audio_format is None:
        endings = ", ".join(ENDINGS)
        raise InvalidRequest(f"{field} {wanted[:80]!r} must end in one of {endings}", field=field)
    if path.is_dir():
        raise InvalidRequest(f"{field} {wanted[:80]!r} is a folder", field=field)
    if not next(parent for parent in path.parents if parent.exists()).is_dir():
        raise InvalidRequest(f"{field} {wanted[:80]!r} has a file where a folder should be", field=field)
    return Export(path, audio_format)


def _inside(folder: Path, wanted: str, field: str) -> Path:
    relative = relative_to(folder, wanted)
    try:
        if is_plain(relative):
            return within(folder, relative)
    except ValueError:  # a link that leads out
        pass
    raise InvalidRequest(
        f"{field} {wanted[:80]!r} is no path inside the exports folder; name a file by its path there",
        field=field,
    )


def _write_whole(path: Path, content: Iterable[bytes]) -> None:
    part = path.parent / f".{uuid.uuid4().hex}.part"
    try:
        with part.open("xb") as file:
            file.writelines(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)

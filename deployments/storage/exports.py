"""Exports: audio files that callers have written on the server, below one folder, each complete or absent."""

import os
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import cast, get_args

from audiograph._wording import shown
from audiograph.errors import Conflict, InvalidRequest
from audiograph.schemas import AudioFormat
from deployments.storage.safe_paths import is_safe_relative, relative_to, resolve_below

FORMATS = {f".{audio_format}": cast("AudioFormat", audio_format) for audio_format in get_args(AudioFormat)}
"""Audio formats by file suffix."""


@dataclass(frozen=True, slots=True)
class Export:
    """Validated target of an export."""

    path: Path
    """Absolute path inside the folder; no part of it is a link."""
    format: AudioFormat

    def write(self, content: Iterable[bytes]) -> None:
        """Write the file, replacing any existing one atomically. Blocking.

        Raises:
            Conflict: a folder, link or file has taken its place since it was validated.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self.path.parent.resolve() != self.path.parent:
                raise Conflict(f"{self.path} cannot be written: one of its folders has become a link")
            _write_atomically(self.path, content)
        except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
            raise Conflict(f"{self.path} cannot be written: a file or folder has taken its place") from error


def resolve_export(folder: Path, target: str, field: str) -> Export:
    """Validate the path of an export. Blocking.

    Args:
        folder: the exports folder.
        target: the caller's path, relative to the folder or absolute; its suffix chooses the format.
        field: request field with the path, for the error.

    Raises:
        InvalidRequest: the path leads out of the folder, has another suffix, or cannot be a file.
    """
    path = _resolve(folder, target, field)
    audio_format = FORMATS.get(path.suffix.lower())
    if audio_format is None:
        suffixes = ", ".join(FORMATS)
        raise InvalidRequest(f"{field} {shown(target)} must end in one of {suffixes}", field=field)
    if path.is_dir():
        raise InvalidRequest(f"{field} {shown(target)} is a folder; name a file", field=field)
    if not next(parent for parent in path.parents if parent.exists()).is_dir():
        raise InvalidRequest(
            f"{field} {shown(target)} has a file where a folder should be; name another folder", field=field
        )
    return Export(path, audio_format)


def _resolve(folder: Path, target: str, field: str) -> Path:
    relative = relative_to(folder, target)
    try:
        if is_safe_relative(relative):
            return resolve_below(folder, relative)
    except ValueError:  # a link that leads out
        pass
    raise InvalidRequest(
        f"{field} {shown(target)} is no path inside the exports folder; use a path relative to it",
        field=field,
    )


def _write_atomically(path: Path, content: Iterable[bytes]) -> None:
    part = path.parent / f".{uuid.uuid4().hex}.part"
    try:
        with part.open("xb") as file:
            file.writelines(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)

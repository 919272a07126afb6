"""A job's artifacts as one ZIP, made while it is sent: memory stays at one chunk, however large they are."""

import zipfile
from collections.abc import Iterator, Sequence
from datetime import UTC
from pathlib import PurePosixPath

from audiograph.schemas import Artifact
from deployments.storage.artifacts import ArtifactStore

_LARGE = 2**31
"""From here on an entry's sizes take the 64-bit form, which must be chosen before its bytes are written."""


def archive(store: ArtifactStore, artifacts: Sequence[Artifact]) -> Iterator[bytes]:
    """The bytes of the ZIP. Entries are stored as they are: audio gains nothing by deflating."""
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive_file:
        for name, artifact in zip(distinct([a.name for a in artifacts]), artifacts, strict=True):
            with archive_file.open(
                _entry(name, artifact), "w", force_zip64=artifact.bytes >= _LARGE
            ) as entry:
                for chunk in store.read(artifact.id):
                    entry.write(chunk)
                    yield sink.take()
    yield sink.take()


def distinct(names: Sequence[str]) -> list[str]:
    """The names with a number added where one came before: ``a.wav, a.wav`` → ``a.wav, a (2).wav``."""
    taken: set[str] = set()
    return [_untaken(name, taken) for name in names]


def _untaken(name: str, taken: set[str]) -> str:
    path, candidate, number = PurePosixPath(name), name, 1
    while candidate.casefold() in taken:  # not every file system tells A from a
        number += 1
        candidate = f"{path.stem} ({number}){path.suffix}"
    taken.add(candidate.casefold())
    return candidate


def _entry(name: str, artifact: Artifact) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, artifact.created_at.astimezone(UTC).timetuple()[:6])
    entry.external_attr = 0o644 << 16
    return entry


class _Sink:
    """A file to write to that cannot seek, and is emptied as it fills."""

    def __init__(self) -> None:
        self._pending: list[bytes] = []

    def write(self, content: bytes) -> int:
        self._pending.append(bytes(content))
        return len(content)

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """Nothing is held open."""

    def take(self) -> bytes:
        taken, self._pending = b"".join(self._pending), []
        return taken

"""Builds a ZIP of a job's artifacts while it is sent, in the memory of one chunk."""

import zipfile
from collections.abc import Iterator, Sequence
from datetime import UTC
from pathlib import PurePosixPath

from audiograph.schemas import Artifact
from deployments.storage.artifacts import ArtifactStore

_LARGE = 2**31
"""Entries of this size or more need ZIP64, which must be chosen before their bytes are written."""


def archive(store: ArtifactStore, artifacts: Sequence[Artifact]) -> Iterator[bytes]:
    """Yield the bytes of the ZIP. Entries are not compressed, since compressed audio hardly shrinks."""
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
    """Number repeated names: ``a.wav, a.wav`` becomes ``a.wav, a (2).wav``."""
    taken: set[str] = set()
    return [_unused(name, taken) for name in names]


def _unused(name: str, taken: set[str]) -> str:
    path, candidate, number = PurePosixPath(name), name, 1
    while candidate.casefold() in taken:  # some file systems ignore case
        number += 1
        candidate = f"{path.stem} ({number}){path.suffix}"
    taken.add(candidate.casefold())
    return candidate


def _entry(name: str, artifact: Artifact) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, artifact.created_at.astimezone(UTC).timetuple()[:6])
    entry.external_attr = 0o644 << 16
    return entry


class _Sink:
    """A write-only file that cannot seek; `take` empties it."""

    def __init__(self) -> None:
        self._pending: list[bytes] = []

    def write(self, content: bytes) -> int:
        self._pending.append(bytes(content))
        return len(content)

    def flush(self) -> None:
        """Do nothing: no bytes are buffered elsewhere."""

    def close(self) -> None:
        """Do nothing: no resource is open."""

    def take(self) -> bytes:
        taken, self._pending = b"".join(self._pending), []
        return taken

"""Writing of one item: bytes go to a temporary file, which becomes a file or an artifact atomically."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from audiograph.schemas import Artifact, File
from deployments.audio.files import AudioInfo
from deployments.storage.blobs import Blobs
from deployments.storage.records import Provenance, new_artifact, new_file, to_record
from deployments.storage.scratch import Scratch, ScratchFile
from deployments.storage.tables import Base, Item, Pin, Tag


class Writer:
    """Context manager that writes one item. Without one commit, the bytes are discarded at its end.

    Blocking. Calls may come from any thread, one at a time.
    """

    def __init__(self, blobs: Blobs, scratch: Scratch) -> None:
        self._blobs = blobs
        self._scratch = scratch
        self._digest = hashlib.sha256()
        self._file: ScratchFile
        self.bytes = 0
        """Bytes written so far."""

    def __enter__(self) -> Self:
        self._file = self._scratch.create()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.discard()

    def write(self, chunk: bytes) -> None:
        """Append bytes."""
        self._file.handle.write(chunk)
        self._digest.update(chunk)
        self.bytes += len(chunk)

    @property
    def path(self) -> Path:
        """Return a local file with the bytes so far, to decode them before they are committed."""
        self._file.handle.flush()
        return self._file.path

    def commit_file(self, name: str, media_type: str, audio: AudioInfo | None) -> File:
        """Store the bytes as an uploaded file. The name is reduced to a safe base name."""
        item = new_file(self._digest.hexdigest(), name, media_type, audio)
        return self._commit(item, [])

    def commit_artifact(
        self,
        name: str,
        media_type: str,
        audio: AudioInfo | None,
        provenance: Provenance,
        *,
        pin: bool = False,
    ) -> Artifact:
        """Store the bytes as an artifact. The name is reduced to a safe base name.

        With ``pin`` its job holds a pin on it from the start, so nothing removes it until it is unpinned.

        Raises:
            InvalidRequest: a text in the provenance cannot be stored.
        """
        item, tags = new_artifact(self._digest.hexdigest(), name, media_type, audio, provenance)
        pins = [Pin(holder=item.job_id, item_id=item.id, created_at=item.created_at)] if pin else []
        artifact = self._commit(item, [*tags, *pins])
        assert isinstance(artifact, Artifact)
        return artifact

    def _commit(self, item: Item, others: Sequence[Base]) -> File | Artifact:
        self._blobs.put(self.path, item.sha256, self.bytes, item, others)
        return to_record(item, self.bytes, [row.tag for row in others if isinstance(row, Tag)])

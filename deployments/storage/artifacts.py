"""The artifact store: files and artifacts by id, their content by SHA-256, their provenance in SQL.

All calls block, and are safe from many threads and processes at once.
"""

import re
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from sqlalchemy import delete, exists, func, select, update

from audiograph._wording import shown
from audiograph.errors import Conflict, InternalError, NotFound
from audiograph.schemas import Artifact, ArtifactPage, File
from deployments.audio.files import AudioInfo
from deployments.config import StorageConfig
from deployments.storage.blobs import Blobs
from deployments.storage.collect import Collected, Collector
from deployments.storage.content import Content, verify_blocks
from deployments.storage.database import Database
from deployments.storage.records import Provenance, load_records
from deployments.storage.remote_content import open_content
from deployments.storage.search import search
from deployments.storage.tables import VOICE_HOLDER_PREFIX, Blob, Item, Pin
from deployments.storage.writer import Writer

__all__ = ["ArtifactStore", "Collected", "Provenance", "Usage"]

BLOCK_BYTES = 1024**2
TOUCH_SECONDS = 60.0
"""Minimum time between two records of an item's use, so that reads seldom write to the database."""

_ID = re.compile(r"(file|art)_[0-9a-f]{32}")


@dataclass(frozen=True)
class Usage:
    """Amount of stored content. The bytes of a blob count once, however many items share it."""

    items: int
    blobs: int
    bytes: int


class ArtifactStore:
    """Store of uploaded files and of artifacts."""

    def __init__(self, database: Database, content: Content) -> None:
        self.database = database
        self._content = content
        self._blobs = Blobs(database, content)

    @classmethod
    def open(cls, config: StorageConfig) -> "ArtifactStore":
        """Open the store of a configuration. Its tables must exist; see `Database.migrate`."""
        return cls(Database(config.database_url), open_content(config.artifacts_url))

    def writer(self) -> Writer:
        """Return a context manager that writes one new item."""
        return Writer(self._blobs, self._content.scratch)

    def put_artifact(
        self,
        name: str,
        content: bytes,
        media_type: str,
        *,
        audio: AudioInfo | None = None,
        provenance: Provenance,
        pin: bool = False,
    ) -> Artifact:
        """Store an artifact that fits in memory; see `Writer.commit_artifact`."""
        with self.writer() as writer:
            writer.write(content)
            return writer.commit_artifact(name, media_type, audio, provenance, pin=pin)

    def get(self, item_id: str) -> File | Artifact:
        """Return one item's record; its ``url`` is a path.

        Raises:
            NotFound: there is no item of that id.
        """
        records = self.get_many([item_id])
        if not records:
            raise _not_found(item_id)
        return records[0]

    def get_many(self, ids: Sequence[str]) -> list[File | Artifact]:
        """Return the records of the existing items among these, in the same order."""
        with self.database.snapshot() as session:
            return load_records(session, [item_id for item_id in ids if _ID.fullmatch(item_id)])

    def read(
        self, item_id: str, start: int = 0, stop: int | None = None, chunk_bytes: int = BLOCK_BYTES
    ) -> Iterator[bytes]:
        """Read the bytes from ``start`` up to ``stop`` (the end if None), in chunks, in constant memory.

        The first chunk is read before this returns, so that errors are raised before a response has started.
        A read of the whole content verifies its SHA-256, and withholds the last chunk until then.

        Raises:
            NotFound: there is no such item.
            InternalError: its content is missing or damaged.
        """
        blob = self._open_blob(item_id)
        stop = blob.bytes if stop is None else min(stop, blob.bytes)
        blocks = self._content.blocks(blob.sha256, start, stop, chunk_bytes)
        if (start, stop) == (0, blob.bytes):
            blocks = verify_blocks(blocks, blob.sha256)
        try:
            return chain([next(blocks, b"")], blocks)
        except FileNotFoundError as error:  # deleted since `_open_blob`
            raise _not_found(item_id) from error

    @contextmanager
    def local(self, item_id: str) -> Iterator[Path]:
        """Provide a local path to the content, to be read only, for as long as the context lasts.

        Raises:
            NotFound: there is no such item.
            InternalError: its content is missing or damaged.
        """
        blob = self._open_blob(item_id)
        with self._content.local(blob.sha256, blob.bytes) as path:
            yield path

    def _open_blob(self, item_id: str) -> Blob:
        """Return the blob of an item that is about to be read, and check that its content exists."""
        blob = self._touch(item_id)
        if not self._content.holds(blob.sha256, blob.bytes):
            self.get(item_id)  # raises NotFound if it was deleted meanwhile
            raise InternalError(f"the stored content of {item_id} is missing or damaged")
        return blob

    def _touch(self, item_id: str) -> Blob:
        """Record a use of an item and return its blob."""
        query = select(Blob, Item.used_at).join(Item, Item.sha256 == Blob.sha256).where(Item.id == item_id)
        with self.database.snapshot() as session:
            row = session.execute(query).one_or_none() if _ID.fullmatch(item_id) else None
        if row is None:
            raise _not_found(item_id)
        blob, used_at = row
        now = time.time()
        if used_at < now - TOUCH_SECONDS:
            with self.database.session() as session:
                session.execute(update(Item).where(Item.id == item_id).values(used_at=now))
        return blob

    def search(
        self,
        *,
        tag: str | None = None,
        creator: str | None = None,
        variation_set_id: str | None = None,
        parent_id: str | None = None,
        job_id: str | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> ArtifactPage:
        """Return a page of the artifacts that match all given values, newest first.

        Raises:
            InvalidRequest: the limit is not within 1..1000, or the cursor is not the one of a page.
        """
        with self.database.snapshot() as session:
            return search(
                session,
                tag=tag,
                creator=creator,
                variation_set_id=variation_set_id,
                parent_id=parent_id,
                job_id=job_id,
                limit=limit,
                cursor=cursor,
            )

    def delete(self, item_id: str) -> None:
        """Delete an item, and its content if no other item shares it.

        Raises:
            NotFound: there is no item of that id.
            Conflict: a job or a voice has it pinned.
        """
        if not _ID.fullmatch(item_id):
            raise _not_found(item_id)
        with self.database.session() as session:
            item = session.get(Item, item_id, with_for_update=True)
            if item is None:
                raise _not_found(item_id)
            holder = session.scalar(select(Pin.holder).where(Pin.item_id == item_id).limit(1))
            if holder is not None:
                raise _in_use(item_id, holder)
            session.delete(item)
        self._blobs.remove_unused(item.sha256)

    def pin(self, holder: str, fields: Mapping[str, str]) -> None:
        """Protect items from removal until their holder, a job, is unpinned. Idempotent.

        Also records a use of the items.

        Args:
            holder: id of the job.
            fields: by the id of each item, the field of the request that names it.

        Raises:
            NotFound: one of the items does not exist; none is pinned then.
        """
        now = time.time()
        valid = [item_id for item_id in fields if _ID.fullmatch(item_id)]
        with self.database.session() as session:
            query = select(Item).where(Item.id.in_(valid)).order_by(Item.id).with_for_update()
            items = {item.id: item for item in session.scalars(query)}
            for item_id, field in fields.items():
                if item_id not in items:
                    raise _not_found(item_id, field)
                items[item_id].used_at = now
                session.merge(Pin(holder=holder, item_id=item_id, created_at=now))

    def unpin(self, holder: str) -> None:
        """Remove all pins of a holder."""
        with self.database.session() as session:
            session.execute(delete(Pin).where(Pin.holder == holder))

    def delete_leftovers(self, job_id: str, kept: Collection[str] = ()) -> None:
        """Delete a job's artifacts, except for those of its result: interrupted attempts left them.

        Artifacts that another process deletes or pins at the same time are skipped.
        """
        cursor: str | None = None
        while True:
            page = self.search(job_id=job_id, limit=100, cursor=cursor)
            for artifact in page.data:
                if artifact.id not in kept:
                    with suppress(NotFound, Conflict):
                        self.delete(artifact.id)
            cursor = page.next_cursor
            if cursor is None:
                return

    def pinned_jobs(self) -> list[tuple[str, float]]:
        """Return the jobs with pins, each with the time of its last pin in seconds since the epoch."""
        query = select(Pin.holder, func.max(Pin.created_at)).group_by(Pin.holder)
        query = query.where(Pin.holder.not_like(f"{VOICE_HOLDER_PREFIX}%"))
        with self.database.snapshot() as session:
            return list(session.execute(query).tuples())

    def collect(self, retention_seconds: float | None, max_bytes: int | None) -> Collected:
        """Remove items unused for longer than the retention, then the least recently used beyond the budget.

        Never removes a pinned item. Also clears the unfinished writes of dead processes.

        Args:
            retention_seconds: maximum time since an item's last use; None keeps items forever.
            max_bytes: budget of stored bytes; None sets no budget.
        """
        self._content.clear_stale()
        return Collector(self.database, self._blobs).collect(retention_seconds, max_bytes)

    def usage(self) -> Usage:
        """Count the stored items, blobs and bytes."""
        has_item = exists().where(Item.sha256 == Blob.sha256)
        blobs = select(func.count(), func.coalesce(func.sum(Blob.bytes), 0)).where(has_item)
        with self.database.snapshot() as session:
            items = session.scalar(select(func.count()).select_from(Item)) or 0
            count, size = session.execute(blobs).one()
        return Usage(items=items, blobs=count, bytes=int(size))


def _in_use(item_id: str, holder: str) -> Conflict:
    described = holder if holder.startswith(VOICE_HOLDER_PREFIX) else f"job {holder}"
    return Conflict(f"{item_id} is in use by {described}", field="id", details={"job_id": holder})


def _not_found(item_id: str, field: str = "id") -> NotFound:
    return NotFound(f"there is no file or artifact {shown(item_id)}; it may have been removed", field=field)

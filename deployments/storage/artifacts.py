"""The artifact store: files and artifacts by id, their bytes by SHA-256, their history in SQL.

Everything here blocks and may be called from many threads and processes at once.
"""

import re
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from sqlalchemy import delete, exists, func, select, update

from audiograph.errors import Conflict, InternalError, NotFound
from audiograph.schemas import Artifact, ArtifactPage, File
from deployments.audio.files import AudioInfo
from deployments.config import StorageConfig
from deployments.storage.blobs import Blobs
from deployments.storage.collect import Collected, Collector
from deployments.storage.content import Content, verified
from deployments.storage.database import Database
from deployments.storage.records import Provenance, load_records
from deployments.storage.remote_content import open_content
from deployments.storage.search import search
from deployments.storage.tables import VOICE_HOLDER, Blob, Item, Pin
from deployments.storage.writer import Writer

__all__ = ["ArtifactStore", "AudioInfo", "Collected", "Provenance", "Usage", "Writer"]

BLOCK_BYTES = 1024**2
TOUCH_SECONDS = 60.0
"""A read is noted as a use at most this often, so that reading does not become writing."""

_ID = re.compile(r"(file|art)_[0-9a-f]{32}")


@dataclass(frozen=True)
class Usage:
    """How much is stored: bytes of content, each counted once however many items have it."""

    items: int
    blobs: int
    bytes: int


class ArtifactStore:
    """What the server keeps of audio and other files."""

    def __init__(self, database: Database, content: Content) -> None:
        self.database = database
        self._content = content
        self._blobs = Blobs(database, content)

    @classmethod
    def open(cls, config: StorageConfig) -> "ArtifactStore":
        """The store of a configuration. Its tables must exist: see `Database.migrate`."""
        return cls(Database(config.database_url), open_content(config.artifacts_url))

    def writer(self) -> Writer:
        """A context manager that takes the bytes of one new item."""
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
        """One item's record; its ``url`` is a path.

        Raises:
            NotFound: there is none of that id.
        """
        records = self.get_many([item_id])
        if not records:
            raise _not_found(item_id)
        return records[0]

    def get_many(self, ids: Sequence[str]) -> list[File | Artifact]:
        """The records of those items that still exist, in the order given."""
        with self.database.snapshot() as session:
            return load_records(session, [item_id for item_id in ids if _ID.fullmatch(item_id)])

    def read(
        self, item_id: str, start: int = 0, stop: int | None = None, chunk_bytes: int = BLOCK_BYTES
    ) -> Iterator[bytes]:
        """The bytes from ``start`` up to ``stop`` (the end if None), in chunks, in constant memory.

        The first chunk is read before this returns, so that errors come before an answer has begun. The
        whole content is verified by its SHA-256 as it passes, and its last chunk held back until then.

        Raises:
            NotFound: there is no such item.
            InternalError: its content is missing or damaged.
        """
        blob = self._opened(item_id)
        stop = blob.bytes if stop is None else min(stop, blob.bytes)
        blocks = self._content.blocks(blob.sha256, start, stop, chunk_bytes)
        if (start, stop) == (0, blob.bytes):
            blocks = verified(blocks, blob.sha256)
        try:
            return chain([next(blocks, b"")], blocks)
        except FileNotFoundError as error:  # deleted since we looked
            raise _not_found(item_id) from error

    @contextmanager
    def local(self, item_id: str) -> Iterator[Path]:
        """A path to the bytes on this machine, to be read only, for as long as the context lasts.

        Raises:
            NotFound: there is no such item.
            InternalError: its content is missing or damaged.
        """
        blob = self._opened(item_id)
        with self._content.local(blob.sha256, blob.bytes) as path:
            yield path

    def _opened(self, item_id: str) -> Blob:
        """The blob of an item that is about to be read, its content being there."""
        blob = self._touch(item_id)
        if not self._content.holds(blob.sha256, blob.bytes):
            self.get(item_id)  # says so if it was deleted meanwhile
            raise InternalError(f"the stored content of {item_id} is missing or damaged")
        return blob

    def _touch(self, item_id: str) -> Blob:
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
        """A page of artifacts, newest first, with all that is asked for.

        Raises:
            InvalidRequest: the limit is not within 1..1000, or the cursor is not one that a page gave.
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
        """Delete an item; its content goes with the last item that has it.

        Raises:
            NotFound: there is none of that id.
            Conflict: a live job has it pinned.
        """
        if not _ID.fullmatch(item_id):
            raise _not_found(item_id)
        with self.database.session() as session:
            item = session.get(Item, item_id, with_for_update=True)
            if item is None:
                raise _not_found(item_id)
            job_id = session.scalar(select(Pin.job_id).where(Pin.item_id == item_id).limit(1))
            if job_id is not None:
                holder = job_id if job_id.startswith(VOICE_HOLDER) else f"job {job_id}"
                raise Conflict(f"{item_id} is in use by {holder}", field="id", details={"job_id": job_id})
            session.delete(item)
        self._blobs.drop_unused(item.sha256)

    def pin(self, job_id: str, ids: Sequence[str]) -> None:
        """Keep items for a job until `unpin`; counts as a use of them. Doing it again changes nothing.

        Raises:
            NotFound: one of them is not there; none is pinned then.
        """
        now = time.time()
        wanted = [item_id for item_id in ids if _ID.fullmatch(item_id)]
        with self.database.session() as session:
            query = select(Item).where(Item.id.in_(wanted)).order_by(Item.id).with_for_update()
            items = {item.id: item for item in session.scalars(query)}
            for item_id in dict.fromkeys(ids):
                if item_id not in items:
                    raise _not_found(item_id, field="file")
                items[item_id].used_at = now
                session.merge(Pin(job_id=job_id, item_id=item_id, created_at=now))

    def unpin(self, job_id: str) -> None:
        """Let go of everything that a job pinned."""
        with self.database.session() as session:
            session.execute(delete(Pin).where(Pin.job_id == job_id))

    def delete_leftovers(self, job_id: str, kept: Collection[str] = ()) -> None:
        """Delete what a job made, but for the artifacts that are its result: cut-off attempts left it.

        What another process deletes, or pins anew, at the same time is left to it.
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
        """Jobs that pin something, and when each did so last (seconds since the epoch)."""
        query = select(Pin.job_id, func.max(Pin.created_at)).group_by(Pin.job_id)
        query = query.where(Pin.job_id.not_like(f"{VOICE_HOLDER}%"))
        with self.database.snapshot() as session:
            return list(session.execute(query).tuples())

    def collect(self, retention_seconds: float | None, max_bytes: int | None) -> Collected:
        """Remove items not used for so long, then the least recently used beyond the budget.

        Never removes a pinned item. Also clears what writers that died have left behind.
        """
        self._content.clear_stale()
        return Collector(self.database, self._blobs).collect(retention_seconds, max_bytes)

    def usage(self) -> Usage:
        """How much is stored."""
        has_item = exists().where(Item.sha256 == Blob.sha256)
        blobs = select(func.count(), func.coalesce(func.sum(Blob.bytes), 0)).where(has_item)
        with self.database.snapshot() as session:
            items = session.scalar(select(func.count()).select_from(Item)) or 0
            count, size = session.execute(blobs).one()
        return Usage(items=items, blobs=count, bytes=int(size))


def _not_found(item_id: str, field: str = "id") -> NotFound:
    return NotFound(f"there is no file or artifact {item_id[:64]!r}; it may have been removed", field=field)

"""Blobs: content and its database row, kept consistent although they live in two places.

Two rules make every crash harmless. First, the row of a blob is committed before its content is placed, and
deleted after its content is removed, so the rows always lead to all content. Second, content is placed or
removed only under the blob's lock, in the transaction that adds or counts its items, so an item always has
its content, even under concurrent puts and deletions.
"""

import time
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from deployments.storage.content import Content
from deployments.storage.database import Database
from deployments.storage.tables import Base, Blob, Item


class Blobs:
    """Stores content together with its items, and removes content without items."""

    def __init__(self, database: Database, content: Content) -> None:
        self._database = database
        self._content = content

    def put(self, source: Path, sha256: str, size: int, item: Item, others: Sequence[Base] = ()) -> None:
        """Store a file's bytes, their item, and rows that refer to the item. The file may be moved."""
        staged = self._content.stage(source, sha256, size)
        try:
            while not self._insert(source, staged, sha256, size, [item, *others]):
                self._announce(sha256, size)
        finally:
            self._content.unstage(staged)

    def _announce(self, sha256: str, size: int) -> None:
        """Commit the row of a blob before its content is placed."""
        row = {"sha256": sha256, "bytes": size, "created_at": time.time()}
        with self._database.session() as session:
            session.execute(self._database.insert(Blob).values(row).on_conflict_do_nothing())

    def _insert(self, source: Path, staged: str | None, sha256: str, size: int, rows: list[Base]) -> bool:
        """Place the content and add the rows. Does nothing and returns False if the blob has no row."""
        with self._database.session() as session:
            self._lock(session, sha256)
            if session.get(Blob, sha256) is None:
                return False
            self._content.place(source, staged, sha256, size)
            for row in rows:  # the item first: the others refer to it
                session.add(row)
                session.flush()
        return True

    def remove_unused(self, sha256: str) -> int | None:
        """Remove a blob and its content if it has no items; return its bytes, or None if it was kept."""
        with self._database.session() as session:
            self._lock(session, sha256)
            blob = session.get(Blob, sha256)
            if blob is None or session.scalar(select(exists().where(Item.sha256 == sha256))):
                return None
            self._content.remove(sha256)
            session.delete(blob)
            return blob.bytes

    def list_unused(self) -> list[str]:
        """Return the blobs without items: of dead writers, and of writers about to add the first item."""
        query = select(Blob.sha256).where(~exists().where(Item.sha256 == Blob.sha256))
        with self._database.snapshot() as session:
            return list(session.scalars(query))

    def _lock(self, session: Session, sha256: str) -> None:
        """Exclude other processes from placing or removing this content until the transaction ends."""
        self._database.lock(session, int.from_bytes(bytes.fromhex(sha256[:16]), signed=True))

"""Blobs: content and its row, kept in step although they live in two places.

Two rules make every crash harmless. The row of a blob is committed before its content is placed, and goes
after its content has been removed: so all content can be found from the rows. And content is placed or
removed only under the blob's lock, in the transaction that adds or has counted its items: so an item's
content is there, whatever is put and deleted at the same time.
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
    """Puts content together with its items, and removes it when it has none."""

    def __init__(self, database: Database, content: Content) -> None:
        self._database = database
        self._content = content

    def put(self, source: Path, sha256: str, size: int, item: Item, others: Sequence[Base] = ()) -> None:
        """Store a file's bytes, an item of them, and rows that refer to the item. The file may be moved."""
        staged = self._content.stage(source, sha256, size)
        try:
            while not self._insert(source, staged, sha256, size, [item, *others]):
                self._announce(sha256, size)
        finally:
            self._content.unstage(staged)

    def _announce(self, sha256: str, size: int) -> None:
        row = {"sha256": sha256, "bytes": size, "created_at": time.time()}
        with self._database.session() as session:
            session.execute(self._database.insert(Blob).values(row).on_conflict_do_nothing())

    def _insert(self, source: Path, staged: str | None, sha256: str, size: int, rows: list[Base]) -> bool:
        """Place the content and add the rows; False, and nothing done, if the blob is not announced."""
        with self._database.session() as session:
            self._lock(session, sha256)
            if session.get(Blob, sha256) is None:
                return False
            self._content.place(source, staged, sha256, size)
            for row in rows:  # the item first: the others refer to it
                session.add(row)
                session.flush()
        return True

    def drop_unused(self, sha256: str) -> int | None:
        """Remove a blob with its content if no item has it; gives its bytes, or None if it stays."""
        with self._database.session() as session:
            self._lock(session, sha256)
            blob = session.get(Blob, sha256)
            if blob is None or session.scalar(select(exists().where(Item.sha256 == sha256))):
                return None
            self._content.remove(sha256)
            session.delete(blob)
            return blob.bytes

    def unused(self) -> list[str]:
        """Blobs without items: those of writers that died, and of writers about to add the first one."""
        query = select(Blob.sha256).where(~exists().where(Item.sha256 == Blob.sha256))
        with self._database.snapshot() as session:
            return list(session.scalars(query))

    def _lock(self, session: Session, sha256: str) -> None:
        """Keep every other process from placing or removing this content until the transaction ends."""
        self._database.lock(session, int.from_bytes(bytes.fromhex(sha256[:16]), signed=True))

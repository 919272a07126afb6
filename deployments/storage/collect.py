"""Garbage collection of items past their retention, and of the least recently used beyond a budget of bytes.

Pinned items are never removed. Any number of processes may collect at once, concurrently with writers and
readers.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import ColumnElement, ScalarSelect, delete, exists, func, select
from sqlalchemy.orm import Session, aliased

from deployments.storage.blobs import Blobs
from deployments.storage.database import Database
from deployments.storage.tables import Blob, Item, Pin

BATCH_SIZE = 200
"""Items, or blobs, removed in one transaction: few enough that writers hardly wait."""

_SHRINK_LOCK = 0x61756469_6F736872
"""Key of the lock that prevents two collectors from removing the same excess twice ("audioshr")."""


@dataclass(frozen=True)
class Collected:
    """Number of items, blobs and bytes that a collection removed."""

    items: int = 0
    blobs: int = 0
    bytes: int = 0

    def __add__(self, other: "Collected") -> "Collected":
        return Collected(self.items + other.items, self.blobs + other.blobs, self.bytes + other.bytes)


class Collector:
    """Garbage collector of one store."""

    def __init__(self, database: Database, blobs: Blobs) -> None:
        self._database = database
        self._blobs = blobs

    def collect(self, retention_seconds: float | None, max_bytes: int | None) -> Collected:
        """Run one round; None sets no limit."""
        total = self._remove_unused(self._blobs.list_unused())
        if retention_seconds is not None:
            total += self._expire(time.time() - retention_seconds)
        if max_bytes is not None:
            total += self._shrink(max_bytes)
        return total

    def _remove_unused(self, digests: Iterable[str]) -> Collected:
        freed = [size for sha256 in digests if (size := self._blobs.remove_unused(sha256)) is not None]
        return Collected(blobs=len(freed), bytes=sum(freed))

    def _expire(self, before: float) -> Collected:
        total = Collected()
        while removed := self._expire_batch(before):
            total += Collected(items=len(removed)) + self._remove_unused(set(removed))
        return total

    def _expire_batch(self, before: float) -> list[str]:
        """Remove a batch of items last used before a time; return the digest of each."""
        oldest = (
            select(Item.id, Item.sha256)
            .where(Item.used_at < before, ~_is_pinned())
            .order_by(Item.used_at)
            .limit(BATCH_SIZE)
            .with_for_update(skip_locked=True)
        )
        with self._database.session() as session:
            items = dict(session.execute(oldest).tuples().all())
            for pinned in _pinned_among(session, items):
                del items[pinned]
            session.execute(delete(Item).where(Item.id.in_(items)))
        return list(items.values())

    def _shrink(self, max_bytes: int) -> Collected:
        total = Collected()
        while removed := self._evict_batch(max_bytes):
            total += Collected(items=len(removed)) + self._remove_unused(set(removed))
        return total

    def _evict_batch(self, max_bytes: int) -> list[str]:
        """Remove all items of a batch of least recently used blobs; return the digest of each item.

        Whole blobs are evicted, since removing one of several items that share content would free nothing.
        """
        with self._database.session() as session:
            self._database.lock(session, _SHRINK_LOCK)
            last_uses = _least_recently_used(session, max_bytes)
            query = select(Item.id, Item.sha256, Item.used_at).where(Item.sha256.in_(last_uses))
            items = session.execute(query.order_by(Item.id).with_for_update()).all()
            pinned = _pinned_among(session, [item.id for item in items])
            kept = {i.sha256 for i in items if i.id in pinned or i.used_at > last_uses[i.sha256]}
            removed = {item.id: item.sha256 for item in items if item.sha256 not in kept}
            session.execute(delete(Item).where(Item.id.in_(removed)))
        return list(removed.values())


def _stored_bytes() -> ScalarSelect[int]:
    """Return a query of the bytes of all blobs with items; those without are about to be removed."""
    blob, item = aliased(Blob), aliased(Item)
    total = func.coalesce(func.sum(blob.bytes), 0)
    return select(total).where(exists().where(item.sha256 == blob.sha256)).scalar_subquery()


def _least_recently_used(session: Session, max_bytes: int) -> dict[str, float]:
    """Choose unpinned blobs, the least recently used first, until the others fit the budget.

    One statement reads both the stored bytes and the candidates, at one moment. Between two statements others
    could remove items, which would still count as stored, and too much would be evicted.

    Returns:
        Time of the last use in seconds since the epoch, by digest.
    """
    pinned = select(Item.sha256).join(Pin, Pin.item_id == Item.id)
    last_use = func.max(Item.used_at)
    query = (
        select(Blob.sha256, Blob.bytes, last_use, _stored_bytes())
        .join(Item, Item.sha256 == Blob.sha256)
        .where(Blob.sha256.not_in(pinned))
        .group_by(Blob.sha256, Blob.bytes)
        .order_by(last_use)
        .limit(BATCH_SIZE)
    )
    chosen: dict[str, float] = {}
    freed = 0
    for sha256, size, used_at, stored in session.execute(query):
        if stored - freed > max_bytes:
            chosen[sha256] = used_at
            freed += size
    return chosen


def _is_pinned() -> ColumnElement[bool]:
    return exists().where(Pin.item_id == Item.id)


def _pinned_among(session: Session, ids: Iterable[str]) -> set[str]:
    """Return the pinned ones of locked items: they may have been pinned before the lock was acquired."""
    return set(session.scalars(select(Pin.item_id).where(Pin.item_id.in_(list(ids))).distinct()))

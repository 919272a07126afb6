"""Garbage collection: items past their retention, and the least recently used beyond a budget of bytes.

A pinned item is never removed. Any number of processes may collect at once, beside writers and readers.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import ColumnElement, ScalarSelect, delete, exists, func, select
from sqlalchemy.orm import Session, aliased

from deployments.storage.blobs import Blobs
from deployments.storage.database import Database
from deployments.storage.tables import Blob, Item, Pin

AT_ONCE = 200
"""Items, or blobs, removed in one transaction: few enough that writers hardly wait."""

_SHRINKING = 0x61756469_6F736872
"""Key of the lock that keeps two collectors from removing the same excess twice ("audioshr")."""


@dataclass(frozen=True)
class Collected:
    """What a collection removed."""

    items: int = 0
    blobs: int = 0
    bytes: int = 0

    def __add__(self, other: "Collected") -> "Collected":
        return Collected(self.items + other.items, self.blobs + other.blobs, self.bytes + other.bytes)


class Collector:
    """Removes what is no longer to be kept."""

    def __init__(self, database: Database, blobs: Blobs) -> None:
        self._database = database
        self._blobs = blobs

    def collect(self, retention_seconds: float | None, max_bytes: int | None) -> Collected:
        """One round; None sets no limit."""
        total = self._drop(self._blobs.unused())
        if retention_seconds is not None:
            total += self._expire(time.time() - retention_seconds)
        if max_bytes is not None:
            total += self._shrink(max_bytes)
        return total

    def _drop(self, digests: Iterable[str]) -> Collected:
        freed = [size for sha256 in digests if (size := self._blobs.drop_unused(sha256)) is not None]
        return Collected(blobs=len(freed), bytes=sum(freed))

    def _expire(self, before: float) -> Collected:
        total = Collected()
        while removed := self._expire_some(before):
            total += Collected(items=len(removed)) + self._drop(set(removed))
        return total

    def _expire_some(self, before: float) -> list[str]:
        """Remove some items not used since then; gives the digest of each."""
        oldest = (
            select(Item.id, Item.sha256)
            .where(Item.used_at < before, ~_is_pinned())
            .order_by(Item.used_at)
            .limit(AT_ONCE)
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
        while removed := self._evict_some(max_bytes):
            total += Collected(items=len(removed)) + self._drop(set(removed))
        return total

    def _evict_some(self, max_bytes: int) -> list[str]:
        """Remove the items of some least recently used blobs; gives the digest of each item.

        Of whole blobs: an item whose content another item shares would free nothing.
        """
        with self._database.session() as session:
            self._database.lock(session, _SHRINKING)
            last_uses = _least_used(session, max_bytes)
            query = select(Item.id, Item.sha256, Item.used_at).where(Item.sha256.in_(last_uses))
            items = session.execute(query.order_by(Item.id).with_for_update()).all()
            pinned = _pinned_among(session, [item.id for item in items])
            spared = {i.sha256 for i in items if i.id in pinned or i.used_at > last_uses[i.sha256]}
            removed = {item.id: item.sha256 for item in items if item.sha256 not in spared}
            session.execute(delete(Item).where(Item.id.in_(removed)))
        return list(removed.values())


def _stored_bytes() -> ScalarSelect[int]:
    """Bytes of the blobs that have an item; the others are about to go."""
    blob, item = aliased(Blob), aliased(Item)
    total = func.coalesce(func.sum(blob.bytes), 0)
    return select(total).where(exists().where(item.sha256 == blob.sha256)).scalar_subquery()


def _least_used(session: Session, max_bytes: int) -> dict[str, float]:
    """Last use by digest of unpinned blobs, the least recently used first, until the others fit the budget.

    In one statement, so that what is stored and what can go are seen at one moment: items that others remove
    between the two would count as stored, and more would go than has to.
    """
    pinned = select(Item.sha256).join(Pin, Pin.item_id == Item.id)
    last_use = func.max(Item.used_at)
    query = (
        select(Blob.sha256, Blob.bytes, last_use, _stored_bytes())
        .join(Item, Item.sha256 == Blob.sha256)
        .where(Blob.sha256.not_in(pinned))
        .group_by(Blob.sha256, Blob.bytes)
        .order_by(last_use)
        .limit(AT_ONCE)
    )
    chosen: dict[str, float] = {}
    going = 0
    for sha256, size, used_at, stored in session.execute(query):
        if stored - going > max_bytes:
            chosen[sha256] = used_at
            going += size
    return chosen


def _is_pinned() -> ColumnElement[bool]:
    return exists().where(Pin.item_id == Item.id)


def _pinned_among(session: Session, ids: Iterable[str]) -> set[str]:
    """Those of the items, locked before, that are pinned: a pin may have come until the lock was there."""
    return set(session.scalars(select(Pin.item_id).where(Pin.item_id.in_(list(ids))).distinct()))

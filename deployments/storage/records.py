"""Rows of items, made from what a writer knows and turned into the records that cross the wire."""

import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from audiograph.schemas import Artifact, File
from deployments.audio.files import AudioInfo
from deployments.storage.names import base_name, checked_text
from deployments.storage.tables import Blob, Item, Tag

IDS_AT_ONCE = 500


@dataclass(frozen=True)
class Provenance:
    """Where an artifact comes from."""

    job_id: str | None = None
    task: str | None = None
    model: str | None = None
    variant: str | None = None
    weights: str | None = None
    creator: str | None = None
    parent_id: str | None = None
    variation_set_id: str | None = None
    tags: Sequence[str] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)


def new_file(sha256: str, name: str, media_type: str, audio: AudioInfo | None) -> Item:
    """The row of an upload."""
    return _item("file", sha256, name, media_type, audio)


def new_artifact(
    sha256: str, name: str, media_type: str, audio: AudioInfo | None, provenance: Provenance
) -> tuple[Item, list[Tag]]:
    """The row of an artifact, and those of its tags.

    Raises:
        InvalidRequest: a text in its provenance cannot be stored.
    """
    item = _item("artifact", sha256, name, media_type, audio)
    for origin in (
        "job_id",
        "task",
        "model",
        "variant",
        "weights",
        "creator",
        "parent_id",
        "variation_set_id",
    ):
        setattr(item, origin, checked_text(getattr(provenance, origin), origin))
    item.parameters = dict(provenance.parameters)
    tags = [checked_text(tag, "tags") for tag in dict.fromkeys(provenance.tags)]
    return item, [Tag(item_id=item.id, tag=tag) for tag in tags]


def _item(kind: str, sha256: str, name: str, media_type: str, audio: AudioInfo | None) -> Item:
    now = time.time()
    item = Item(
        id=f"{'art' if kind == 'artifact' else kind}_{uuid.uuid4().hex}",
        kind=kind,
        sha256=sha256,
        name=base_name(name),
        media_type=media_type,
        created_at=now,
        used_at=now,
    )
    if audio is not None:
        item.duration, item.sample_rate, item.channels = audio.duration, audio.sample_rate, audio.channels
    return item


def record(item: Item, size: int, tags: Iterable[str]) -> File | Artifact:
    """An item as the API shows it. Its ``url`` is a path: the ingress puts the host before it."""
    is_artifact = item.kind == "artifact"
    common = {
        "id": item.id,
        "name": item.name,
        "media_type": item.media_type,
        "bytes": size,
        "sha256": item.sha256,
        "url": f"/v1/{'artifacts' if is_artifact else 'files'}/{item.id}/content",
        "created_at": datetime.fromtimestamp(item.created_at, UTC),
        "duration": item.duration,
        "sample_rate": item.sample_rate,
        "channels": item.channels,
    }
    if not is_artifact:
        return File(**common)
    return Artifact(
        **common,
        job_id=item.job_id,
        task=item.task,
        model=item.model,
        variant=item.variant,
        weights=item.weights,
        creator=item.creator,
        parent_id=item.parent_id,
        variation_set_id=item.variation_set_id,
        tags=sorted(tags),
        parameters=item.parameters or {},
    )


def load_records(session: Session, ids: Sequence[str]) -> list[File | Artifact]:
    """Those of the items that exist, in the order of their ids."""
    found: dict[str, File | Artifact] = {}
    for start in range(0, len(ids), IDS_AT_ONCE):
        found |= _load(session, ids[start : start + IDS_AT_ONCE])
    return [found[item_id] for item_id in ids if item_id in found]


def _load(session: Session, ids: Sequence[str]) -> dict[str, File | Artifact]:
    tags: dict[str, list[str]] = {}
    for item_id, tag in session.execute(select(Tag.item_id, Tag.tag).where(Tag.item_id.in_(ids))):
        tags.setdefault(item_id, []).append(tag)
    items = select(Item, Blob.bytes).join(Blob, Blob.sha256 == Item.sha256).where(Item.id.in_(ids))
    return {item.id: record(item, size, tags.get(item.id, ())) for item, size in session.execute(items)}

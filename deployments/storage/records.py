"""Rows of items: creating them for a writer, and converting them to the records of the API."""

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
from deployments.storage.names import base_name, check_text
from deployments.storage.tables import Blob, Item, Tag

IDS_PER_QUERY = 500


@dataclass(frozen=True)
class Provenance:
    """Origin of an artifact: its job, model, lineage and parameters."""

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
    """Create the row of an uploaded file."""
    return _item("file", sha256, name, media_type, audio)


def new_artifact(
    sha256: str, name: str, media_type: str, audio: AudioInfo | None, provenance: Provenance
) -> tuple[Item, list[Tag]]:
    """Create the rows of an artifact and of its tags.

    Raises:
        InvalidRequest: a text in the provenance cannot be stored.
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
        setattr(item, origin, check_text(getattr(provenance, origin), origin))
    item.parameters = dict(provenance.parameters)
    tags = [check_text(tag, "tags") for tag in dict.fromkeys(provenance.tags)]
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
        item.offset, item.track, item.notes = audio.offset, audio.track, list(audio.notes)
    return item


def to_record(item: Item, size: int, tags: Iterable[str]) -> File | Artifact:
    """Convert an item to a record of the API. Its ``url`` is a path; the ingress adds the host."""
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
        "offset": item.offset,
        "track": item.track,
        "notes": item.notes or [],
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
    """Return the records of the existing items among these, in the same order."""
    records: dict[str, File | Artifact] = {}
    for start in range(0, len(ids), IDS_PER_QUERY):
        records |= _load(session, ids[start : start + IDS_PER_QUERY])
    return [records[item_id] for item_id in ids if item_id in records]


def _load(session: Session, ids: Sequence[str]) -> dict[str, File | Artifact]:
    tags: dict[str, list[str]] = {}
    for item_id, tag in session.execute(select(Tag.item_id, Tag.tag).where(Tag.item_id.in_(ids))):
        tags.setdefault(item_id, []).append(tag)
    items = select(Item, Blob.bytes).join(Blob, Blob.sha256 == Item.sha256).where(Item.id.in_(ids))
    return {item.id: to_record(item, size, tags.get(item.id, ())) for item, size in session.execute(items)}

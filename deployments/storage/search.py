"""Search over artifacts by filters, newest first, with pages that new artifacts do not shift."""

import base64
from typing import Annotated

from pydantic import FiniteFloat, StringConstraints, TypeAdapter
from sqlalchemy import Select, exists, select, tuple_
from sqlalchemy.orm import Session

from audiograph._patterns import ARTIFACT_ID
from audiograph._wording import shown
from audiograph.errors import InvalidRequest
from audiograph.schemas import Artifact, ArtifactPage
from deployments.storage.names import check_text
from deployments.storage.records import load_records
from deployments.storage.tables import Item, Tag

MAX_LIMIT = 1000

ArtifactId = Annotated[str, StringConstraints(pattern=ARTIFACT_ID)]
Position = tuple[FiniteFloat, ArtifactId]
"""End of a page: creation time and id of its last artifact."""

_POSITION = TypeAdapter[Position](Position)


def search(
    session: Session, *, tag: str | None, limit: int, cursor: str | None, **equal: str | None
) -> ArtifactPage:
    """Return a page of artifacts that have a tag and whose columns equal the given values; None matches any.

    Raises:
        InvalidRequest: the limit is not within 1..1000, the cursor is not the one of an earlier page, or a
            value contains characters that cannot be stored.
    """
    if not 1 <= limit <= MAX_LIMIT:
        raise InvalidRequest(f"limit is {limit}; it must be from 1 to {MAX_LIMIT}", field="limit")
    query = _filtered(tag, equal).order_by(Item.created_at.desc(), Item.id.desc())
    if cursor is not None:
        query = query.where(tuple_(Item.created_at, Item.id) < tuple_(*_position(cursor)))
    positions = [(row[0], row[1]) for row in session.execute(query.limit(limit + 1))]
    found = load_records(session, [item_id for _, item_id in positions[:limit]])
    return ArtifactPage(
        data=[artifact for artifact in found if isinstance(artifact, Artifact)],
        next_cursor=_cursor(positions[limit - 1]) if len(positions) > limit else None,
    )


def _filtered(tag: str | None, equal: dict[str, str | None]) -> Select[float, str]:
    query = select(Item.created_at, Item.id).where(Item.kind == "artifact")
    for column, value in equal.items():
        if value is not None:
            query = query.where(getattr(Item, column) == check_text(value, column))
    if tag is not None:
        query = query.where(exists().where(Tag.item_id == Item.id, Tag.tag == check_text(tag, "tag")))
    return query


def _cursor(position: Position) -> str:
    return base64.urlsafe_b64encode(_POSITION.dump_json(position)).decode().rstrip("=")


def _position(cursor: str) -> Position:
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        return _POSITION.validate_json(text)
    except ValueError as error:
        raise InvalidRequest(
            f"cursor {shown(cursor)} is not a cursor of this server; use next_cursor of the previous page",
            field="cursor",
        ) from error

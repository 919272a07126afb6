"""SQL tables of Audiograph's own state. The durable job library has its own in the same database.

A change needs a new revision under ``migrations/versions``. Times are seconds since the epoch (UTC), so that
they can be compared and subtracted on SQLite and PostgreSQL alike.
"""

from typing import Any

from sqlalchemy import JSON, BigInteger, Float, ForeignKey, Index, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """Base of all tables, with their metadata for Alembic."""

    type_annotation_map = {dict[str, Any]: JSON, int: BigInteger}  # noqa: RUF012


class Blob(Base):
    """Content, stored once under its SHA-256. A blob without items is removed with its content."""

    __tablename__ = "blobs"

    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    bytes: Mapped[int]
    created_at: Mapped[float]


class Item(Base):
    """An uploaded file or a job's artifact: the name and provenance of a blob."""

    __tablename__ = "items"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    """``file`` or ``artifact``."""
    sha256: Mapped[str] = mapped_column(ForeignKey("blobs.sha256"), index=True)
    name: Mapped[str] = mapped_column(String(255))
    media_type: Mapped[str] = mapped_column(String(128))
    created_at: Mapped[float]
    used_at: Mapped[float]
    """Time of the last read or reference by a job, for retention and the size budget."""
    duration: Mapped[float | None] = mapped_column(Float)
    sample_rate: Mapped[int | None]
    channels: Mapped[int | None]
    offset: Mapped[float | None] = mapped_column(Float)
    track: Mapped[int | None]
    notes: Mapped[list[str] | None] = mapped_column(JSON)
    job_id: Mapped[str | None] = mapped_column(String(64), index=True)
    task: Mapped[str | None] = mapped_column(String(32))
    model: Mapped[str | None] = mapped_column(String(128))
    variant: Mapped[str | None] = mapped_column(String(128))
    weights: Mapped[str | None] = mapped_column(String(16))
    creator: Mapped[str | None] = mapped_column(String(128), index=True)
    parent_id: Mapped[str | None] = mapped_column(String(64), index=True)
    variation_set_id: Mapped[str | None] = mapped_column(String(64), index=True)
    parameters: Mapped[dict[str, Any] | None] = mapped_column(JSON)

    __table_args__ = (Index("items_newest", "created_at", "id"), Index("items_least_used", "used_at"))


class Tag(Base):
    """A tag of an item."""

    __tablename__ = "tags"

    item_id: Mapped[str] = mapped_column(ForeignKey("items.id", ondelete="CASCADE"), primary_key=True)
    tag: Mapped[str] = mapped_column(String(128), primary_key=True, index=True)


VOICE_HOLDER_PREFIX = "voice:"
MAX_HOLDER = 64
"""Characters of a pin's holder."""
"""Prefix of a voice's name in the holder of a pin; other holders are ids of jobs."""


class Pin(Base):
    """Protection of an item from garbage collection and deletion, held by a live job or a voice."""

    __tablename__ = "pins"

    holder: Mapped[str] = mapped_column("job_id", String(MAX_HOLDER), primary_key=True)
    """Id of a job, or `VOICE_HOLDER_PREFIX` and the name of a voice."""
    item_id: Mapped[str] = mapped_column(
        ForeignKey("items.id", ondelete="RESTRICT"), primary_key=True, index=True
    )
    created_at: Mapped[float]


class Voice(Base):
    """A recorded voice, by its name. It holds a pin on its artifact."""

    __tablename__ = "voices"

    name: Mapped[str] = mapped_column(String(255), primary_key=True)
    item_id: Mapped[str] = mapped_column(ForeignKey("items.id", ondelete="RESTRICT"))
    fingerprint: Mapped[str | None] = mapped_column(String(128))
    """Fingerprint of a file of the voices folder, to detect changes; null for an uploaded voice."""
    created_at: Mapped[float]


class DesiredVariant(Base):
    """Desired state of a variant, set by an operator; replicas that start later follow it."""

    __tablename__ = "wanted_variants"

    model: Mapped[str] = mapped_column(String(128), primary_key=True)
    variant: Mapped[str] = mapped_column(String(128), primary_key=True)
    wanted: Mapped[bool]
    """Whether it is to be loaded."""
    updated_at: Mapped[float]


class Runner(Base):
    """Heartbeat of a job runner. When it stops, the other runners take over its jobs."""

    __tablename__ = "runners"

    executor_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    started_at: Mapped[float]
    heartbeat_at: Mapped[float]


class ApiKey(Base):
    """An API key, with the SHA-256 of its secret. The secret itself is never stored."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(128))
    secret_sha256: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[float]
    revoked_at: Mapped[float | None]

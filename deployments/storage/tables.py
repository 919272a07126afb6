"""The SQL tables of Audiograph's own state, beside those of the durable job library in the same database.

Changing one means a new revision under ``migrations/versions``. Times are seconds since the epoch (UTC):
they are compared and subtracted, on SQLite and PostgreSQL alike.
"""

from typing import Any

from sqlalchemy import JSON, BigInteger, Float, ForeignKey, Index, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """Collects the tables' metadata for Alembic."""

    type_annotation_map = {dict[str, Any]: JSON, int: BigInteger}  # noqa: RUF012


class Blob(Base):
    """Bytes stored once, under their SHA-256; a blob without items is removed with its content."""

    __tablename__ = "blobs"

    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    bytes: Mapped[int]
    created_at: Mapped[float]


class Item(Base):
    """A file (uploaded) or an artifact (made by a job): a name and a history for a blob."""

    __tablename__ = "items"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    """``file`` or ``artifact``."""
    sha256: Mapped[str] = mapped_column(ForeignKey("blobs.sha256"), index=True)
    name: Mapped[str] = mapped_column(String(255))
    media_type: Mapped[str] = mapped_column(String(128))
    created_at: Mapped[float]
    used_at: Mapped[float]
    """Last read or referred to by a job: what retention and the size budget go by."""
    duration: Mapped[float | None] = mapped_column(Float)
    sample_rate: Mapped[int | None]
    channels: Mapped[int | None]
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


VOICE_HOLDER = "voice:"
"""What a pin has before the name of a voice, where others have a job's id."""


class Pin(Base):
    """A live job, or a voice, needs an item: neither garbage collection nor a DELETE may take it."""

    __tablename__ = "pins"

    job_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    item_id: Mapped[str] = mapped_column(
        ForeignKey("items.id", ondelete="RESTRICT"), primary_key=True, index=True
    )
    created_at: Mapped[float]


class Voice(Base):
    """A recorded voice by its name; its artifact is pinned by `VOICE_HOLDER` and the name."""

    __tablename__ = "voices"

    name: Mapped[str] = mapped_column(String(255), primary_key=True)
    item_id: Mapped[str] = mapped_column(ForeignKey("items.id", ondelete="RESTRICT"))
    fingerprint: Mapped[str | None] = mapped_column(String(128))
    """Of a file of the voices folder, to see when it has changed; null for an uploaded voice."""
    created_at: Mapped[float]


class WantedVariant(Base):
    """A variant that an operator asked to be loaded (or not): replicas that start later follow it."""

    __tablename__ = "wanted_variants"

    model: Mapped[str] = mapped_column(String(128), primary_key=True)
    variant: Mapped[str] = mapped_column(String(128), primary_key=True)
    wanted: Mapped[bool]
    updated_at: Mapped[float]


class Runner(Base):
    """A job runner's heartbeat; when it falls silent, the others take over its jobs."""

    __tablename__ = "runners"

    executor_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    started_at: Mapped[float]
    heartbeat_at: Mapped[float]


class ApiKey(Base):
    """An API key by the SHA-256 of its secret; the secret itself is shown once and never stored."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(128))
    secret_sha256: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[float]
    revoked_at: Mapped[float | None]

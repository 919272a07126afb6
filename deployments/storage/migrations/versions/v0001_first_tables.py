"""Blobs, items with their tags and pins, wanted variants, runners, API keys."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = ("blobs", "items", "tags", "pins", "wanted_variants", "runners", "api_keys")


def upgrade() -> None:
    """Create the tables."""
    _create_content()
    _create_control()


def downgrade() -> None:
    """Drop the tables, and their indexes with them."""
    for table in reversed(TABLES):
        op.drop_table(table)


def _create_content() -> None:
    op.create_table(
        "blobs",
        sa.Column("sha256", sa.String(64), primary_key=True),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
    )
    op.create_table(
        "items",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("sha256", sa.String(64), sa.ForeignKey("blobs.sha256"), nullable=False, index=True),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("media_type", sa.String(128), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("used_at", sa.Double(), nullable=False),
        sa.Column("duration", sa.Float()),
        sa.Column("sample_rate", sa.BigInteger()),
        sa.Column("channels", sa.BigInteger()),
        sa.Column("job_id", sa.String(64), index=True),
        sa.Column("task", sa.String(32)),
        sa.Column("model", sa.String(128)),
        sa.Column("variant", sa.String(128)),
        sa.Column("weights", sa.String(16)),
        sa.Column("creator", sa.String(128), index=True),
        sa.Column("parent_id", sa.String(64), index=True),
        sa.Column("variation_set_id", sa.String(64), index=True),
        sa.Column("parameters", sa.JSON()),
        sa.Index("items_newest", "created_at", "id"),
        sa.Index("items_least_used", "used_at"),
    )
    op.create_table(
        "tags",
        sa.Column("item_id", sa.String(64), sa.ForeignKey("items.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("tag", sa.String(128), primary_key=True, index=True),
    )
    op.create_table(
        "pins",
        sa.Column("job_id", sa.String(64), primary_key=True),
        sa.Column(
            "item_id",
            sa.String(64),
            sa.ForeignKey("items.id", ondelete="RESTRICT"),
            primary_key=True,
            index=True,
        ),
        sa.Column("created_at", sa.Double(), nullable=False),
    )


def _create_control() -> None:
    op.create_table(
        "wanted_variants",
        sa.Column("model", sa.String(128), primary_key=True),
        sa.Column("variant", sa.String(128), primary_key=True),
        sa.Column("wanted", sa.Boolean(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
    )
    op.create_table(
        "runners",
        sa.Column("executor_id", sa.String(64), primary_key=True),
        sa.Column("started_at", sa.Double(), nullable=False),
        sa.Column("heartbeat_at", sa.Double(), nullable=False),
    )
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("secret_sha256", sa.String(64), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("revoked_at", sa.Double()),
    )

"""Recorded voices.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the table of voices."""
    op.create_table(
        "voices",
        sa.Column("name", sa.String(255), primary_key=True),
        sa.Column("item_id", sa.String(64), sa.ForeignKey("items.id", ondelete="RESTRICT"), nullable=False),
        sa.Column("fingerprint", sa.String(128)),
        sa.Column("created_at", sa.Double(), nullable=False),
    )


def downgrade() -> None:
    """Drop the table of voices."""
    op.drop_table("voices")

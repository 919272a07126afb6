"""Offset, track and notes of audio files.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the columns; of files that are stored already they stay null."""
    op.add_column("items", sa.Column("offset", sa.Float()))
    op.add_column("items", sa.Column("track", sa.BigInteger()))
    op.add_column("items", sa.Column("notes", sa.JSON()))


def downgrade() -> None:
    """Drop the columns."""
    for column in ("notes", "track", "offset"):
        op.drop_column("items", column)

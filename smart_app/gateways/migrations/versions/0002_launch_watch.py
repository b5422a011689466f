"""A watch on the next launch of one EHR, for whoever sets it up (``warm-referral doctor --watch``)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "launch_watch",
        sa.Column("tenant_id", sa.String(64), primary_key=True),
        sa.Column("watch_id", sa.String(36), primary_key=True),
        sa.Column("registration_id", sa.String(32), nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_launch_watch_expires", "launch_watch", ["tenant_id", "expires_at"])
    op.create_table(
        "launch_watch_report",
        sa.Column("tenant_id", sa.String(64), primary_key=True),
        sa.Column("watch_id", sa.String(36), primary_key=True),
        sa.Column("report_id", sa.String(36), primary_key=True),
        sa.Column("told_at", sa.BigInteger, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "watch_id"],
            ["launch_watch.tenant_id", "launch_watch.watch_id"],
            name="fk_launch_watch_report_watch",
            ondelete="CASCADE",
        ),
    )

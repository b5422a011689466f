"""What is known of a partner's system that does not answer, for all workers (circuit breaker)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "delivery_lane",
        sa.Column("tenant_id", sa.String(40), primary_key=True),
        sa.Column("lane", sa.LargeBinary, primary_key=True),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("paused_until", sa.Double, nullable=False),
    )

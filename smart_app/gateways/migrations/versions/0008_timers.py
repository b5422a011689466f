"""When a program is staffed, on its own clock: the timers of its promise count those hours."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("partner", sa.Column("staffed", sa.String(200), nullable=False, server_default="always"))
    op.add_column("partner", sa.Column("time_zone", sa.String(64)))

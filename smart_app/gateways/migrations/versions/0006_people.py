"""Whom a patient leaves out."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "exclusion",
        sa.Column("tenant_id", sa.String(40), primary_key=True),
        sa.Column("patient_index", sa.LargeBinary, primary_key=True),
        sa.Column("person_index", sa.LargeBinary, primary_key=True),
        sa.Column("author_index", sa.LargeBinary, primary_key=True),
        sa.Column("month", sa.String(7), nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
    )

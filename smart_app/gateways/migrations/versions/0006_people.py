"""Whom a patient leaves out, and who is held because they may be a contact of the patient."""

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
    op.create_table(
        "contact_hold",
        sa.Column("tenant_id", sa.String(40), primary_key=True),
        sa.Column("patient_index", sa.LargeBinary, primary_key=True),
        sa.Column("person_index", sa.LargeBinary, primary_key=True),
        sa.Column("hold_id", sa.String(36), nullable=False),
        sa.Column("month", sa.String(7), nullable=False),
        sa.Column("is_released", sa.Boolean, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("tenant_id", "hold_id", name="uq_contact_hold_id"),
    )

"""Since when a program reads exactly what it reads of a Task: what ``_lastUpdated`` means to it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "partner_view",
        sa.Column("tenant_id", sa.String(40), primary_key=True),
        sa.Column("view_index", sa.LargeBinary, primary_key=True),
        sa.Column("month", sa.String(7), nullable=False),
        sa.Column("case_id", sa.String(36), nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "case_id"], ["vault_case.tenant_id", "vault_case.case_id"], name="fk_partner_view_case"
        ),
    )
    op.create_index("ix_partner_view_case", "partner_view", ["tenant_id", "case_id"])

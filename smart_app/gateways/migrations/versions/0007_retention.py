"""Legal hold, what a second person has to confirm, and keys that wrap nothing any more."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# A wrap is format (1 byte), key id (8 bytes) and the rest: see ``cipher``.
SQLITE = """
CREATE TRIGGER vault_key_not_retired BEFORE INSERT ON vault_key
WHEN EXISTS (
    SELECT 1 FROM retired_key WHERE tenant_id = NEW.tenant_id AND key_id = substr(NEW.wrapped, 2, 8)
)
BEGIN SELECT RAISE(ABORT, 'the key that wraps this was retired'); END
"""
POSTGRESQL = (
    """
CREATE FUNCTION vault_key_not_retired() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT 1 FROM retired_key WHERE tenant_id = NEW.tenant_id AND key_id = substring(NEW.wrapped FROM 2 FOR 8)
    ) THEN
        RAISE EXCEPTION 'the key that wraps this was retired';
    END IF;
    RETURN NEW;
END $$
""",
    "CREATE TRIGGER vault_key_not_retired BEFORE INSERT ON vault_key"
    " FOR EACH ROW EXECUTE FUNCTION vault_key_not_retired()",
)


def tenant() -> sa.Column[str]:
    return sa.Column("tenant_id", sa.String(40), primary_key=True)


def upgrade() -> None:
    op.create_table(
        "legal_hold",
        tenant(),
        sa.Column("case_id", sa.String(36), primary_key=True),
        sa.Column("month", sa.String(7), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "case_id"], ["vault_case.tenant_id", "vault_case.case_id"], name="fk_legal_hold_case"
        ),
    )
    op.create_table(
        "second_look",
        tenant(),
        sa.Column("ask_id", sa.String(36), primary_key=True),
        sa.Column("month", sa.String(7), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.CheckConstraint("kind IN ('erase', 'hold-set', 'hold-lift', 'patient-copy')", name="ck_second_look_kind"),
    )
    op.create_table(
        "retired_key",
        tenant(),
        sa.Column("key_id", sa.LargeBinary, primary_key=True),
        sa.Column("month", sa.String(7), nullable=False),
    )
    op.create_table(
        "erased_key",
        tenant(),
        sa.Column("case_id", sa.String(36), primary_key=True),
        sa.Column("month", sa.String(7), nullable=False),
    )
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    for statement in POSTGRESQL if is_postgresql else (SQLITE,):
        op.execute(statement)

"""A program's inbox: accounts, passkeys, invitations, sessions, the staff alert; and when a person opened an item."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def tenant() -> sa.Column[str]:
    return sa.Column("tenant_id", sa.String(40), primary_key=True)


def of_member() -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["tenant_id", "member_id"], ["inbox_member.tenant_id", "inbox_member.member_id"], ondelete="CASCADE"
    )


def upgrade() -> None:
    facts_about_programs()
    people()
    sessions()


def facts_about_programs() -> None:
    op.add_column("vault_case", sa.Column("opened_at", sa.Double))
    op.add_column("partner", sa.Column("inbox_alert", sa.String(8)))
    op.add_column("partner", sa.Column("tells_opened", sa.Boolean, nullable=False, server_default=sa.true()))
    op.add_column("partner", sa.Column("full_on", sa.Date))
    op.add_column("partner", sa.Column("is_answering", sa.Boolean, nullable=False, server_default=sa.true()))
    op.create_table(
        "inbox_alert",
        tenant(),
        sa.Column("partner_id", sa.String(40), primary_key=True),
        sa.Column("route", sa.String(8), nullable=False),
        sa.Column("test", sa.String(8), nullable=False),
        sa.Column("due_at", sa.Double),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("sealed", sa.LargeBinary),
    )


def people() -> None:
    op.create_table(
        "inbox_member",
        tenant(),
        sa.Column("member_id", sa.String(36), primary_key=True),
        sa.Column("partner_id", sa.String(40), nullable=False),
        sa.Column("month", sa.String(7), nullable=False),
        sa.Column("is_admin", sa.Boolean, nullable=False),
        sa.Column("is_ready", sa.Boolean, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
    )
    op.create_index("ix_inbox_member_partner", "inbox_member", ["tenant_id", "partner_id"])
    op.create_table(
        "inbox_invite",
        tenant(),
        sa.Column("invite_index", sa.LargeBinary, primary_key=True),
        sa.Column("partner_id", sa.String(40), nullable=False),
        sa.Column("month", sa.String(7), nullable=False),
        sa.Column("is_admin", sa.Boolean, nullable=False),
        sa.Column("code_index", sa.LargeBinary, nullable=False),
        sa.Column("wrong_codes", sa.Integer, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
    )
    op.create_index("ix_inbox_invite_partner", "inbox_invite", ["tenant_id", "partner_id"])
    op.create_table(
        "inbox_passkey",
        tenant(),
        sa.Column("credential_index", sa.LargeBinary, primary_key=True),
        sa.Column("member_id", sa.String(36), nullable=False),
        sa.Column("month", sa.String(7), nullable=False),
        sa.Column("sign_count", sa.BigInteger, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        of_member(),
    )
    op.create_index("ix_inbox_passkey_member", "inbox_passkey", ["tenant_id", "member_id"])
    op.create_table(
        "inbox_recovery_code",
        tenant(),
        sa.Column("code_index", sa.LargeBinary, primary_key=True),
        sa.Column("member_id", sa.String(36), nullable=False),
        sa.Column("month", sa.String(7), nullable=False),
        of_member(),
    )
    op.create_index("ix_inbox_recovery_code_member", "inbox_recovery_code", ["tenant_id", "member_id"])


def sessions() -> None:
    op.create_table(
        "inbox_session",
        tenant(),
        sa.Column("session_index", sa.LargeBinary, primary_key=True),
        sa.Column("member_id", sa.String(36)),
        sa.Column("is_shared", sa.Boolean, nullable=False),
        sa.Column("last_seen_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        of_member(),
    )
    op.create_index("ix_inbox_session_expires", "inbox_session", ["tenant_id", "expires_at"])

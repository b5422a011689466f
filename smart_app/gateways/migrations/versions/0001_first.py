"""The first schema: vault, audit chain, facts, delivery, alerts, partners, and the tables of ``launch``.

Written by hand and never edited after a release; the next change is the next file.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# The closed set of labels a row may carry: C confidentiality, A ActCode, R ActReason, O ObservationValue.
CLOSED_SET = (
    *("C|V", "C|R"),
    *("A|SDV", "A|ADOL", "A|MST", "A|VIO", "A|SEX"),
    *("A|NORDSCLCD", "A|NOREUSE", "A|PERSISTLABEL", "A|CPLYCD", "A|LOCIS", "A|NORELINK", "A|NOPAT"),
    *("R|TREAT", "R|COC", "R|HPRGRP", "R|HTEST"),
    *("O|PATRPT", "O|CLINAST", "O|AGGRED", "O|ANONYED"),
)


def tenant() -> sa.Column[str]:
    return sa.Column("tenant_id", sa.String(40), primary_key=True)


def launch_tenant() -> sa.Column[str]:
    return sa.Column("tenant_id", sa.String(64), primary_key=True)


def label_check() -> str:
    """What is left of ``labels`` without the known ones must be nothing; one level of two, and SDV, must be there."""
    rest = "labels"
    for label in CLOSED_SET:
        rest = f"replace({rest}, '[{label}]', '')"
    has_one_level = (
        "(labels LIKE '[C|V]%' AND labels NOT LIKE '%[C|R]%' OR labels LIKE '[C|R]%' AND labels NOT LIKE '%[C|V]%')"
    )
    return f"{rest} = '' AND {has_one_level} AND labels LIKE '%[A|SDV]%'"


def upgrade() -> None:
    vault()
    audit()
    work()
    directory()
    launch()


def vault() -> None:
    op.create_table(
        "vault_case",
        tenant(),
        sa.Column("case_id", sa.String(36), primary_key=True),
        sa.Column("month", sa.String(7), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("is_open", sa.Boolean, nullable=False),
        sa.Column("needs_person", sa.Boolean, nullable=False),
        sa.Column("due_on", sa.Date),
        sa.Column("patient_index", sa.LargeBinary),
        sa.Column("author_index", sa.LargeBinary, nullable=False),
        sa.Column("partner_index", sa.LargeBinary),
        sa.Column("transport", sa.String(16)),
        sa.Column("details", sa.LargeBinary, nullable=False),
        sa.CheckConstraint("kind IN ('disclosure', 'referral', 'inbound')", name="ck_vault_case_kind"),
    )
    op.create_index("ix_vault_case_patient", "vault_case", ["tenant_id", "patient_index", "kind"])
    op.create_index("ix_vault_case_partner", "vault_case", ["tenant_id", "partner_index", "kind"])
    op.create_index("ix_vault_case_open", "vault_case", ["tenant_id", "kind", "is_open"])
    op.create_table(
        "vault_key",
        tenant(),
        sa.Column("case_id", sa.String(36), primary_key=True),
        sa.Column("month", sa.String(7), nullable=False),
        sa.Column("wrapped", sa.LargeBinary, nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "case_id"], ["vault_case.tenant_id", "vault_case.case_id"], name="fk_vault_key_case"
        ),
    )
    op.create_table(
        "vault_resource",
        tenant(),
        sa.Column("resource_type", sa.String(32), primary_key=True),
        sa.Column("resource_id", sa.String(64), primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True),
        sa.Column("case_id", sa.String(36), nullable=False),
        sa.Column("ordinal", sa.Integer, nullable=False),
        sa.Column("month", sa.String(7), nullable=False),
        sa.Column("is_current", sa.Boolean, nullable=False),
        sa.Column("labels", sa.Text, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("ehr_copy", sa.LargeBinary),
        sa.CheckConstraint(label_check(), name="ck_vault_resource_labels"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "case_id"], ["vault_case.tenant_id", "vault_case.case_id"], name="fk_vault_resource_case"
        ),
    )
    op.create_index("ix_vault_resource_case", "vault_resource", ["tenant_id", "case_id", "resource_type"])
    op.create_index(
        "uq_vault_resource_current",
        "vault_resource",
        ["tenant_id", "resource_type", "resource_id"],
        unique=True,
        sqlite_where=sa.text("is_current"),
        postgresql_where=sa.text("is_current"),
    )
    op.create_table(
        "vault_receipt",
        tenant(),
        sa.Column("receipt_index", sa.LargeBinary, primary_key=True),
        sa.Column("month", sa.String(7), nullable=False),
        sa.Column("task_id", sa.String(64), nullable=False),
        sa.Column("body_digest", sa.LargeBinary, nullable=False),
    )


def audit() -> None:
    op.create_table(
        "audit_row",
        tenant(),
        sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("month", sa.String(7), nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("prev_hash", sa.LargeBinary, nullable=False),
        sa.Column("row_hash", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "audit_head",
        tenant(),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("row_hash", sa.LargeBinary, nullable=False),
    )
    if op.get_bind().dialect.name == "sqlite":
        for change in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER audit_row_no_{change.lower()} BEFORE {change} ON audit_row "
                "BEGIN SELECT RAISE(ABORT, 'audit_row is append-only'); END"
            )
    else:
        op.execute(
            "CREATE FUNCTION audit_row_append_only() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'audit_row is append-only'; END $$"
        )
        op.execute(
            "CREATE TRIGGER audit_row_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_row "
            "FOR EACH STATEMENT EXECUTE FUNCTION audit_row_append_only()"
        )


def work() -> None:
    op.create_table(
        "fact",
        tenant(),
        sa.Column("site_id", sa.String(40), primary_key=True),
        sa.Column("month", sa.String(7), primary_key=True),
        sa.Column("kind", sa.String(32), primary_key=True),
        sa.Column("outcome", sa.String(32), primary_key=True),
        sa.Column("total", sa.Integer, nullable=False),
    )
    op.create_table(
        "delivery",
        tenant(),
        sa.Column("change", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("month", sa.String(7), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("lane", sa.LargeBinary),
        sa.Column("case_id", sa.String(36)),
        sa.Column("reference", sa.String(100)),
        sa.Column("due_at", sa.Double),
        sa.Column("lease_until", sa.Double),
        sa.Column("lease_owner", sa.String(36)),
        sa.Column("last_error_code", sa.String(40)),
        sa.CheckConstraint("state IN ('open', 'done', 'dead')", name="ck_delivery_state"),
    )
    for name, columns, where in (
        ("ix_delivery_open", ["tenant_id", "change"], "state = 'open'"),
        ("ix_delivery_case", ["tenant_id", "case_id"], "state <> 'done'"),
    ):
        op.create_index(name, "delivery", columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))
    op.create_table("delivery_head", tenant(), sa.Column("last_change", sa.BigInteger, nullable=False))
    op.create_table(
        "alert",
        tenant(),
        sa.Column("alert_id", sa.String(36), primary_key=True),
        sa.Column("month", sa.String(7), nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("reference", sa.String(100)),
        sa.Column("is_open", sa.Boolean, nullable=False),
    )
    op.create_index("ix_alert_open", "alert", ["tenant_id", "is_open"])


def directory() -> None:
    op.create_table(
        "partner",
        tenant(),
        sa.Column("partner_id", sa.String(40), primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("phone", sa.Text, nullable=False),
        sa.Column("says", sa.Text, nullable=False),
        sa.Column("who_answers", sa.Text, nullable=False),
        sa.Column("languages", sa.Text, nullable=False),
        sa.Column("hours", sa.Text, nullable=False),
        sa.Column("mou_starts_on", sa.Date, nullable=False),
        sa.Column("mou_ends_on", sa.Date, nullable=False),
        sa.Column("is_suspended", sa.Boolean, nullable=False),
        sa.Column("acknowledge_minutes", sa.Integer, nullable=False),
        sa.Column("has_capacity", sa.Boolean, nullable=False),
        sa.Column("fhir_address", sa.Text),
        sa.Column("token_endpoint", sa.Text),
        sa.Column("our_client_id", sa.Text),
        sa.Column("client_id", sa.String(255)),
        sa.UniqueConstraint("tenant_id", "client_id", name="uq_partner_client"),
    )


def launch() -> None:
    op.create_table(
        "launch_session",
        launch_tenant(),
        sa.Column("session_id", sa.String(36), primary_key=True),
        sa.Column("cookie_hash", sa.String(64), nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("last_seen_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("tenant_id", "cookie_hash", name="uq_launch_session_cookie"),
    )
    op.create_table(
        "launch_pending",
        launch_tenant(),
        sa.Column("state_hash", sa.String(64), primary_key=True),
        sa.Column("session_id", sa.String(36), nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        of_session("fk_launch_pending_session"),
    )
    op.create_index("ix_launch_pending_session", "launch_pending", ["tenant_id", "session_id"])
    op.create_table(
        "launch_launch",
        launch_tenant(),
        sa.Column("launch_id", sa.String(36), primary_key=True),
        sa.Column("session_id", sa.String(36), nullable=False),
        sa.Column("sealed_context", sa.LargeBinary, nullable=False),
        sa.Column("sealed_tokens", sa.LargeBinary, nullable=False),
        sa.Column("token_version", sa.Integer, nullable=False),
        sa.Column("refresh_lease_until", sa.BigInteger, nullable=False),
        sa.Column("last_seen_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        of_session("fk_launch_launch_session"),
    )
    op.create_index("ix_launch_launch_session", "launch_launch", ["tenant_id", "session_id"])
    op.create_table(
        "launch_note",
        launch_tenant(),
        sa.Column("launch_id", sa.String(36), primary_key=True),
        sa.Column("note_key", sa.String(64), primary_key=True),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "launch_id"],
            ["launch_launch.tenant_id", "launch_launch.launch_id"],
            name="fk_launch_note_launch",
            ondelete="CASCADE",
        ),
    )
    op.create_table(
        "launch_client",
        launch_tenant(),
        sa.Column("client_id", sa.String(255), primary_key=True),
        sa.Column("jwks_url", sa.Text),
        sa.Column("jwks", sa.Text),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("is_enabled", sa.Boolean, nullable=False),
    )
    op.create_table(
        "launch_jti",
        launch_tenant(),
        sa.Column("issuer", sa.String(255), primary_key=True),
        sa.Column("jti_hash", sa.String(64), primary_key=True),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "launch_token",
        launch_tenant(),
        sa.Column("token_hash", sa.String(64), primary_key=True),
        sa.Column("client_id", sa.String(255), nullable=False),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("jti_hash", sa.String(64), nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "launch_attempt",
        launch_tenant(),
        sa.Column("bucket", sa.String(64), primary_key=True),
        sa.Column("minute", sa.BigInteger, primary_key=True),
        sa.Column("attempts", sa.Integer, nullable=False),
    )
    for table in ("session", "pending", "launch", "jti", "token"):
        op.create_index(f"ix_launch_{table}_expires", f"launch_{table}", ["tenant_id", "expires_at"])


def of_session(name: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["tenant_id", "session_id"],
        ["launch_session.tenant_id", "launch_session.session_id"],
        name=name,
        ondelete="CASCADE",
    )

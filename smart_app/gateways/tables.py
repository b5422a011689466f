"""The vault's tables, as SQL sees them. Created by ``migrations`` alone; a test compares the two.

``tenant_id`` (one health center) comes first in every key and index, and each row says its month, so that PostgreSQL
can partition without a rewrite. No column holds a name, a contact, a partner of a case or the exact time of closed
work: ids are opaque, people and partners are keyed digests (``*_index``, ``lane``), the rest is sealed.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    Double,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData()


def _tenant() -> Column[str]:
    return Column("tenant_id", String(40), primary_key=True)


# One case: what a disclosure or a referral opens. ``details`` seals who, whose, with which partner and when.
vault_case = Table(
    "vault_case",
    metadata,
    _tenant(),
    Column("case_id", String(36), primary_key=True),
    Column("month", String(7), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("is_open", Boolean, nullable=False),
    Column("needs_person", Boolean, nullable=False),
    Column("due_on", Date),  # open work only
    Column("patient_index", LargeBinary),
    Column("author_index", LargeBinary, nullable=False),
    Column("partner_index", LargeBinary),
    Column("transport", String(16)),  # content-free: see ports.Outbox.state_of
    Column("opened_at", Double),  # when a person at the program first opened it; open work only
    Column("details", LargeBinary, nullable=False),
    CheckConstraint("kind IN ('disclosure', 'referral', 'inbound')", name="ck_vault_case_kind"),
    Index("ix_vault_case_patient", "tenant_id", "patient_index", "kind"),
    Index("ix_vault_case_partner", "tenant_id", "partner_index", "kind"),
    Index("ix_vault_case_open", "tenant_id", "kind", "is_open"),
)

# The case's data key, wrapped by a key of the key ring. Deleting the row erases the case; see ``key_ring`` for copies.
vault_key = Table(
    "vault_key",
    metadata,
    _tenant(),
    Column("case_id", String(36), primary_key=True),
    Column("month", String(7), nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
    ForeignKeyConstraint(
        ["tenant_id", "case_id"], ["vault_case.tenant_id", "vault_case.case_id"], name="fk_vault_key_case"
    ),
)

# Each version of each resource stays; ``labels`` is "[C|V][A|SDV]…" of the closed set (see ``vault.label_text``).
vault_resource = Table(
    "vault_resource",
    metadata,
    _tenant(),
    Column("resource_type", String(32), primary_key=True),
    Column("resource_id", String(64), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("case_id", String(36), nullable=False),
    Column("ordinal", Integer, nullable=False),
    Column("month", String(7), nullable=False),
    Column("is_current", Boolean, nullable=False),
    Column("labels", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("ehr_copy", LargeBinary),
    ForeignKeyConstraint(
        ["tenant_id", "case_id"], ["vault_case.tenant_id", "vault_case.case_id"], name="fk_vault_resource_case"
    ),
    Index("ix_vault_resource_case", "tenant_id", "case_id", "resource_type"),
    Index(
        "uq_vault_resource_current",
        "tenant_id",
        "resource_type",
        "resource_id",
        unique=True,
        sqlite_where=text("is_current"),
        postgresql_where=text("is_current"),
    ),
)

# What an inbound identifier led to (idempotency). Keyed digests and our own opaque id, nothing of the sender.
vault_receipt = Table(
    "vault_receipt",
    metadata,
    _tenant(),
    Column("receipt_index", LargeBinary, primary_key=True),
    Column("month", String(7), nullable=False),
    Column("task_id", String(64), nullable=False),
    Column("body_digest", LargeBinary, nullable=False),
)

# Append-only, one hash chain per tenant. The head row is locked in the commit that adds to the chain.
audit_row = Table(
    "audit_row",
    metadata,
    _tenant(),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("month", String(7), nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("prev_hash", LargeBinary, nullable=False),
    Column("row_hash", LargeBinary, nullable=False),
)

audit_head = Table(
    "audit_head",
    metadata,
    _tenant(),
    Column("position", BigInteger, nullable=False),
    Column("row_hash", LargeBinary, nullable=False),
)

# Counts without identifiers (R33).
fact = Table(
    "fact",
    metadata,
    _tenant(),
    Column("site_id", String(40), primary_key=True),
    Column("month", String(7), primary_key=True),
    Column("kind", String(32), primary_key=True),
    Column("outcome", String(32), primary_key=True),
    Column("total", Integer, nullable=False),
)

# Outbound work. Exact times and ids stand on open rows only; a finished row is emptied.
delivery = Table(
    "delivery",
    metadata,
    _tenant(),
    Column("change", BigInteger, primary_key=True, autoincrement=False),
    Column("month", String(7), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("state", String(8), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("lane", LargeBinary),
    Column("case_id", String(36)),
    Column("reference", String(100)),
    Column("due_at", Double),
    Column("lease_until", Double),
    Column("lease_owner", String(36)),
    Column("last_error_code", String(40)),
    CheckConstraint("state IN ('open', 'done', 'dead')", name="ck_delivery_state"),
    Index(
        "ix_delivery_open",
        "tenant_id",
        "change",
        sqlite_where=text("state = 'open'"),
        postgresql_where=text("state = 'open'"),
    ),
    Index(
        "ix_delivery_case",
        "tenant_id",
        "case_id",
        sqlite_where=text("state <> 'done'"),
        postgresql_where=text("state <> 'done'"),
    ),
)

# A partner's system that failed last time: how often in a row, and until when nobody asks. Gone when it answers.
delivery_lane = Table(
    "delivery_lane",
    metadata,
    _tenant(),
    Column("lane", LargeBinary, primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("paused_until", Double, nullable=False),
)

delivery_head = Table("delivery_head", metadata, _tenant(), Column("last_change", BigInteger, nullable=False))

# Since when a program reads exactly what it reads of one Task: sealed ETag and time, under the key of the Task's case.
# It is what ``_lastUpdated`` means to a program: a change that it may not see has no time either (R21).
partner_view = Table(
    "partner_view",
    metadata,
    _tenant(),
    Column("view_index", LargeBinary, primary_key=True),
    Column("month", String(7), nullable=False),
    Column("case_id", String(36), nullable=False),
    Column("body", LargeBinary, nullable=False),
    ForeignKeyConstraint(
        ["tenant_id", "case_id"], ["vault_case.tenant_id", "vault_case.case_id"], name="fk_partner_view_case"
    ),
    Index("ix_partner_view_case", "tenant_id", "case_id"),
)

# Something a role should look at; an opaque reference at most.
alert = Table(
    "alert",
    metadata,
    _tenant(),
    Column("alert_id", String(36), primary_key=True),
    Column("month", String(7), nullable=False),
    Column("kind", String(40), nullable=False),
    Column("reference", String(100)),
    Column("is_open", Boolean, nullable=False),
    Index("ix_alert_open", "tenant_id", "is_open"),
)

# Whom a patient leaves out (R22): a person of one EHR, or somebody of the family. Keyed digests; names are sealed.
exclusion = Table(
    "exclusion",
    metadata,
    _tenant(),
    Column("patient_index", LargeBinary, primary_key=True),
    Column("person_index", LargeBinary, primary_key=True),
    Column("author_index", LargeBinary, primary_key=True),
    Column("month", String(7), nullable=False),
    Column("sealed", LargeBinary, nullable=False),
)

# Somebody who may be a contact of the patient (R24), until the privacy officer releases it. What matched is sealed.
contact_hold = Table(
    "contact_hold",
    metadata,
    _tenant(),
    Column("patient_index", LargeBinary, primary_key=True),
    Column("person_index", LargeBinary, primary_key=True),
    Column("hold_id", String(36), nullable=False),
    Column("month", String(7), nullable=False),
    Column("is_released", Boolean, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    UniqueConstraint("tenant_id", "hold_id", name="uq_contact_hold_id"),
)

# DSV programs and our agreements with them: public facts. ``says``, ``languages`` are JSON lists.
partner = Table(
    "partner",
    metadata,
    _tenant(),
    Column("partner_id", String(40), primary_key=True),
    Column("name", Text, nullable=False),
    Column("phone", Text, nullable=False),
    Column("says", Text, nullable=False),
    Column("who_answers", Text, nullable=False),
    Column("languages", Text, nullable=False),
    Column("hours", Text, nullable=False),
    Column("mou_starts_on", Date, nullable=False),
    Column("mou_ends_on", Date, nullable=False),
    Column("is_suspended", Boolean, nullable=False),
    Column("acknowledge_minutes", Integer, nullable=False),
    Column("has_capacity", Boolean, nullable=False),
    Column("fhir_address", Text),
    Column("token_endpoint", Text),
    Column("our_client_id", Text),
    Column("client_id", String(255)),
    Column("inbox_alert", String(8)),
    Column("tells_opened", Boolean, nullable=False),
    Column("full_on", Date),
    Column("is_answering", Boolean, nullable=False),
    Column("staffed", String(200), nullable=False),
    Column("time_zone", String(64)),
    UniqueConstraint("tenant_id", "client_id", name="uq_partner_client"),
)

# A program's inbox: people, their passkeys, invitations, sessions. Codes, cookies and credential ids are keyed digests;
# names, keys and addresses are sealed. Whoever is removed is gone from every table at once.
inbox_member = Table(
    "inbox_member",
    metadata,
    _tenant(),
    Column("member_id", String(36), primary_key=True),
    Column("partner_id", String(40), nullable=False),
    Column("month", String(7), nullable=False),
    Column("is_admin", Boolean, nullable=False),
    Column("is_ready", Boolean, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Index("ix_inbox_member_partner", "tenant_id", "partner_id"),
)

inbox_invite = Table(
    "inbox_invite",
    metadata,
    _tenant(),
    Column("invite_index", LargeBinary, primary_key=True),
    Column("partner_id", String(40), nullable=False),
    Column("month", String(7), nullable=False),
    Column("is_admin", Boolean, nullable=False),
    Column("code_index", LargeBinary, nullable=False),
    Column("wrong_codes", Integer, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Index("ix_inbox_invite_partner", "tenant_id", "partner_id"),
)


def _of_member() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        ["tenant_id", "member_id"], ["inbox_member.tenant_id", "inbox_member.member_id"], ondelete="CASCADE"
    )


inbox_passkey = Table(
    "inbox_passkey",
    metadata,
    _tenant(),
    Column("credential_index", LargeBinary, primary_key=True),
    Column("member_id", String(36), nullable=False),
    Column("month", String(7), nullable=False),
    Column("sign_count", BigInteger, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    _of_member(),
    Index("ix_inbox_passkey_member", "tenant_id", "member_id"),
)

inbox_recovery_code = Table(
    "inbox_recovery_code",
    metadata,
    _tenant(),
    Column("code_index", LargeBinary, primary_key=True),
    Column("member_id", String(36), nullable=False),
    Column("month", String(7), nullable=False),
    _of_member(),
    Index("ix_inbox_recovery_code_member", "tenant_id", "member_id"),
)

# ``member_id`` is empty until somebody signed in. Exact times stand here for as long as the session lives.
inbox_session = Table(
    "inbox_session",
    metadata,
    _tenant(),
    Column("session_index", LargeBinary, primary_key=True),
    Column("member_id", String(36)),
    Column("is_shared", Boolean, nullable=False),
    Column("last_seen_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    _of_member(),
    Index("ix_inbox_session_expires", "tenant_id", "expires_at"),
)

# How a program's staff are told that something waits. ``test`` is none, waiting, sent or opened. The alert that is due
# is one for all items, so that neither their number nor what they are shows in a mailbox.
inbox_alert = Table(
    "inbox_alert",
    metadata,
    _tenant(),
    Column("partner_id", String(40), primary_key=True),
    Column("route", String(8), nullable=False),
    Column("test", String(8), nullable=False),
    Column("due_at", Double),
    Column("attempts", Integer, nullable=False),
    Column("sealed", LargeBinary),
)

# A legal hold: while its row stands, the case cannot be erased; the key to the case forbids it too.
legal_hold = Table(
    "legal_hold",
    metadata,
    _tenant(),
    Column("case_id", String(36), primary_key=True),
    Column("month", String(7), nullable=False),
    ForeignKeyConstraint(
        ["tenant_id", "case_id"], ["vault_case.tenant_id", "vault_case.case_id"], name="fk_legal_hold_case"
    ),
)

# What one person asked for and a second one has to confirm. Who asked, and why, is sealed; gone when it is decided.
second_look = Table(
    "second_look",
    metadata,
    _tenant(),
    Column("ask_id", String(36), primary_key=True),
    Column("month", String(7), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    CheckConstraint("kind IN ('erase', 'hold-set', 'hold-lift', 'patient-copy')", name="ck_second_look_kind"),
)

# Keys that wrap no case key any more. A trigger of ``vault_key`` refuses a wrap by one of these: a process that still
# holds it gets an error, and no case is lost (see ``key_ring``).
retired_key = Table(
    "retired_key",
    metadata,
    _tenant(),
    Column("key_id", LargeBinary, primary_key=True),
    Column("month", String(7), nullable=False),
)

# Cases that were erased while older copies of the database still open them. Emptied when those copies are dead.
erased_key = Table(
    "erased_key",
    metadata,
    _tenant(),
    Column("case_id", String(36), primary_key=True),
    Column("month", String(7), nullable=False),
)

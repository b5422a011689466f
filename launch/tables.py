"""The tables of ``launch``. It creates none: the app's migrations do, and a test compares the two.

All times are whole Unix seconds (UTC), so SQLite and PostgreSQL compare them alike. ``tenant_id`` comes first in every
key. What tells something about a person, a code or a token is sealed before it gets here; a cookie, a state and a
bearer token are kept as SHA-256 only, so a copy of the database opens no session.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()

# One browser session. ``session_id`` never leaves the database; ``cookie_hash`` is replaced when the cookie rotates.
launch_session = Table(
    "launch_session",
    metadata,
    Column("tenant_id", String(64), primary_key=True),
    Column("session_id", String(36), primary_key=True),
    Column("cookie_hash", String(64), nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("last_seen_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    UniqueConstraint("tenant_id", "cookie_hash", name="uq_launch_session_cookie"),
    Index("ix_launch_session_expires", "tenant_id", "expires_at"),
)

# A launch on its way through the EHR's authorization server. Taken (deleted) once, by its state.
launch_pending = Table(
    "launch_pending",
    metadata,
    Column("tenant_id", String(64), primary_key=True),
    Column("state_hash", String(64), primary_key=True),
    Column("session_id", String(36), nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    ForeignKeyConstraint(
        ["tenant_id", "session_id"],
        ["launch_session.tenant_id", "launch_session.session_id"],
        name="fk_launch_pending_session",
        ondelete="CASCADE",
    ),
    Index("ix_launch_pending_session", "tenant_id", "session_id"),
    Index("ix_launch_pending_expires", "tenant_id", "expires_at"),
)

# One finished launch. ``token_version`` grows with each refresh and fences it: a refresh token is used once.
launch_launch = Table(
    "launch_launch",
    metadata,
    Column("tenant_id", String(64), primary_key=True),
    Column("launch_id", String(36), primary_key=True),
    Column("session_id", String(36), nullable=False),
    Column("sealed_context", LargeBinary, nullable=False),
    Column("sealed_tokens", LargeBinary, nullable=False),
    Column("token_version", Integer, nullable=False),
    Column("refresh_lease_until", BigInteger, nullable=False),
    Column("last_seen_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    ForeignKeyConstraint(
        ["tenant_id", "session_id"],
        ["launch_session.tenant_id", "launch_session.session_id"],
        name="fk_launch_launch_session",
        ondelete="CASCADE",
    ),
    Index("ix_launch_launch_session", "tenant_id", "session_id"),
    Index("ix_launch_launch_expires", "tenant_id", "expires_at"),
)

# What the app wants to remember of one launch (the answer to the privacy question, for example), sealed.
launch_note = Table(
    "launch_note",
    metadata,
    Column("tenant_id", String(64), primary_key=True),
    Column("launch_id", String(36), primary_key=True),
    Column("note_key", String(64), primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
    ForeignKeyConstraint(
        ["tenant_id", "launch_id"],
        ["launch_launch.tenant_id", "launch_launch.launch_id"],
        name="fk_launch_note_launch",
        ondelete="CASCADE",
    ),
)

# Partners as clients of our token endpoint. ``jwks`` is JSON text; ``scopes`` is separated by blanks.
launch_client = Table(
    "launch_client",
    metadata,
    Column("tenant_id", String(64), primary_key=True),
    Column("client_id", String(255), primary_key=True),
    Column("jwks_url", Text),
    Column("jwks", Text),
    Column("scopes", Text, nullable=False),
    Column("is_enabled", Boolean, nullable=False),
)

# Assertions already used, until their exp has passed: shared by all workers, so a second use finds the row.
launch_jti = Table(
    "launch_jti",
    metadata,
    Column("tenant_id", String(64), primary_key=True),
    Column("issuer", String(255), primary_key=True),
    Column("jti_hash", String(64), primary_key=True),
    Column("expires_at", BigInteger, nullable=False),
    Index("ix_launch_jti_expires", "tenant_id", "expires_at"),
)

# Access tokens that our token endpoint gave out, as SHA-256.
launch_token = Table(
    "launch_token",
    metadata,
    Column("tenant_id", String(64), primary_key=True),
    Column("token_hash", String(64), primary_key=True),
    Column("client_id", String(255), nullable=False),
    Column("scopes", Text, nullable=False),
    Column("jti_hash", String(64), nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Index("ix_launch_token_expires", "tenant_id", "expires_at"),
)

# How often an address, and a client from that address, asked for a token in one minute. Shared by all workers.
launch_attempt = Table(
    "launch_attempt",
    metadata,
    Column("tenant_id", String(64), primary_key=True),
    Column("bucket", String(64), primary_key=True),
    Column("minute", BigInteger, primary_key=True),
    Column("attempts", Integer, nullable=False),
)

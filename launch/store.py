"""The tables of ``launch`` and nothing but SQL on them. It creates no table: the app's migrations do.

All times are whole Unix seconds (UTC), so SQLite and PostgreSQL compare them alike. ``tenant_id`` comes first in every
key. What tells something about a person, a code or a token is sealed before it gets here; a cookie, a state and a
bearer token are kept as SHA-256 only, so a copy of the database opens no session.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Protocol

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
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.engine import Connection, Engine

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


class Cipher(Protocol):
    """What seals our rows; ``purpose`` is bound to the ciphertext, so a sealed value opens in its own row only."""

    def seal(self, plaintext: bytes, *, purpose: str) -> bytes:
        """Encrypt under the installation's key."""

    def open(self, sealed: bytes, *, purpose: str) -> bytes:
        """Decrypt; fails when the purpose is another one."""


@dataclass(frozen=True)
class SessionRow:
    """One live browser session. ``data`` is what Flask calls the session."""

    session_id: str
    data: dict[str, Any]
    last_seen_at: int
    expires_at: int


@dataclass(frozen=True)
class LaunchRow:
    """One live launch. ``context`` and ``tokens`` are JSON; see ``launch.context`` and ``launch.tokens``."""

    launch_id: str
    session_id: str
    context: dict[str, Any]
    tokens: dict[str, Any]
    token_version: int
    refresh_lease_until: int
    last_seen_at: int
    expires_at: int


def digest(secret: str) -> str:
    """SHA-256 of a value that has enough entropy of its own: cookie, state, token."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


class LaunchStore:
    """Rows of one tenant, sealed and unsealed. Reads take no write lock: SQLite has one writer.

    Deleting a session or a launch deletes what hangs on it, also where the database does not enforce foreign keys.
    """

    def __init__(self, engine: Engine, cipher: Cipher, tenant_id: str) -> None:
        self._reading = engine.execution_options(is_read_only=True)
        self._engine = engine
        self._cipher = cipher
        self._tenant_id = tenant_id

    # --- browser sessions

    def create_session(self, session_id: str, cookie: str, *, now: int, expires_at: int) -> None:
        """A new browser session without a launch."""
        values = {
            "session_id": session_id,
            "cookie_hash": digest(cookie),
            "sealed": self._seal("session", session_id, {}),
        }
        with self._engine.begin() as connection:
            self._insert(connection, launch_session, **values, last_seen_at=now, expires_at=expires_at)

    def session_of(self, cookie: str, *, now: int, idle_seconds: int) -> SessionRow | None:
        """The session this cookie opens, unless it ended or was left alone too long."""
        table = launch_session
        query = select(table).where(
            table.c.tenant_id == self._tenant_id,
            table.c.cookie_hash == digest(cookie),
            table.c.expires_at > now,
            table.c.last_seen_at > now - idle_seconds,
        )
        with self._reading.connect() as connection:
            row = connection.execute(query).mappings().one_or_none()
        if row is None:
            return None
        data = self._open("session", row["session_id"], row["sealed"])
        return SessionRow(row["session_id"], data, row["last_seen_at"], row["expires_at"])

    def save_session(self, session_id: str, data: dict[str, Any]) -> None:
        """Replace what Flask keeps in the session."""
        self._update_session(session_id, sealed=self._seal("session", session_id, data))

    def touch_session(self, session_id: str, *, now: int) -> None:
        """Note that the session is in use."""
        self._update_session(session_id, last_seen_at=now)

    def end_session(self, session_id: str) -> None:
        """Drop a session with its launches and whatever was on its way."""
        with self._engine.begin() as connection:
            self._delete_sessions(connection, [session_id])

    # --- launches on their way

    def add_pending(self, state: str, session_id: str, content: dict[str, Any], *, now: int, expires_at: int) -> None:
        """Keep what the callback needs, under the hash of ``state``. Clears away what has expired."""
        state_hash = digest(state)
        sealed = self._seal("pending", state_hash, content)
        values = {"state_hash": state_hash, "session_id": session_id, "sealed": sealed, "expires_at": expires_at}
        with self._engine.begin() as connection:
            self._clear_expired(connection, now)
            self._insert(connection, launch_pending, **values)
            self._update(connection, launch_session, launch_session.c.session_id == session_id, last_seen_at=now)

    def take_pending(self, state: str, session_id: str, *, now: int) -> dict[str, Any] | None:
        """What was kept under ``state`` for this browser session, once: the row is gone afterwards."""
        table, state_hash = launch_pending, digest(state)
        where = (
            table.c.tenant_id == self._tenant_id,
            table.c.state_hash == state_hash,
            table.c.session_id == session_id,
        )
        with self._engine.begin() as connection:
            row = connection.execute(select(table.c.sealed, table.c.expires_at).where(*where)).one_or_none()
            taken = row is not None and connection.execute(delete(table).where(*where)).rowcount == 1
        if row is None or not taken or row.expires_at <= now:
            return None
        return self._open("pending", state_hash, row.sealed)

    # --- finished launches

    def add_launch(self, row: LaunchRow, *, new_cookie: str, session_expires_at: int) -> bool:
        """Keep a finished launch and rotate the cookie of its session, in one transaction. False: no such session."""
        with self._engine.begin() as connection:
            rotated = self._update(
                connection,
                launch_session,
                launch_session.c.session_id == row.session_id,
                cookie_hash=digest(new_cookie),
                last_seen_at=row.last_seen_at,
                expires_at=session_expires_at,
            )
            if rotated == 1:
                self._insert(
                    connection,
                    launch_launch,
                    launch_id=row.launch_id,
                    session_id=row.session_id,
                    sealed_context=self._seal("context", row.launch_id, row.context),
                    sealed_tokens=self._seal("tokens", row.launch_id, row.tokens),
                    token_version=row.token_version,
                    refresh_lease_until=row.refresh_lease_until,
                    last_seen_at=row.last_seen_at,
                    expires_at=row.expires_at,
                )
        return rotated == 1

    def launch(self, launch_id: str, *, now: int, idle_seconds: int, session_id: str | None = None) -> LaunchRow | None:
        """A live launch; with ``session_id`` only if it belongs to that browser session. One statement either way."""
        table = launch_launch
        query = select(table).where(
            table.c.tenant_id == self._tenant_id,
            table.c.launch_id == launch_id,
            table.c.expires_at > now,
            table.c.last_seen_at > now - idle_seconds,
        )
        if session_id is not None:
            query = query.where(table.c.session_id == session_id)
        with self._reading.connect() as connection:
            row = connection.execute(query).mappings().one_or_none()
        return None if row is None else self._launch_row(row)

    def launches_of(self, session_id: str) -> list[LaunchRow]:
        """All launches of one browser session."""
        table = launch_launch
        query = select(table).where(table.c.tenant_id == self._tenant_id, table.c.session_id == session_id)
        with self._reading.connect() as connection:
            return [self._launch_row(row) for row in connection.execute(query).mappings()]

    def touch_launch(self, launch_id: str, *, now: int) -> None:
        """Note that the launch is in use."""
        with self._engine.begin() as connection:
            self._update(connection, launch_launch, launch_launch.c.launch_id == launch_id, last_seen_at=now)

    def end_launch(self, launch_id: str) -> tuple[LaunchRow | None, bool]:
        """Drop a launch. Returns what it was (to revoke its tokens), and whether its session ended with it."""
        table = launch_launch
        with self._engine.begin() as connection:
            query = select(table).where(table.c.tenant_id == self._tenant_id, table.c.launch_id == launch_id)
            row = connection.execute(query).mappings().one_or_none()
            if row is None:
                return None, False
            self._delete(connection, launch_note, launch_note.c.launch_id == launch_id)
            self._delete(connection, table, table.c.launch_id == launch_id)
            is_last = not any(self._has_rows(connection, kind, row["session_id"]) for kind in (table, launch_pending))
            if is_last:
                self._delete(connection, launch_session, launch_session.c.session_id == row["session_id"])
        return self._launch_row(row), is_last

    def expired_launches(self, *, now: int, idle_seconds: int, limit: int = 100) -> list[LaunchRow]:
        """Launches that nobody may use any more, oldest first."""
        table = launch_launch
        is_over = (table.c.expires_at <= now) | (table.c.last_seen_at <= now - idle_seconds)
        query = select(table).where(table.c.tenant_id == self._tenant_id, is_over).order_by(table.c.expires_at)
        with self._reading.connect() as connection:
            return [self._launch_row(row) for row in connection.execute(query.limit(limit)).mappings()]

    # --- refresh: one at a time, and no refresh token twice

    def lease_refresh(self, launch_id: str, token_version: int, *, until: int) -> bool:
        """Become the only one to use this refresh token. A lease is never taken over: whoever held it may have sent."""
        table = launch_launch
        with self._engine.begin() as connection:
            where = (
                table.c.launch_id == launch_id,
                table.c.token_version == token_version,
                table.c.refresh_lease_until == 0,
            )
            return self._update(connection, table, *where, refresh_lease_until=until) == 1

    def release_refresh(self, launch_id: str, token_version: int) -> None:
        """Give the lease back because nothing was sent."""
        table = launch_launch
        with self._engine.begin() as connection:
            where = (table.c.launch_id == launch_id, table.c.token_version == token_version)
            self._update(connection, table, *where, refresh_lease_until=0)

    def replace_tokens(
        self, launch_id: str, token_version: int, *, tokens: dict[str, Any], context: dict[str, Any]
    ) -> bool:
        """Store refreshed tokens, fenced by the version they were refreshed from."""
        table = launch_launch
        with self._engine.begin() as connection:
            changed = self._update(
                connection,
                table,
                table.c.launch_id == launch_id,
                table.c.token_version == token_version,
                sealed_tokens=self._seal("tokens", launch_id, tokens),
                sealed_context=self._seal("context", launch_id, context),
                token_version=token_version + 1,
                refresh_lease_until=0,
            )
        return changed == 1

    # --- notes

    def put_note(self, launch_id: str, key: str, value: Any) -> None:
        """Remember one JSON value of a live launch."""
        table = launch_note
        sealed = self._seal("note", f"{launch_id}|{key}", {"value": value})
        with self._engine.begin() as connection:
            where = (table.c.launch_id == launch_id, table.c.note_key == key)
            if self._update(connection, table, *where, sealed=sealed) == 0:
                self._insert(connection, table, launch_id=launch_id, note_key=key, sealed=sealed)

    def note(self, launch_id: str, key: str) -> Any:
        """The remembered JSON value, or None."""
        table = launch_note
        query = select(table.c.sealed).where(
            table.c.tenant_id == self._tenant_id, table.c.launch_id == launch_id, table.c.note_key == key
        )
        with self._reading.connect() as connection:
            sealed = connection.execute(query).scalar_one_or_none()
        return None if sealed is None else self._open("note", f"{launch_id}|{key}", sealed)["value"]

    # --- how rows are read and written

    def _launch_row(self, row: Any) -> LaunchRow:
        launch_id = row["launch_id"]
        return LaunchRow(
            launch_id,
            row["session_id"],
            self._open("context", launch_id, row["sealed_context"]),
            self._open("tokens", launch_id, row["sealed_tokens"]),
            row["token_version"],
            row["refresh_lease_until"],
            row["last_seen_at"],
            row["expires_at"],
        )

    def _purpose(self, kind: str, row_id: str) -> str:
        return f"launch-{kind}|{self._tenant_id}|{row_id}"

    def _seal(self, kind: str, row_id: str, content: dict[str, Any]) -> bytes:
        return self._cipher.seal(json.dumps(content).encode(), purpose=self._purpose(kind, row_id))

    def _open(self, kind: str, row_id: str, sealed: bytes) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self._cipher.open(sealed, purpose=self._purpose(kind, row_id)))
        return content

    def _update_session(self, session_id: str, **values: Any) -> None:
        with self._engine.begin() as connection:
            self._update(connection, launch_session, launch_session.c.session_id == session_id, **values)

    def _insert(self, connection: Connection, table: Table, **values: Any) -> None:
        connection.execute(insert(table).values(tenant_id=self._tenant_id, **values))

    def _update(self, connection: Connection, table: Table, *where: Any, **values: Any) -> int:
        statement = update(table).where(table.c.tenant_id == self._tenant_id, *where).values(**values)
        return connection.execute(statement).rowcount

    def _delete(self, connection: Connection, table: Table, *where: Any) -> int:
        return connection.execute(delete(table).where(table.c.tenant_id == self._tenant_id, *where)).rowcount

    def _has_rows(self, connection: Connection, table: Table, session_id: str) -> bool:
        query = select(table.c.session_id).where(table.c.tenant_id == self._tenant_id, table.c.session_id == session_id)
        return connection.execute(query.limit(1)).first() is not None

    def _clear_expired(self, connection: Connection, now: int) -> None:
        """Pending launches past their time, and sessions past theirs that hold no launch any more."""
        self._delete(connection, launch_pending, launch_pending.c.expires_at <= now)
        table = launch_session
        has_launch = select(launch_launch.c.session_id).where(launch_launch.c.tenant_id == self._tenant_id)
        query = select(table.c.session_id).where(
            table.c.tenant_id == self._tenant_id, table.c.expires_at <= now, table.c.session_id.not_in(has_launch)
        )
        self._delete_sessions(connection, list(connection.execute(query.limit(100)).scalars()))

    def _delete_sessions(self, connection: Connection, session_ids: list[str]) -> None:
        if not session_ids:
            return
        ended = select(launch_launch.c.launch_id).where(
            launch_launch.c.tenant_id == self._tenant_id, launch_launch.c.session_id.in_(session_ids)
        )
        self._delete(connection, launch_note, launch_note.c.launch_id.in_(ended))
        for table in (launch_launch, launch_pending, launch_session):
            self._delete(connection, table, table.c.session_id.in_(session_ids))

"""Nothing but SQL on the tables of ``launch``: browser sessions, launches on their way and finished, their notes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import Table, bindparam, delete, select
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import IntegrityError

from launch.statements import (
    bound,
    delete_where,
    insert_into,
    insert_or_replace,
    select_where,
    take_where,
    update_where,
)
from launch.tables import launch_launch, launch_note, launch_pending, launch_session

CLEAR_SECONDS = 20  # how often launches that were begun and not finished are cleared away


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


Beside = Callable[[Connection], None]  # writes beside ours, in our transaction: both stand or neither


def nothing_more(connection: Connection) -> None:
    """Nothing beside."""


def digest(secret: str) -> str:
    """SHA-256 of a value that has enough entropy of its own: cookie, state, token."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


_EXPIRED_PENDING = delete(launch_pending).where(
    launch_pending.c.tenant_id == bindparam("tenant"), launch_pending.c.expires_at <= bindparam("now")
)
_DEAD_SESSIONS = (
    select(launch_session.c.session_id)
    .where(
        launch_session.c.tenant_id == bindparam("tenant"),
        launch_session.c.expires_at <= bindparam("now"),
        launch_session.c.session_id.not_in(
            select(launch_launch.c.session_id).where(launch_launch.c.tenant_id == bindparam("tenant"))
        ),
    )
    .limit(100)
)


class LaunchStore:
    """Rows of one tenant, sealed and unsealed. Reads take no write lock: SQLite has one writer.

    Deleting a session or a launch deletes what hangs on it, also where the database does not enforce foreign keys.
    """

    def __init__(self, engine: Engine, cipher: Cipher, tenant_id: str) -> None:
        self._reading = engine.execution_options(is_read_only="once")  # one statement for each connection taken
        self._engine = engine
        self._cipher = cipher
        self._tenant_id = tenant_id
        self._cleared_at: int | None = None

    # --- browser sessions

    def create_session(self, session_id: str, cookie: str, *, now: int, expires_at: int) -> None:
        """A new browser session without a launch."""
        with self._engine.begin() as connection:
            self._insert_session(connection, session_id, cookie, now, expires_at)

    def _insert_session(self, connection: Connection, session_id: str, cookie: str, now: int, expires_at: int) -> None:
        sealed = self._seal("session", session_id, {})
        values = {"session_id": session_id, "cookie_hash": digest(cookie), "sealed": sealed}
        self._insert(connection, launch_session, **values, last_seen_at=now, expires_at=expires_at)

    def session_of(self, cookie: str, *, now: int, idle_seconds: int) -> SessionRow | None:
        """The session this cookie opens, unless it ended or was left alone too long."""
        where, alive = {"cookie_hash": digest(cookie)}, {"expires_at": now, "last_seen_at": now - idle_seconds}
        with self._reading.connect() as connection:
            row = self._select(connection, launch_session, where, **alive).one_or_none()
        if row is None:
            return None
        data = self._open("session", row["session_id"], row["sealed"])
        return SessionRow(row["session_id"], data, row["last_seen_at"], row["expires_at"])

    def save_session(self, session_id: str, data: dict[str, Any]) -> None:
        """Replace what Flask keeps in the session."""
        sealed = self._seal("session", session_id, data)
        with self._engine.begin() as connection:
            self._update(connection, launch_session, {"session_id": session_id}, sealed=sealed)

    def touch_session(self, session_id: str, *, now: int) -> None:
        """Note that the session is in use."""
        with self._engine.begin() as connection:
            self._update(connection, launch_session, {"session_id": session_id}, last_seen_at=now)

    def end_session(self, session_id: str) -> None:
        """Drop a session with its launches and whatever was on its way."""
        with self._engine.begin() as connection:
            self._delete_sessions(connection, [session_id])

    # --- launches on their way

    def add_pending(
        self,
        state: str,
        session_id: str,
        content: dict[str, Any],
        *,
        now: int,
        expires_at: int,
        new_cookie: str | None = None,
        also: Beside = nothing_more,
    ) -> None:
        """Keep what the callback needs, under the hash of ``state``. Now and then clears away what has expired.
        ``new_cookie``: the session is new, and begins with it. ``also`` writes in the same transaction."""
        state_hash = digest(state)
        sealed = self._seal("pending", state_hash, content)
        values = {"state_hash": state_hash, "session_id": session_id, "sealed": sealed, "expires_at": expires_at}
        with self._engine.begin() as connection:
            self._clear_expired(connection, now)
            if new_cookie is None:
                self._update(connection, launch_session, {"session_id": session_id}, last_seen_at=now)
            else:
                self._insert_session(connection, session_id, new_cookie, now, expires_at)
            self._insert(connection, launch_pending, **values)
            also(connection)

    def take_pending(self, state: str, session_id: str, *, now: int) -> dict[str, Any] | None:
        """What was kept under ``state`` for this browser session, once: the row is gone afterwards."""
        state_hash = digest(state)
        where = {"tenant_id": self._tenant_id, "state_hash": state_hash, "session_id": session_id}
        with self._engine.begin() as connection:
            row = connection.execute(take_where(launch_pending, tuple(where)), bound(where)).mappings().one_or_none()
        if row is None or row["expires_at"] <= now:
            return None
        return self._open("pending", state_hash, row["sealed"])

    # --- finished launches

    def add_launch(
        self,
        row: LaunchRow,
        *,
        new_cookie: str,
        session_expires_at: int,
        data: dict[str, Any] | None = None,
        also: Beside = nothing_more,
    ) -> bool:
        """Keep a finished launch and rotate the cookie of its session, in one transaction. False: no such session.
        ``data``: what Flask keeps in the session from now on. ``also`` writes in the same transaction."""
        kept = {} if data is None else {"sealed": self._seal("session", row.session_id, data)}
        with self._engine.begin() as connection:
            rotated = self._update(
                connection,
                launch_session,
                {"session_id": row.session_id},
                cookie_hash=digest(new_cookie),
                last_seen_at=row.last_seen_at,
                expires_at=session_expires_at,
                **kept,
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
                also(connection)
        return rotated == 1

    def launch(self, launch_id: str, *, now: int, idle_seconds: int, session_id: str | None = None) -> LaunchRow | None:
        """A live launch; with ``session_id`` only if it belongs to that browser session. One statement either way."""
        where = {"launch_id": launch_id} if session_id is None else {"launch_id": launch_id, "session_id": session_id}
        alive = {"expires_at": now, "last_seen_at": now - idle_seconds}
        with self._reading.connect() as connection:
            row = self._select(connection, launch_launch, where, **alive).one_or_none()
        return None if row is None else self._launch_row(row)

    def launches_of(self, session_id: str, *, but: str = "") -> list[LaunchRow]:
        """All launches of one browser session, but for one."""
        with self._reading.connect() as connection:
            rows = self._select(connection, launch_launch, {"session_id": session_id}).all()
        return [self._launch_row(row) for row in rows if row["launch_id"] != but]

    def touch_launch(self, launch_id: str, *, now: int) -> None:
        """Note that the launch is in use."""
        with self._engine.begin() as connection:
            self._update(connection, launch_launch, {"launch_id": launch_id}, last_seen_at=now)

    def end_launch(self, launch_id: str) -> tuple[LaunchRow | None, bool]:
        """Drop a launch. Returns what it was (to revoke its tokens), and whether its session ended with it."""
        table = launch_launch
        with self._engine.begin() as connection:
            row = self._select(connection, table, {"launch_id": launch_id}).one_or_none()
            if row is None:
                return None, False
            self._delete(connection, launch_note, {"launch_id": launch_id})
            self._delete(connection, table, {"launch_id": launch_id})
            where = {"session_id": row["session_id"]}
            is_last = not any(self._select(connection, kind, where).first() for kind in (table, launch_pending))
            if is_last:
                self._delete(connection, launch_session, where)
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
        with self._engine.begin() as connection:
            where = {"launch_id": launch_id, "token_version": token_version, "refresh_lease_until": 0}
            return self._update(connection, launch_launch, where, refresh_lease_until=until) == 1

    def release_refresh(self, launch_id: str, token_version: int) -> None:
        """Give the lease back because nothing was sent."""
        with self._engine.begin() as connection:
            where = {"launch_id": launch_id, "token_version": token_version}
            self._update(connection, launch_launch, where, refresh_lease_until=0)

    def replace_tokens(
        self, launch_id: str, token_version: int, *, tokens: dict[str, Any], context: dict[str, Any]
    ) -> bool:
        """Store refreshed tokens, fenced by the version they were refreshed from."""
        with self._engine.begin() as connection:
            where = {"launch_id": launch_id, "token_version": token_version}
            changed = self._update(
                connection,
                launch_launch,
                where,
                sealed_tokens=self._seal("tokens", launch_id, tokens),
                sealed_context=self._seal("context", launch_id, context),
                token_version=token_version + 1,
                refresh_lease_until=0,
            )
        return changed == 1

    # --- notes

    def put_note(self, launch_id: str, key: str, value: Any) -> None:
        """Remember one JSON value; of many at once one stands. ``IntegrityError`` when the launch is over."""
        sealed = self._seal("note", f"{launch_id}|{key}", {"value": value})
        row = {"tenant_id": self._tenant_id, "launch_id": launch_id, "note_key": key, "sealed": sealed}
        with self._engine.begin() as connection:
            connection.execute(insert_or_replace(launch_note, ("sealed",), dialect_name=self._engine.name), row)

    def claim_note(self, launch_id: str, key: str) -> bool:
        """Leave an empty note under ``key``; False when there is one already. One of many at once gets True.
        ``IntegrityError`` when the launch is over."""
        sealed = self._seal("note", f"{launch_id}|{key}", {"value": None})
        try:
            with self._engine.begin() as connection:
                self._insert(connection, launch_note, launch_id=launch_id, note_key=key, sealed=sealed)
        except IntegrityError:
            if self._sealed_note(launch_id, key) is None:
                raise
            return False
        return True

    def drop_note(self, launch_id: str, key: str) -> None:
        """Forget one note."""
        with self._engine.begin() as connection:
            self._delete(connection, launch_note, {"launch_id": launch_id, "note_key": key})

    def note(self, launch_id: str, key: str) -> Any:
        """The remembered JSON value, or None."""
        sealed = self._sealed_note(launch_id, key)
        return None if sealed is None else self._open("note", f"{launch_id}|{key}", sealed)["value"]

    def _sealed_note(self, launch_id: str, key: str) -> bytes | None:
        with self._reading.connect() as connection:
            row = self._select(connection, launch_note, {"launch_id": launch_id, "note_key": key}).one_or_none()
        return None if row is None else row["sealed"]

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

    def _insert(self, connection: Connection, table: Table, **values: Any) -> None:
        connection.execute(insert_into(table), {"tenant_id": self._tenant_id, **values})

    def _update(self, connection: Connection, table: Table, where: dict[str, Any], **values: Any) -> int:
        where = {"tenant_id": self._tenant_id, **where}
        statement = update_where(table, tuple(where), tuple(values))
        return connection.execute(statement, bound(where, values)).rowcount

    def _delete(self, connection: Connection, table: Table, where: dict[str, Any]) -> int:
        where = {"tenant_id": self._tenant_id, **where}
        return connection.execute(delete_where(table, tuple(where)), bound(where)).rowcount

    def _select(self, connection: Connection, table: Table, where: dict[str, Any], **later_than: Any) -> Any:
        where = {"tenant_id": self._tenant_id, **where}
        statement = select_where(table, tuple(where), tuple(later_than))
        return connection.execute(statement, bound({**where, **later_than})).mappings()

    def _clear_expired(self, connection: Connection, now: int) -> None:
        """Pending launches past their time, and sessions past theirs that hold no launch any more. Nobody is let in by
        them meanwhile: whoever reads one looks at its time."""
        if self._cleared_at is not None and now - self._cleared_at < CLEAR_SECONDS:
            return
        self._cleared_at = now
        values = {"tenant": self._tenant_id, "now": now}
        connection.execute(_EXPIRED_PENDING, values)
        self._delete_sessions(connection, list(connection.execute(_DEAD_SESSIONS, values).scalars()))

    def _delete_sessions(self, connection: Connection, session_ids: list[str]) -> None:
        if not session_ids:
            return
        ended = select(launch_launch.c.launch_id).where(
            launch_launch.c.tenant_id == self._tenant_id, launch_launch.c.session_id.in_(session_ids)
        )
        hanging = [launch_note.c.launch_id.in_(ended)]
        hanging += [table.c.session_id.in_(session_ids) for table in (launch_launch, launch_pending, launch_session)]
        for condition in hanging:
            table = condition.left.table
            connection.execute(delete(table).where(table.c.tenant_id == self._tenant_id, condition))

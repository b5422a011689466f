"""Browser sessions of the programs' people: found by the digest of the cookie, sealed, ended with their member."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Engine, delete, or_, select, update

from smart_app.gateways.cipher import MasterCipher, SealError
from smart_app.gateways.tables import inbox_session
from smart_app.inbox_ports import KeptSession

IDLE_SECONDS = 10 * 60  # a person of a program signs in again after that (R28)
SHARED_IDLE_SECONDS = 4 * 60  # a page at a shared computer empties itself after 3 minutes


class SqlSessions:
    """Implements ``inbox_ports.Sessions``."""

    def __init__(self, engine: Engine, cipher: MasterCipher) -> None:
        self._engine = engine
        self._reading = engine.execution_options(is_read_only="once")
        self._cipher = cipher

    def read(self, cookie: str, now: int) -> KeptSession | None:
        """The session, unless it is over or was left alone too long."""
        with self._reading.begin() as connection:
            row = connection.execute(select(inbox_session).where(*self._is(cookie))).one_or_none()
        if row is None or row.expires_at <= now:
            return None
        if now - row.last_seen_at >= (SHARED_IDLE_SECONDS if row.is_shared else IDLE_SECONDS):
            return None
        try:
            data = json.loads(self._cipher.open(bytes(row.sealed), purpose=self._purpose(cookie)))
        except SealError:
            return None
        return KeptSession(cookie, data, row.member_id, bool(row.is_shared), row.last_seen_at)

    def write(self, session: KeptSession, *, expires_at: int | None, now: int) -> None:
        """A new row with ``expires_at``, else the data of the row that is there."""
        sealed = self._cipher.seal(json.dumps(dict(session.data)).encode(), purpose=self._purpose(session.cookie))
        statement: Any
        if expires_at is None:
            statement = update(inbox_session).where(*self._is(session.cookie)).values(sealed=sealed)
        else:
            statement = inbox_session.insert().values(
                tenant_id=self._cipher.tenant_id,
                session_index=self._index(session.cookie),
                member_id=session.member_id,
                is_shared=session.is_shared,
                last_seen_at=now,
                expires_at=expires_at,
                sealed=sealed,
            )
        with self._engine.begin() as connection:
            connection.execute(statement)

    def touch(self, cookie: str, now: int) -> None:
        """Somebody is there."""
        with self._engine.begin() as connection:
            connection.execute(update(inbox_session).where(*self._is(cookie)).values(last_seen_at=now))

    def end(self, cookie: str) -> None:
        """Nothing of it is left."""
        with self._engine.begin() as connection:
            connection.execute(delete(inbox_session).where(*self._is(cookie)))

    def sweep(self, now: int) -> None:
        """Rows that no cookie opens any more."""
        gone = or_(inbox_session.c.expires_at <= now, inbox_session.c.last_seen_at <= now - IDLE_SECONDS)
        with self._engine.begin() as connection:
            connection.execute(delete(inbox_session).where(inbox_session.c.tenant_id == self._cipher.tenant_id, gone))

    def _is(self, cookie: str) -> tuple[Any, ...]:
        return (
            inbox_session.c.tenant_id == self._cipher.tenant_id,
            inbox_session.c.session_index == self._index(cookie),
        )

    def _index(self, cookie: str) -> bytes:
        return self._cipher.blind_index("inbox-session", cookie)

    def _purpose(self, cookie: str) -> str:
        return f"inbox-session|{self._index(cookie).hex()}"

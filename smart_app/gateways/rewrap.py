"""Wraps every case key anew and ends the keys that wrapped them before: what older copies of the database hold is dead.

It may be interrupted anywhere and simply runs again: as long as the ring has two wrapping keys, both open what they
wrapped, and the newest wraps what is new. A process that slept through it cannot lose a case: the database refuses a
wrap by a retired key.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, bindparam, func, select, text, update

from smart_app.gateways.cipher import MasterCipher, SealError
from smart_app.gateways.engine import empty_wal, insert_ignoring
from smart_app.gateways.key_ring import KeyRing
from smart_app.gateways.tables import retired_key, vault_key

CHUNK = 1000
WRAP_ID = func.substr(vault_key.c.wrapped, 2, 8)  # see ``cipher``: format, key id, the rest
_SET = (
    update(vault_key)
    .where(
        vault_key.c.tenant_id == bindparam("tenant"),
        vault_key.c.case_id == bindparam("case"),
        vault_key.c.wrapped == bindparam("before"),
    )
    .values(wrapped=bindparam("after"))
)


def rotate(
    engine: Engine,
    cipher: MasterCipher,
    ring: KeyRing,
    now: datetime,
    *,
    before_the_old_goes: Callable[[], object] = lambda: None,
) -> int:
    """How many case keys were wrapped anew. Afterwards only the newest wrapping key is left. ``before_the_old_goes``
    runs when nothing in the database needs the old one any more: it writes the key copy, which must not need it either.
    """
    with ring.held():
        if len(ring.wrap_ids) == 1:
            ring.add_wrap()
        *old, newest = ring.wrap_ids
        done = sum(_rewrap(engine, cipher, newest))
        with engine.begin() as connection:
            done += _retire(connection, cipher, old, newest, now)
        before_the_old_goes()
        ring.drop_old_wraps()
        empty_wal(engine)
    return done


def _rewrap(engine: Engine, cipher: MasterCipher, newest: bytes) -> Iterator[int]:
    """A chunk per transaction, in the order of the key: whoever writes waits for one chunk at most."""
    after = ""
    while True:
        with engine.begin() as connection:
            statement = _wrapped(cipher).where(vault_key.c.case_id > after).order_by(vault_key.c.case_id).limit(CHUNK)
            rows = connection.execute(statement).all()
            yield _write(connection, cipher, [row for row in rows if bytes(row.id) != newest])
        if len(rows) < CHUNK:
            return
        after = rows[-1].case_id


def _retire(connection: Connection, cipher: MasterCipher, old: list[bytes], newest: bytes, now: datetime) -> int:
    """Nobody writes while the last stragglers are wrapped; from this commit on nobody can wrap by an old key."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("LOCK TABLE vault_key IN SHARE ROW EXCLUSIVE MODE"))
    rows = connection.execute(_wrapped(cipher).where(newest != WRAP_ID)).all()
    done = _write(connection, cipher, rows)
    month = f"{now:%Y-%m}"
    retired = [{"tenant_id": cipher.tenant_id, "key_id": key_id, "month": month} for key_id in old]
    insert_ignoring(connection, retired_key, retired)
    return done


def _wrapped(cipher: MasterCipher) -> Any:
    columns = (vault_key.c.case_id, vault_key.c.wrapped, WRAP_ID.label("id"))
    return select(*columns).where(vault_key.c.tenant_id == cipher.tenant_id)


def _write(connection: Connection, cipher: MasterCipher, rows: Sequence[Any]) -> int:
    changes = []
    for row in rows:
        before = bytes(row.wrapped)
        with contextlib.suppress(SealError):  # nobody can open it: the door tells about it when somebody asks
            after = cipher.rewrap_case_key(row.case_id, before)
            changes.append({"tenant": cipher.tenant_id, "case": row.case_id, "before": before, "after": after})
    if changes:
        connection.execute(_SET, changes)
    return len(changes)

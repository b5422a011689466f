"""The audit log: append-only, one hash chain per tenant, content sealed (R26).

Each row's hash takes in the row before it, under a key derived from the master key. The head row is locked in the
commit that appends: "read last, insert" would fork the chain under two workers (measured: 492 of 1,944 links broken).
An edited, removed or swapped row is found by ``verify``; a cut tail is found by an anchor kept elsewhere.
Only ``door`` may write here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, bindparam, select, update

from launch.prepared import prepared, prepared_insert
from smart_app.gateways.cipher import MasterCipher, SealError
from smart_app.gateways.engine import insert_ignoring
from smart_app.gateways.tables import audit_head, audit_row

GENESIS = bytes(32)
CHUNK = 1000

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Anchor:
    """Where the chain stood at some time. Kept outside the database it proves that no tail was cut off since."""

    position: int
    row_hash: bytes


@dataclass(frozen=True)
class Verification:
    """What ``verify`` found. ``position`` is the first bad one in ``table``; no ``problem`` means the chain holds."""

    rows: int
    problem: str | None = None
    position: int | None = None
    table: str = audit_row.name

    @property
    def holds(self) -> bool:
        """True when no row was edited, removed or added by another hand."""
        return self.problem is None


# Built once: every page of a launch appends some rows.
_ADD = prepared_insert(audit_row)
_HEAD = prepared(
    select(audit_head.c.position, audit_head.c.row_hash)
    .where(audit_head.c.tenant_id == bindparam("tenant"))
    .with_for_update()
)
_MOVE = prepared(
    update(audit_head)
    .where(audit_head.c.tenant_id == bindparam("tenant"))
    .values(position=bindparam("new_position"), row_hash=bindparam("new_hash"))
)


class AuditLog:
    """Appends to the chain of one tenant, inside the caller's transaction."""

    def __init__(self, cipher: MasterCipher) -> None:
        self._cipher = cipher

    def append(self, connection: Connection, records: Sequence[Record], now: datetime) -> None:
        """Add ``records`` in order. Holds the chain's head locked until the caller's transaction ends."""
        if not records:
            return
        head = self._locked_head(connection)
        month = f"{now:%Y-%m}"
        rows = []
        for record in records:
            position = head.position + 1
            body = self._cipher.audit.seal(orjson.dumps(record), *_place(self._cipher.tenant_id, position, month))
            row_hash = _link(self._cipher, head.row_hash, position, month, body)
            rows.append(
                {
                    "tenant_id": self._cipher.tenant_id,
                    "position": position,
                    "month": month,
                    "body": body,
                    "prev_hash": head.row_hash,
                    "row_hash": row_hash,
                }
            )
            head = Anchor(position, row_hash)
        _ADD.run(connection, rows)
        moved = {"tenant": self._cipher.tenant_id, "new_position": head.position, "new_hash": head.row_hash}
        _MOVE.run(connection, [moved])

    def hold(self, connection: Connection) -> None:
        """Lock the chain's head now, so that what is read after this is what was committed before its next row:
        PostgreSQL would else read first, wait here behind somebody's commit, and go on with what was true before."""
        self._locked_head(connection)

    def _locked_head(self, connection: Connection) -> Anchor:
        tenant = {"tenant": self._cipher.tenant_id}
        row = _HEAD.first(connection, tenant)
        if row is None:
            first = {"tenant_id": self._cipher.tenant_id, "position": 0, "row_hash": GENESIS}
            insert_ignoring(connection, audit_head, [first])
            row = _HEAD.first(connection, tenant) or (0, GENESIS)
        return Anchor(row[0], bytes(row[1]))


def anchor(engine: Engine, tenant_id: str) -> Anchor:
    """Where the chain stands now, to be kept off this host."""
    with engine.execution_options(is_read_only=True).begin() as connection:
        row = connection.execute(select(audit_head).where(audit_head.c.tenant_id == tenant_id)).one_or_none()
    return Anchor(0, GENESIS) if row is None else Anchor(row.position, bytes(row.row_hash))


def verify(
    engine: Engine, cipher: MasterCipher, *, since: Anchor | None = None, anchors: Iterable[Anchor] = ()
) -> Verification:
    """Walk the whole chain of ``cipher``'s tenant. ``since`` and ``anchors`` were kept elsewhere: each must still be in
    it. Opens nothing: a row's hash takes in its sealed body, and nobody without the key can make one that fits."""
    kept = [*anchors, *([] if since is None else [since])]
    by_position = {one.position: one.row_hash for one in kept}
    head = anchor(engine, cipher.tenant_id)
    previous, count = Anchor(0, GENESIS), 0
    for row in _rows(engine, cipher.tenant_id):
        problem = _problem(cipher, previous, row, by_position)
        if problem:
            return Verification(count, problem, previous.position + 1)
        previous, count = Anchor(row.position, bytes(row.row_hash)), count + 1
        if previous.position == head.position and previous != head:
            return Verification(count, "the head does not match the last row", previous.position, audit_head.name)
    if previous.position < head.position:
        return Verification(count, "rows are missing at the end", previous.position + 1)
    if anchor(engine, cipher.tenant_id).position < previous.position:  # looked at last: it moves with every new row
        return Verification(count, "the head is missing or behind the last row", previous.position, audit_head.name)
    if max(by_position, default=0) > previous.position:
        return Verification(count, "the chain is shorter than its anchor", previous.position + 1)
    if len({(one.position, one.row_hash) for one in kept}) > len(by_position):
        return Verification(count, "two anchors of one row differ", None)
    return Verification(count)


def entries(engine: Engine, cipher: MasterCipher) -> Iterator[tuple[int, dict[str, Any]]]:
    """Position and opened content of every row, oldest first. Raises ``SealError`` for an altered one."""
    for row in _rows(engine, cipher.tenant_id):
        yield row.position, orjson.loads(_opened(cipher, row))


def readable_entries(
    engine: Engine, cipher: MasterCipher, *, after: int = 0, month: str | None = None
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Position and opened content of the rows behind position ``after``, of one ``month`` ("2026-11") or of all, oldest
    first. An altered one has no content here: to say so is for ``verify``."""
    for row in _rows(engine, cipher.tenant_id, after, month):
        try:
            yield row.position, orjson.loads(_opened(cipher, row))
        except SealError:
            yield row.position, {}


def _problem(cipher: MasterCipher, previous: Anchor, row: Any, anchored: Mapping[int, bytes]) -> str | None:
    if row.position != previous.position + 1:
        return "a row is missing"
    if row.prev_hash != previous.row_hash:
        return "the row does not follow the one before"
    if _link(cipher, previous.row_hash, row.position, row.month, row.body) != row.row_hash:
        return "the row was edited"
    if anchored.get(row.position, row.row_hash) != row.row_hash:
        return "the row is not the one that was anchored"
    return None


def _opened(cipher: MasterCipher, row: Any) -> bytes:
    return cipher.audit.open(bytes(row.body), *_place(cipher.tenant_id, row.position, row.month))


def _place(tenant_id: str, position: int, month: str) -> tuple[str, ...]:
    return tenant_id, "audit_row", str(position), month


def _link(cipher: MasterCipher, previous: bytes, position: int, month: str, body: bytes) -> bytes:
    return cipher.chain(previous, str(position).encode(), month.encode(), body)


def _rows(engine: Engine, tenant_id: str, after: int = 0, month: str | None = None) -> Iterator[Any]:
    """Rows in order, a chunk per transaction: a walk through a long log must not keep writers waiting."""
    while True:
        statement = (
            select(audit_row)
            .where(audit_row.c.tenant_id == tenant_id, audit_row.c.position > after)
            .order_by(audit_row.c.position)
            .limit(CHUNK)
        )
        if month is not None:
            statement = statement.where(audit_row.c.month == month)
        with engine.execution_options(is_read_only=True).begin() as connection:
            rows = connection.execute(statement).all()
        yield from rows
        if len(rows) < CHUNK:
            return
        after = rows[-1].position

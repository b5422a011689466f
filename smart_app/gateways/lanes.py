"""A circuit breaker for each partner, shared by all workers: a system that does not answer is asked now and then, by
one message, instead of by all that wait for it; when it answers again, all that wait are due at once.

A lane is the keyed digest of a partner. A row stands only while something is wrong with that lane.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, case, delete, func, literal_column, select, update

from smart_app.gateways.engine import database_now, insert_or_add
from smart_app.gateways.tables import delivery, delivery_lane

TIMER = "timer"  # rows that nobody sends (see ``sla_timers``)
SENDS = 2  # at one time to one partner: a slow one does not take all workers
TRIP = 5  # failures in a row after which only one message asks
FIRST_PAUSE_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 300.0  # a program that is back has its referrals within minutes


def free(tenant_id: str) -> tuple[ColumnElement[bool], ...]:
    """The conditions of a row that is due and that nobody holds."""
    return (*_open(tenant_id), delivery.c.due_at <= database_now(), ~_is_held())


def with_room(connection: Connection, tenant_id: str) -> list[tuple[bytes, int]]:
    """Lanes that have something due and may send, and how much more at one time; the longest waiting first. A lane
    that was given up is tried by one message: who else would try it finds its row locked, or that message under way.
    """
    is_free = and_(delivery.c.due_at <= database_now(), ~_is_held())
    oldest = func.min(case((is_free, delivery.c.change)))
    waiting = connection.execute(
        select(delivery.c.lane, func.sum(case((_is_held(), 1), else_=0)).label("sends"))
        .where(*_open(tenant_id))
        .group_by(delivery.c.lane)
        .having(oldest.is_not(None))
        .order_by(oldest)
    ).all()
    troubled = {row.lane: row for row in connection.execute(_troubled(tenant_id))}
    found = []
    for lane, sends in waiting:
        trouble = troubled.get(lane)
        if trouble is None or (not trouble.is_paused and trouble.failures < TRIP):
            places = SENDS
        elif trouble.is_paused or not _is_locked(connection, tenant_id, lane):
            places = 0
        else:
            places = 1
        if places > sends:
            found.append((lane, places - sends))
    return found


def _open(tenant_id: str) -> tuple[ColumnElement[bool], ...]:
    # The word as the partial index says it: with a bound value SQLite would walk through all that was ever sent.
    is_open = delivery.c.state == literal_column("'open'")
    return delivery.c.tenant_id == tenant_id, is_open, delivery.c.kind != TIMER


def _is_held() -> ColumnElement[bool]:
    return func.coalesce(delivery.c.lease_until, 0) > database_now()


def _troubled(tenant_id: str) -> Select[Any]:
    is_paused = case((delivery_lane.c.paused_until > database_now(), True), else_=False).label("is_paused")
    return select(delivery_lane.c.lane, delivery_lane.c.failures, is_paused).where(
        delivery_lane.c.tenant_id == tenant_id
    )


def _is_locked(connection: Connection, tenant_id: str, lane: bytes) -> bool:
    where = delivery_lane.c.tenant_id == tenant_id, delivery_lane.c.lane == lane
    locked = select(delivery_lane.c.lane).where(*where).with_for_update(skip_locked=True)
    return connection.execute(locked).first() is not None


def note_failure(connection: Connection, tenant_id: str, lane: bytes | None, retry_after_seconds: int | None) -> None:
    """The partner's system failed. It is left alone for as long as it asked, and longer with every failure in a row."""
    if lane is None:
        return
    row = {"tenant_id": tenant_id, "lane": lane, "failures": 1, "paused_until": 0.0}
    insert_or_add(connection, delivery_lane, row, column="failures")
    where = delivery_lane.c.tenant_id == tenant_id, delivery_lane.c.lane == lane
    failures = connection.execute(select(delivery_lane.c.failures).where(*where)).scalar_one()
    pause = pause_seconds(failures, retry_after_seconds)
    if pause > 0:
        until = database_now() + pause
        latest = case((delivery_lane.c.paused_until > until, delivery_lane.c.paused_until), else_=until)
        connection.execute(update(delivery_lane).where(*where).values(paused_until=latest))


def pause_seconds(failures: int, retry_after_seconds: int | None) -> float:
    """How long nobody asks after that many failures in a row."""
    asked_for = float(retry_after_seconds or 0)
    if failures < TRIP:
        return asked_for
    return max(asked_for, min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(failures - TRIP, 16)))


def note_answer(connection: Connection, tenant_id: str, lane: bytes | None) -> None:
    """The partner's system works. If it was given up for a while, what waits for it is due now."""
    where = delivery_lane.c.tenant_id == tenant_id, delivery_lane.c.lane == lane
    ended = connection.execute(delete(delivery_lane).where(*where).returning(delivery_lane.c.failures)).scalars()
    if max(ended, default=0) < TRIP:
        return
    waiting = (
        delivery.c.tenant_id == tenant_id,
        delivery.c.lane == lane,
        delivery.c.state == "open",
        delivery.c.due_at > database_now(),
    )
    locked = select(delivery.c.change).where(*waiting).order_by(delivery.c.change).with_for_update(skip_locked=True)
    connection.execute(
        update(delivery)
        .where(delivery.c.tenant_id == tenant_id, delivery.c.change.in_(locked))
        .values(due_at=database_now())
    )

"""A circuit breaker for each partner, shared by all workers: a system that does not answer is asked now and then, by
one message, instead of by all that wait for it; when it answers again, all that wait are due at once.

A lane is the keyed digest of a partner. A row stands only while something is wrong with that lane.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, case, delete, func, select, update

from smart_app.gateways.engine import database_now, insert_or_add
from smart_app.gateways.tables import delivery, delivery_lane

SENDS = 2  # at one time to one partner: a slow one does not take all workers
TRIP = 5  # failures in a row after which only one message asks
FIRST_PAUSE_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 300.0  # a program that is back has its referrals within minutes


def may_send(lane: Any) -> tuple[Any, Any]:
    """For the lane in this column: is it not paused now, and how many sends it may have at one time."""
    of_lane = delivery_lane.c.tenant_id == delivery.c.tenant_id, delivery_lane.c.lane == lane
    paused = select(1).where(*of_lane, delivery_lane.c.paused_until > database_now()).correlate(delivery).exists()
    tripped = select(1).where(*of_lane, delivery_lane.c.failures >= TRIP).correlate(delivery).exists()
    return ~paused, case((tripped, 1), else_=SENDS)


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


def busy_sends(tenant_id: str) -> Any:
    """Lane and number of sends that are under way, for every lane that has any."""
    return (
        select(delivery.c.lane, func.count().label("sends"))
        .where(
            delivery.c.tenant_id == tenant_id,
            delivery.c.state == "open",
            delivery.c.lease_until > database_now(),
        )
        .group_by(delivery.c.lane)
        .subquery()
    )

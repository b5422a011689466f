"""Durable outbound work on the database's row locks: lease and fence (design: stack.md section 2).

A row is written in the commit of the resource it sends. A worker claims it with a lease; whoever lost the lease
changes nothing any more. Of one case only the oldest open row is sent, and a cancel inherits the lease of the send it
stops: the program never hears "cancelled" before that send has ended. Rows hold opaque ids, a lane (keyed digest of
the partner) and exact times only while they are open; a finished row is emptied. All times are the database's clock.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine, literal_column, select, update

from smart_app.delivery_ports import Job
from smart_app.errors import LockedError
from smart_app.gateways import alerts, inbox_alerts, lanes
from smart_app.gateways.cipher import MasterCipher
from smart_app.gateways.engine import database_now, empty_wal, insert_or_add
from smart_app.gateways.facts import UnitFacts
from smart_app.gateways.tables import delivery, delivery_head, vault_case

KINDS = ("referral", "cancel")
DELAYED_AFTER_ATTEMPTS = 10  # about an hour of back-off; then a person is told
RECALL_ATTEMPTS = 3  # a program that cannot be told within seconds that an item is taken back is called by a person
EMPTY = {
    "lane": None,
    "case_id": None,
    "reference": None,
    "due_at": None,
    "lease_until": None,
    "lease_owner": None,
    "last_error_code": None,
}


@dataclass(frozen=True)
class DeadLetter:
    """Work that sending again cannot help; a person has to call."""

    change: int
    kind: str
    case_id: str
    reference: str
    error_code: str


@dataclass(frozen=True)
class _Stopped:
    """What a cancel found waiting. The lease is of a send that is under way, if there is one."""

    may_have_arrived: bool
    lease_owner: str | None = None
    lease_until: float | None = None


class UnitOutbox:
    """Queues work inside one transaction. Implements ``ports.Outbox``; ``may_see`` is the door's word on a case."""

    def __init__(
        self, connection: Connection, cipher: MasterCipher, *, now: datetime, may_see: Callable[..., bool]
    ) -> None:
        self._connection = connection
        self._cipher = cipher
        self._now = now
        self._may_see = may_see

    def add(self, *, kind: str, case_id: str, reference: str, partner_id: str) -> None:
        """Queue ``kind`` for ``partner_id``. A cancel empties what waits, and is queued only if the partner may
        have got something already."""
        if kind not in KINDS:
            raise ValueError("kind is referral or cancel")
        stopped = self._stop_what_waits(case_id) if kind == "cancel" else _Stopped(may_have_arrived=True)
        if not stopped.may_have_arrived:
            return
        self._insert(
            kind=kind,
            lane=self._cipher.blind_index("lane", partner_id),
            case_id=case_id,
            reference=reference,
            due_at=database_now(),
            lease_owner=stopped.lease_owner,
            lease_until=stopped.lease_until,
        )
        if kind == "referral":
            _set_transport(self._connection, self._cipher.tenant_id, case_id, "queued")

    def set_timer(self, *, case_id: str, reference: str, opens_by: datetime) -> None:
        """A row that no worker claims: it has no lane. What stops the case's work ends it too."""
        self._insert(kind=lanes.TIMER, case_id=case_id, reference=reference, due_at=opens_by.timestamp())

    def _insert(self, **row: Any) -> None:
        """An open row with the next number."""
        tenant_id = self._cipher.tenant_id
        insert_or_add(self._connection, delivery_head, {"tenant_id": tenant_id, "last_change": 1}, column="last_change")
        change = self._connection.execute(
            select(delivery_head.c.last_change).where(delivery_head.c.tenant_id == tenant_id)
        ).scalar_one()
        common = {"tenant_id": tenant_id, "change": change, "month": f"{self._now:%Y-%m}"}
        self._connection.execute(delivery.insert().values(**common, state="open", attempts=0, **row))

    def state_of(self, case_id: str) -> str | None:
        """How far the case's send got, for whoever may see the case."""
        if not self._may_see(case_id):
            return None
        statement = select(vault_case.c.transport).where(
            vault_case.c.tenant_id == self._cipher.tenant_id, vault_case.c.case_id == case_id
        )
        state: str | None = self._connection.execute(statement).scalar_one()
        return state

    def place(self, *, case_id: str, partner_id: str) -> None:
        """Nothing is sent: the program's people read it here, under the release. What waits is told to them."""
        route = inbox_alerts.note_due(self._connection, self._cipher.tenant_id, partner_id)
        if route is None:
            raise LockedError("This program takes referrals by phone now. Call it together.", rule="R19")
        _set_transport(
            self._connection, self._cipher.tenant_id, case_id, "inbox" if route == "email" else "inbox-phone"
        )

    def note_opened(self, case_id: str, *, partner_id: str) -> None:
        """The first time counts. The clinic is told unless the program's setting says no."""
        if not self._may_see(case_id, "open-item"):
            return
        first = self._connection.execute(
            update(vault_case)
            .where(
                vault_case.c.tenant_id == self._cipher.tenant_id,
                vault_case.c.case_id == case_id,
                vault_case.c.is_open,
                vault_case.c.transport.in_(("inbox", "inbox-phone")),
                vault_case.c.opened_at.is_(None),
            )
            .values(opened_at=self._now.timestamp())
        )
        _end_timer(self._connection, self._cipher.tenant_id, case_id)
        if first.rowcount == 1 and inbox_alerts.tells_opened(self._connection, self._cipher.tenant_id, partner_id):
            _set_transport(self._connection, self._cipher.tenant_id, case_id, "opened")

    def opened_at(self, case_id: str) -> datetime | None:
        """For whoever may see the case."""
        if not self._may_see(case_id):
            return None
        opened_at = self._connection.execute(
            select(vault_case.c.opened_at).where(
                vault_case.c.tenant_id == self._cipher.tenant_id, vault_case.c.case_id == case_id
            )
        ).scalar_one()
        return None if opened_at is None else datetime.fromtimestamp(opened_at, UTC)

    def _stop_what_waits(self, case_id: str) -> _Stopped:
        """Empty the open rows of a case."""
        of_case = (delivery.c.tenant_id == self._cipher.tenant_id, delivery.c.case_id == case_id)
        waiting = self._connection.execute(
            select(delivery.c.attempts, delivery.c.lease_owner, delivery.c.lease_until)
            .where(*of_case, delivery.c.state == "open", delivery.c.kind != lanes.TIMER)
            .order_by(delivery.c.lease_until.is_(None), delivery.c.lease_until.desc())
            .with_for_update()
        ).all()
        transport, opened_at = self._connection.execute(
            select(vault_case.c.transport, vault_case.c.opened_at).where(
                vault_case.c.tenant_id == self._cipher.tenant_id, vault_case.c.case_id == case_id
            )
        ).one()
        self._connection.execute(
            update(delivery).where(*of_case, delivery.c.state == "open").values(state="done", **EMPTY)
        )
        may_have_arrived = (
            transport in ("delivered", "recalled") or any(row.attempts for row in waiting) or opened_at is not None
        )
        if transport is not None:
            state = "recalled" if may_have_arrived else "stopped"
            _set_transport(self._connection, self._cipher.tenant_id, case_id, state)
        last = waiting[0] if waiting else None
        return _Stopped(may_have_arrived, last and last.lease_owner, last and last.lease_until)


class SqlJobStore:
    """The workers' side. Implements ``ports.JobStore``; safe under several threads and processes."""

    def __init__(self, engine: Engine, cipher: MasterCipher, *, site_id: str, now: Callable[[], datetime]) -> None:
        self._engine = engine
        self._cipher = cipher
        self._site_id = site_id
        self._now = now
        self._has_emptied = threading.Event()

    def claim(self, *, limit: int, lease_seconds: int) -> list[Job]:
        """Take up to ``limit`` due jobs, oldest first, few per partner. Idle: the write-ahead log is emptied."""
        with self._engine.begin() as connection:
            changes = self._due(connection, limit)
            jobs = [self._leased(connection, change, lease_seconds) for change in changes]
        if not jobs and self._has_emptied.is_set():
            self._has_emptied.clear()
            empty_wal(self._engine)
        return jobs

    def renew(self, job: Job, *, lease_seconds: int) -> bool:
        """Move the lease on, that of a cancel which waits for this send too. False when it is lost."""
        leased = update(delivery).where(
            delivery.c.tenant_id == self._cipher.tenant_id,
            delivery.c.state == "open",
            delivery.c.lease_owner == job.lease,
        )
        with self._engine.begin() as connection:
            return _changed(connection, leased.values(lease_until=database_now() + lease_seconds))

    def complete(self, job: Job, *, outcome: str) -> bool:
        """Empty the row. ``outcome`` is "delivered" or "not-released". False when the lease is lost."""
        has_left = outcome == "delivered"
        with self._engine.begin() as connection:
            lane = self._lane_of(connection, job)
            if not _changed(connection, self._held(job).values(state="done", **EMPTY)):
                self._let_cancel_go(connection, job, has_left=has_left)
                return False
            if has_left:
                lanes.note_answer(connection, self._cipher.tenant_id, lane)
            _end_timer(connection, self._cipher.tenant_id, job.case_id)
            self._note(connection, job, "delivered" if has_left else "stopped", outcome)
        self._has_emptied.set()
        return True

    def retry(
        self,
        job: Job,
        *,
        delay_seconds: float,
        error_code: str,
        is_partner_down: bool = False,
        retry_after_seconds: int | None = None,
    ) -> bool:
        """Let the job wait. After about an hour of tries a person is told; of a cancel, after seconds.

        ``is_partner_down``: all that waits for this partner may wait with it (see ``lanes``)."""
        values = {
            "due_at": database_now() + delay_seconds,
            "lease_until": None,
            "lease_owner": None,
            "last_error_code": error_code[:40],
        }
        with self._engine.begin() as connection:
            lane = self._lane_of(connection, job)
            if not _changed(connection, self._held(job).values(**values)):
                self._let_cancel_go(connection, job, has_left=True)  # nobody knows: the answer may have been lost
                return False
            if is_partner_down:
                lanes.note_failure(connection, self._cipher.tenant_id, lane, retry_after_seconds)
            if job.kind == "referral":
                _set_transport(connection, self._cipher.tenant_id, job.case_id, "trying")
                if job.attempts == DELAYED_AFTER_ATTEMPTS:
                    self._tell(connection, "delivery-delayed", job)
            elif job.attempts == RECALL_ATTEMPTS:
                self._tell(connection, "recall-by-phone", job)
            return True

    def give_up(self, job: Job, *, error_code: str) -> bool:
        """A dead letter: it stays visible, with ids and without times, until a person has dealt with it."""
        kept = {"due_at": None, "lease_until": None, "lease_owner": None, "lane": None}
        with self._engine.begin() as connection:
            values = self._held(job).values(state="dead", last_error_code=error_code[:40], **kept)
            if not _changed(connection, values):
                self._let_cancel_go(connection, job, has_left=True)
                return False
            self._note(connection, job, "failed", "gave-up")
            if job.kind == "referral":
                self._tell(connection, "delivery-failed", job)
            elif job.attempts <= RECALL_ATTEMPTS:  # later somebody was told already
                self._tell(connection, "recall-by-phone", job)
        self._has_emptied.set()
        return True

    def dead_letters(self) -> list[DeadLetter]:
        """All work that was given up and not yet dealt with."""
        columns = (delivery.c.change, delivery.c.kind, delivery.c.case_id, delivery.c.reference)
        statement = (
            select(*columns, delivery.c.last_error_code)
            .where(delivery.c.tenant_id == self._cipher.tenant_id, delivery.c.state == "dead")
            .order_by(delivery.c.change)
        )
        with self._engine.begin() as connection:
            return [DeadLetter(*row) for row in connection.execute(statement)]

    def _due(self, connection: Connection, limit: int) -> list[int]:
        """Changes to send now, oldest first: of each lane as many as it has room for."""
        found: list[int] = []
        for lane, room in lanes.with_room(connection, self._cipher.tenant_id):
            if len(found) >= limit:
                break
            found += self._due_in(connection, lane, min(room, limit - len(found)))
        return sorted(found)

    def _due_in(self, connection: Connection, lane: bytes, limit: int) -> list[int]:
        before = delivery.alias()
        earlier = (
            select(1)
            .where(
                before.c.tenant_id == delivery.c.tenant_id,
                before.c.case_id == delivery.c.case_id,
                before.c.state != literal_column("'done'"),  # as the index says it: SQLite compares the words
                before.c.state == "open",
                before.c.change < delivery.c.change,
                before.c.kind != lanes.TIMER,
            )
            .correlate(delivery)
        )
        statement = (
            select(delivery.c.change)
            .where(*lanes.free(self._cipher.tenant_id), delivery.c.lane == lane, ~earlier.exists())
            .order_by(delivery.c.change)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        return list(connection.execute(statement).scalars())

    def _leased(self, connection: Connection, change: int, lease_seconds: int) -> Job:
        lease = str(uuid.uuid4())
        where = (delivery.c.tenant_id == self._cipher.tenant_id, delivery.c.change == change)
        row = connection.execute(
            update(delivery)
            .where(*where)
            .values(lease_owner=lease, lease_until=database_now() + lease_seconds, attempts=delivery.c.attempts + 1)
            .returning(delivery.c.kind, delivery.c.case_id, delivery.c.reference, delivery.c.attempts)
        ).one()
        return Job(change, row.kind, row.case_id, row.reference, row.attempts, lease)

    def _held(self, job: Job) -> Any:
        """The fence: only the row that is open and still leased to this claim."""
        return update(delivery).where(
            delivery.c.tenant_id == self._cipher.tenant_id,
            delivery.c.change == job.change,
            delivery.c.state == "open",
            delivery.c.lease_owner == job.lease,
        )

    def _lane_of(self, connection: Connection, job: Job) -> bytes | None:
        statement = select(delivery.c.lane).where(
            delivery.c.tenant_id == self._cipher.tenant_id, delivery.c.change == job.change
        )
        lane: bytes | None = connection.execute(statement).scalar()
        return lane

    def _let_cancel_go(self, connection: Connection, job: Job, *, has_left: bool) -> None:
        """The send that a cancel stopped has ended: the cancel may be sent now. If that was the first try and nothing
        left, nobody needs to be told."""
        waits = update(delivery).where(
            delivery.c.tenant_id == self._cipher.tenant_id,
            delivery.c.kind == "cancel",
            delivery.c.state == "open",
            delivery.c.lease_owner == job.lease,
        )
        if has_left or job.attempts > 1:
            connection.execute(waits.values(lease_owner=None, lease_until=None))
        elif connection.execute(waits.values(state="done", **EMPTY)).rowcount:
            self._end_case(connection, job.case_id, "stopped")

    def _end_case(self, connection: Connection, case_id: str, transport: str) -> None:
        """A referral that was taken back, and about which nobody has to be told any more."""
        connection.execute(
            update(vault_case)
            .where(vault_case.c.tenant_id == self._cipher.tenant_id, vault_case.c.case_id == case_id)
            .values(transport=transport, is_open=False)
        )

    def _note(self, connection: Connection, job: Job, transport: str, outcome: str) -> None:
        if job.kind == "referral":
            _set_transport(connection, self._cipher.tenant_id, job.case_id, transport)
        elif outcome == "delivered":
            self._end_case(connection, job.case_id, "told")
        facts = UnitFacts(connection, tenant_id=self._cipher.tenant_id, site_id=self._site_id, now=self._now())
        facts.count(f"{job.kind}-send", outcome)

    def _tell(self, connection: Connection, kind: str, job: Job) -> None:
        alerts.raise_in(
            connection, tenant_id=self._cipher.tenant_id, kind=kind, reference=job.reference, now=self._now()
        )


def is_held(connection: Connection, tenant_id: str, job: Job) -> bool:
    """Is this very row still open, leased to this claim, and about this case and Task?"""
    statement = select(delivery.c.change).where(
        delivery.c.tenant_id == tenant_id,
        delivery.c.change == job.change,
        delivery.c.state == "open",
        delivery.c.lease_owner == job.lease,
        delivery.c.kind == job.kind,
        delivery.c.case_id == job.case_id,
        delivery.c.reference == job.reference,
    )
    return connection.execute(statement).one_or_none() is not None


def _end_timer(connection: Connection, tenant_id: str, case_id: str) -> None:
    """What the case's timer waited for is there, or will not come: nobody needs to be told."""
    of_case = (delivery.c.tenant_id == tenant_id, delivery.c.case_id == case_id, delivery.c.kind == lanes.TIMER)
    connection.execute(update(delivery).where(*of_case, delivery.c.state == "open").values(state="done", **EMPTY))


def _changed(connection: Connection, statement: Any) -> bool:
    return bool(connection.execute(statement).rowcount == 1)


def _set_transport(connection: Connection, tenant_id: str, case_id: str, state: str) -> None:
    connection.execute(
        update(vault_case)
        .where(vault_case.c.tenant_id == tenant_id, vault_case.c.case_id == case_id)
        .values(transport=state)
    )

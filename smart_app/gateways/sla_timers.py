"""Timers of the agreements' promises: rows of the delivery table that nobody sends, each with the moment it ends.

``fire`` looks at what has ended, in one transaction: what a person opened, or a program's system took, is emptied
without a word. For the rest one neutral mail goes to the person at the health center, "You have an item"; which item,
the coordinator's own list says. Killed in between nothing is lost: the row stands until its transaction commits.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import Connection, Engine, literal_column, select, update

from smart_app.gateways.cipher import MasterCipher
from smart_app.gateways.engine import database_now, insert_or_replace
from smart_app.gateways.facts import UnitFacts
from smart_app.gateways.inbox_alerts import purpose_of
from smart_app.gateways.lanes import TIMER
from smart_app.gateways.outbox import EMPTY
from smart_app.gateways.tables import delivery, inbox_alert, vault_case
from smart_app.inbox_ports import Route, RouteTest
from smart_app.policy import sla

# The health center's own person among those who are told by mail. No program can have this id (``partner add``).
COORDINATOR = "-coordinator"


class SqlTimers:
    """``coordinator``: the address that is told, None where there is no mail (the list says it all the same)."""

    def __init__(self, engine: Engine, cipher: MasterCipher, *, site_id: str, coordinator: str | None) -> None:
        self._engine = engine
        self._cipher = cipher
        self._site_id = site_id
        self._coordinator = coordinator

    def fire(self, now: datetime) -> int:
        """End what is due at ``now``; how many items nobody opened in time."""
        tenant_id = self._cipher.tenant_id
        of_timer = (
            delivery.c.tenant_id == tenant_id,
            delivery.c.state == literal_column("'open'"),
            delivery.c.kind == TIMER,
            delivery.c.due_at <= now.timestamp(),
        )
        due = select(delivery.c.change, delivery.c.case_id, delivery.c.due_at).where(*of_timer)
        with self._engine.begin() as connection:
            rows = connection.execute(due.order_by(delivery.c.change).with_for_update(skip_locked=True)).all()
            late = [row.case_id for row in rows if self._is_overdue(connection, row.case_id, row.due_at, now)]
            if rows:
                ended = update(delivery).where(*of_timer, delivery.c.change.in_([row.change for row in rows]))
                connection.execute(ended.values(state="done", **EMPTY))
            if late:
                facts = UnitFacts(connection, tenant_id=tenant_id, site_id=self._site_id, now=now)
                for _ in late:
                    facts.count("referral", "unopened-in-time")
                self._tell(connection, now)
        return len(late)

    def _is_overdue(self, connection: Connection, case_id: str, due_at: float, now: datetime) -> bool:
        row = connection.execute(
            select(vault_case.c.transport, vault_case.c.opened_at, vault_case.c.is_open).where(
                vault_case.c.tenant_id == self._cipher.tenant_id, vault_case.c.case_id == case_id
            )
        ).one_or_none()
        if row is None or not row.is_open:
            return False
        by = datetime.fromtimestamp(due_at, UTC)
        return sla.is_overdue(transport=row.transport, is_opened=row.opened_at is not None, by=by, now=now)

    def _tell(self, connection: Connection, now: datetime) -> None:
        """One mail for all that waits: the row is the same one however many items there are."""
        if self._coordinator is None:
            return
        row = {
            "tenant_id": self._cipher.tenant_id,
            "partner_id": COORDINATOR,
            "route": Route.EMAIL.value,
            "test": RouteTest.OPENED.value,
            "due_at": None,
            "attempts": 0,
            "sealed": self._cipher.seal(self._coordinator.encode(), purpose=purpose_of(COORDINATOR)),
        }
        insert_or_replace(connection, inbox_alert, [row])
        where = inbox_alert.c.tenant_id == row["tenant_id"], inbox_alert.c.partner_id == COORDINATOR
        connection.execute(update(inbox_alert).where(*where).values(due_at=database_now()))

"""How a program's staff are told that something waits: one row per program, so one alert for all that waits.

A program takes items by its inbox only while its route is one that was tested: the test item was opened by a person.
"""

from __future__ import annotations

from datetime import date
from typing import Any

from sqlalchemy import Connection, Engine, delete, select, update

from smart_app.gateways.cipher import MasterCipher
from smart_app.gateways.engine import database_now
from smart_app.gateways.tables import inbox_alert, partner
from smart_app.inbox_ports import AlertRoute, DueAlert, Route, RouteTest


def note_due(connection: Connection, tenant_id: str, partner_id: str) -> str | None:
    """An item waits for this program: its alert is due now. Returns its tested route, None while it has none."""
    statement = select(partner.c.inbox_alert).where(
        partner.c.tenant_id == tenant_id, partner.c.partner_id == partner_id
    )
    route: str | None = connection.execute(statement).scalar_one_or_none()
    if route == Route.EMAIL:
        connection.execute(
            update(inbox_alert)
            .where(inbox_alert.c.tenant_id == tenant_id, inbox_alert.c.partner_id == partner_id)
            .values(due_at=database_now())
        )
    return route


def tells_opened(connection: Connection, tenant_id: str, partner_id: str) -> bool:
    """May the clinic see when a person at this program opened an item? A setting of the program, yes by default."""
    statement = select(partner.c.tells_opened).where(
        partner.c.tenant_id == tenant_id, partner.c.partner_id == partner_id
    )
    return bool(connection.execute(statement).scalar_one_or_none())


class SqlAlertRoutes:
    """Implements ``inbox_ports.AlertRoutes`` and what the program says about itself (``inbox_ports.ProgramFacts``)."""

    def __init__(self, engine: Engine, cipher: MasterCipher) -> None:
        self._engine = engine
        self._reading = engine.execution_options(is_read_only="once")
        self._cipher = cipher

    def of(self, partner_id: str) -> AlertRoute:
        """The route as it stands."""
        with self._reading.begin() as connection:
            row = connection.execute(select(inbox_alert).where(*self._is(partner_id))).one_or_none()
        if row is None:
            return AlertRoute()
        return AlertRoute(Route(row.route), RouteTest(row.test), self._address(partner_id, row.sealed))

    def choose(self, partner_id: str, route: AlertRoute) -> None:
        """Untested, with a test item on its way; nothing new is placed here until a person opened that."""
        is_mail = route.route is Route.EMAIL
        sealed = self._cipher.seal(route.address.encode(), purpose=purpose_of(partner_id)) if is_mail else None
        row = {
            "tenant_id": self._cipher.tenant_id,
            "partner_id": partner_id,
            "route": route.route.value,
            "test": (RouteTest.WAITING if is_mail else RouteTest.SENT).value,
            "attempts": 0,
            "sealed": sealed,
        }
        with self._engine.begin() as connection:
            connection.execute(delete(inbox_alert).where(*self._is(partner_id)))
            connection.execute(inbox_alert.insert().values(**row, due_at=database_now() if is_mail else None))
            self._set(connection, partner_id, inbox_alert=None)

    def test_opened(self, partner_id: str) -> bool:
        """The program is live from here on."""
        with self._engine.begin() as connection:
            statement = update(inbox_alert).where(*self._is(partner_id), inbox_alert.c.test == RouteTest.SENT.value)
            found = connection.execute(
                statement.values(test=RouteTest.OPENED.value).returning(inbox_alert.c.route)
            ).scalar_one_or_none()
            if found is not None:
                self._set(connection, partner_id, inbox_alert=found)
        return found is not None

    def set_full(self, partner_id: str, on: date | None) -> None:
        """Full on this day of the clinic's calendar; None: there is room."""
        with self._engine.begin() as connection:
            self._set(connection, partner_id, full_on=on)

    def set_answering(self, partner_id: str, is_answering: bool) -> None:
        """Is somebody there now?"""
        with self._engine.begin() as connection:
            self._set(connection, partner_id, is_answering=is_answering)

    # -- the worker's side ---------------------------------------------------------------------------------------

    def claim(self, *, lease_seconds: int) -> list[DueAlert]:
        """Alerts that are due, each for one worker: their time moves on by ``lease_seconds`` until they are done."""
        statement = (
            update(inbox_alert)
            .where(inbox_alert.c.tenant_id == self._cipher.tenant_id, inbox_alert.c.due_at <= database_now())
            .values(due_at=database_now() + lease_seconds, attempts=inbox_alert.c.attempts + 1)
            .returning(inbox_alert.c.partner_id, inbox_alert.c.sealed, inbox_alert.c.attempts, inbox_alert.c.due_at)
        )
        with self._engine.begin() as connection:
            rows = connection.execute(statement).all()
        return [
            DueAlert(row.partner_id, self._address(row.partner_id, row.sealed), row.attempts, row.due_at)
            for row in rows
        ]

    def sent(self, alert: DueAlert) -> None:
        """The mail server has it. What came meanwhile moved the due time, and is told by another one."""
        where = self._is(alert.partner_id)
        with self._engine.begin() as connection:
            connection.execute(
                update(inbox_alert).where(*where, inbox_alert.c.due_at == alert.lease).values(due_at=None, attempts=0)
            )
            connection.execute(
                update(inbox_alert)
                .where(*where, inbox_alert.c.test == RouteTest.WAITING.value)
                .values(test=RouteTest.SENT.value)
            )

    def retry(self, alert: DueAlert, *, delay_seconds: float) -> None:
        """Let it wait."""
        with self._engine.begin() as connection:
            connection.execute(
                update(inbox_alert)
                .where(*self._is(alert.partner_id), inbox_alert.c.due_at == alert.lease)
                .values(due_at=database_now() + delay_seconds)
            )

    def _is(self, partner_id: str) -> tuple[Any, ...]:
        return (inbox_alert.c.tenant_id == self._cipher.tenant_id, inbox_alert.c.partner_id == partner_id)

    def _set(self, connection: Connection, partner_id: str, **values: Any) -> None:
        connection.execute(
            update(partner)
            .where(partner.c.tenant_id == self._cipher.tenant_id, partner.c.partner_id == partner_id)
            .values(**values)
        )

    def _address(self, partner_id: str, sealed: bytes | None) -> str:
        return "" if sealed is None else self._cipher.open(bytes(sealed), purpose=purpose_of(partner_id)).decode()


def purpose_of(partner_id: str) -> str:
    """What an address of this row is sealed for."""
    return f"inbox-alert|{partner_id}"

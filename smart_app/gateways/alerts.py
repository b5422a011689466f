"""What a role should look at: a kind and at most an opaque reference. No time finer than the month."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Engine, select, update

from smart_app.gateways.engine import insert_ignoring
from smart_app.gateways.tables import alert


@dataclass(frozen=True)
class OpenAlert:
    """One alert that nobody has closed yet."""

    alert_id: str
    kind: str
    reference: str | None


def raise_in(connection: Connection, *, tenant_id: str, kind: str, reference: str | None, now: datetime) -> None:
    """Write one alert in the caller's transaction."""
    connection.execute(
        alert.insert().values(
            tenant_id=tenant_id,
            alert_id=str(uuid.uuid4()),
            month=f"{now:%Y-%m}",
            kind=kind,
            reference=reference,
            is_open=True,
        )
    )


class SqlAlerts:
    """Implements ``ports.Alerts`` and lists what is open for the role's own page."""

    def __init__(self, engine: Engine, tenant_id: str, now: Callable[[], datetime]) -> None:
        self._engine = engine
        self._tenant_id = tenant_id
        self._now = now

    def raise_alert(self, kind: str, *, reference: str | None = None) -> None:
        """Keep an alert of ``kind`` ("ehr-labels-lost"); ``reference`` is "Type/<opaque id>" or None."""
        with self._engine.begin() as connection:
            raise_in(connection, tenant_id=self._tenant_id, kind=kind, reference=reference, now=self._now())

    def raise_once(self, kind: str, *, reference: str | None = None) -> None:
        """Keep an alert of ``kind`` unless there was one already, looked at or not: of ``reference``, which must be
        opaque; without one, this month."""
        month = f"{self._now():%Y-%m}"
        if reference is not None:
            row = {"tenant_id": self._tenant_id, "alert_id": _id_of(kind, reference), "month": month}
            with self._engine.begin() as connection:
                insert_ignoring(connection, alert, [{**row, "kind": kind, "reference": reference, "is_open": True}])
            return
        statement = select(alert.c.alert_id).where(
            alert.c.tenant_id == self._tenant_id, alert.c.kind == kind, alert.c.month == month
        )
        with self._engine.execution_options(is_read_only=True).begin() as connection:
            is_known = connection.execute(statement.limit(1)).first() is not None
        if not is_known:
            self.raise_alert(kind)

    def was_raised(self, kind: str, *, reference: str) -> bool:
        """Was there ever an alert that ``raise_once`` kept with this ``reference``, looked at or not?"""
        statement = select(alert.c.alert_id).where(
            alert.c.tenant_id == self._tenant_id, alert.c.alert_id == _id_of(kind, reference)
        )
        with self._engine.execution_options(is_read_only=True).begin() as connection:
            return connection.execute(statement).first() is not None

    def open_alerts(self) -> list[OpenAlert]:
        """All open alerts, by kind."""
        statement = (
            select(alert.c.alert_id, alert.c.kind, alert.c.reference)
            .where(alert.c.tenant_id == self._tenant_id, alert.c.is_open)
            .order_by(alert.c.kind, alert.c.alert_id)
        )
        with self._engine.execution_options(is_read_only=True).begin() as connection:
            return [OpenAlert(*row) for row in connection.execute(statement)]

    def close_alert(self, alert_id: str) -> bool:
        """Somebody has looked. False when it was closed already; what it pointed to is forgotten."""
        statement = (
            update(alert)
            .where(alert.c.tenant_id == self._tenant_id, alert.c.alert_id == alert_id, alert.c.is_open)
            .values(is_open=False, reference=None)
        )
        with self._engine.begin() as connection:
            return connection.execute(statement).rowcount == 1


def _id_of(kind: str, reference: str) -> str:
    """The id comes from what it is about, so that it is the same alert for every worker and after a restart."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{kind}|{reference}"))

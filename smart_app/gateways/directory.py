"""Partners and our agreements with them: public facts, read anew each time so that a suspension holds at once (R19)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, fields
from datetime import datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import orjson
from sqlalchemy import Engine, Select, bindparam, delete, select, update

from launch.prepared import prepared
from smart_app.gateways.tables import partner
from smart_app.ports import Directory, Partner

COLUMNS = [field.name for field in fields(Partner)]
LISTS = ("says", "languages")


class SqlDirectory:
    """Implements ``ports.Directory`` on the ``partner`` table."""

    def __init__(self, engine: Engine, tenant_id: str) -> None:
        self._engine = engine
        self._reading = engine.execution_options(is_read_only="once")
        self._tenant_id = tenant_id

    def partners(self) -> list[Partner]:
        """All partners by name, suspended ones too."""
        with self._reading.connect() as connection:
            return [_partner(row) for row in connection.execute(_partners_by(None), {"tenant": self._tenant_id})]

    def partner(self, partner_id: str) -> Partner | None:
        """One partner by our id."""
        return self._first("partner_id", partner_id)

    def partner_of_client(self, client_id: str) -> Partner | None:
        """The partner whose system holds ``client_id`` at our token endpoint."""
        return self._first("client_id", client_id)

    def add_partner(self, new: Partner) -> None:
        """Add a partner, or replace the facts of the one with the same id."""
        row = asdict(new) | {name: orjson.dumps(list(getattr(new, name))).decode() for name in LISTS}
        with self._engine.begin() as connection:
            connection.execute(
                delete(partner).where(partner.c.tenant_id == self._tenant_id, partner.c.partner_id == new.partner_id)
            )
            connection.execute(partner.insert().values(tenant_id=self._tenant_id, **row))

    def set_suspended(self, partner_id: str, is_suspended: bool) -> None:
        """Suspend an agreement, or lift the suspension; holds from the next request on, on every worker."""
        statement = (
            update(partner)
            .where(partner.c.tenant_id == self._tenant_id, partner.c.partner_id == partner_id)
            .values(is_suspended=is_suspended)
        )
        with self._engine.begin() as connection:
            connection.execute(statement)

    def set_capacity(self, partner_id: str, has_capacity: bool) -> None:
        """A program has room, or is full; clinicians see it from the next page on."""
        statement = (
            update(partner)
            .where(partner.c.tenant_id == self._tenant_id, partner.c.partner_id == partner_id)
            .values(has_capacity=has_capacity)
        )
        with self._engine.begin() as connection:
            connection.execute(statement)

    def _first(self, column: str, value: str) -> Partner | None:
        with self._reading.connect() as connection:
            row = _FIRST[column].first(connection, {"tenant": self._tenant_id, "value": value})
        return None if row is None else _partner(row)


def _partner(row: Iterable[Any]) -> Partner:
    facts = dict(zip(COLUMNS, row, strict=True))
    return Partner(**{**facts, **{name: tuple(orjson.loads(facts[name])) for name in LISTS}})


@lru_cache(maxsize=8)
def _partners_by(column: str | None) -> Select[Any]:
    """Built once: each page asks who may be called."""
    statement = select(*(partner.c[name] for name in COLUMNS)).where(partner.c.tenant_id == bindparam("tenant"))
    if column is not None:
        statement = statement.where(partner.c[column] == bindparam("value"))
    return statement.order_by(partner.c.name)


_FIRST = {
    "partner_id": prepared(_partners_by("partner_id")),
    "client_id": prepared(_partners_by("client_id")),
}


class DatedMouGate:
    """Implements ``ports.MouGate``: the agreement's days count in the health center's own zone."""

    def __init__(self, directory: Directory, time_zone: str) -> None:
        self._directory = directory
        self._zone = ZoneInfo(time_zone)

    def is_open(self, partner_id: str, now: datetime) -> bool:
        """True on every day of a current agreement that is not suspended."""
        known = self._directory.partner(partner_id)
        return known is not None and self.is_current(known, now)

    def is_current(self, partner: Partner, now: datetime) -> bool:
        """The same of a partner that was read just now."""
        is_dated = partner.mou_starts_on <= now.astimezone(self._zone).date() <= partner.mou_ends_on
        return is_dated and not partner.is_suspended

"""A watch on the next launch of one EHR: opened by ``doctor --watch``, written to by the app, closed by itself.

The two are different processes, perhaps on different machines, so they meet in the database. Nothing is kept of a
launch unless somebody watches; what is kept are the finished lines of ``launch.launch_lines``, sealed: no token, no
code, no name, no patient id. A launch of anyone who is not a listed test patient leaves one line that says so.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    String,
    Table,
    delete,
    insert,
    select,
)
from sqlalchemy.engine import Engine

from launch.context import LaunchContext, LaunchEvent
from launch.errors import UnknownIssuerError
from launch.launch_lines import Line, RoleTold, launch_lines, refusal_line
from launch.registrations import Registrations
from launch.statements import bound, select_where
from launch.store import Cipher, LaunchStore
from launch.tables import metadata

BEGUN, REFUSED, COMPLETED, SOMEBODY_ELSE = "begun", "refused", "completed", "somebody-else"
KEPT_SECONDS = 60 * 60

launch_watch = Table(
    "launch_watch",
    metadata,
    Column("tenant_id", String(64), primary_key=True),
    Column("watch_id", String(36), primary_key=True),
    Column("registration_id", String(32), nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Index("ix_launch_watch_expires", "tenant_id", "expires_at"),
)

launch_watch_report = Table(
    "launch_watch_report",
    metadata,
    Column("tenant_id", String(64), primary_key=True),
    Column("watch_id", String(36), primary_key=True),
    Column("report_id", String(36), primary_key=True),
    Column("told_at", BigInteger, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    ForeignKeyConstraint(
        ["tenant_id", "watch_id"],
        ["launch_watch.tenant_id", "launch_watch.watch_id"],
        name="fk_launch_watch_report_watch",
        ondelete="CASCADE",
    ),
)


@dataclass(frozen=True)
class Report:
    """One step of a watched launch. ``step``: "begun", "refused", "completed" or "somebody-else"."""

    step: str
    lines: tuple[Line, ...] = ()


class LaunchWatches:
    """Open watches and what was told to them. One tenant."""

    def __init__(self, engine: Engine, cipher: Cipher, tenant_id: str) -> None:
        self._engine = engine
        self._reading = engine.execution_options(is_read_only="once")
        self._cipher = cipher
        self._tenant_id = tenant_id

    def open(self, registration_id: str, *, now: int, seconds: int) -> str:
        """Begin a watch and return its id. Forgets watches that are over."""
        watch_id = str(uuid.uuid4())
        with self._engine.begin() as connection:
            over = select(launch_watch.c.watch_id).where(
                launch_watch.c.tenant_id == self._tenant_id, launch_watch.c.expires_at < now - KEPT_SECONDS
            )
            for table in (launch_watch_report, launch_watch):
                connection.execute(
                    delete(table).where(table.c.tenant_id == self._tenant_id, table.c.watch_id.in_(over))
                )
            values = {"watch_id": watch_id, "registration_id": registration_id, "expires_at": now + seconds}
            connection.execute(insert(launch_watch).values(tenant_id=self._tenant_id, **values))
        return watch_id

    def close(self, watch_id: str) -> None:
        """End a watch and forget what it was told."""
        with self._engine.begin() as connection:
            for table in (launch_watch_report, launch_watch):
                connection.execute(
                    delete(table).where(table.c.tenant_id == self._tenant_id, table.c.watch_id == watch_id)
                )

    def of(self, registration_id: str | None, *, now: int) -> list[str]:
        """The watches that are open for a registration; for None, all that are open."""
        where = {"tenant_id": self._tenant_id}
        if registration_id is not None:
            where["registration_id"] = registration_id
        statement = select_where(launch_watch, tuple(where), ("expires_at",))
        with self._reading.connect() as connection:
            return [str(row.watch_id) for row in connection.execute(statement, bound({**where, "expires_at": now}))]

    def tell(self, watch_id: str, report: Report) -> None:
        """Add a report to a watch."""
        report_id = str(uuid.uuid4())
        plain = {"step": report.step, "lines": [line.to_json() for line in report.lines]}
        sealed = self._cipher.seal(json.dumps(plain).encode(), purpose=_purpose(report_id))
        values = {"watch_id": watch_id, "report_id": report_id, "told_at": time.time_ns(), "sealed": sealed}
        with self._engine.begin() as connection:
            connection.execute(insert(launch_watch_report).values(tenant_id=self._tenant_id, **values))

    def told(self, watch_id: str, *, after: int) -> list[tuple[int, Report]]:
        """Reports younger than ``after`` (the number that came with an earlier one), oldest first."""
        table = launch_watch_report
        query = (
            select(table)
            .where(table.c.tenant_id == self._tenant_id, table.c.watch_id == watch_id, table.c.told_at > after)
            .order_by(table.c.told_at)
        )
        with self._reading.connect() as connection:
            rows = connection.execute(query).all()
        return [(int(row.told_at), self._opened(row)) for row in rows]

    def _opened(self, row: Any) -> Report:
        plain = json.loads(self._cipher.open(row.sealed, purpose=_purpose(row.report_id)))
        return Report(plain["step"], tuple(Line(**line) for line in plain["lines"]))


def _purpose(report_id: str) -> str:
    return f"launch-watch|{report_id}"


class LaunchWatcher:
    """The app's side: turns launch events into reports, where somebody watches.

    ``test_patients(registration_id)`` are the listed ones. ``role_of(context)`` gives role and rule where settings
    alone decide, else None. ``headers()`` are those of the request that the event comes from.
    """

    def __init__(
        self,
        engine: Engine,
        cipher: Cipher,
        tenant_id: str,
        registrations: Registrations,
        *,
        test_patients: Callable[[str], frozenset[str]],
        role_of: Callable[[LaunchContext], RoleTold | None],
        headers: Callable[[], Mapping[str, str]],
    ) -> None:
        self._watches = LaunchWatches(engine, cipher, tenant_id)
        self._store = LaunchStore(engine, cipher, tenant_id)
        self._registrations = registrations
        self._test_patients = test_patients
        self._role_of = role_of
        self._headers = headers

    def note(self, event: LaunchEvent) -> None:
        """Tell the open watches. A refusal names no registration: every open watch is told of it."""
        steps = {"launch-begun": BEGUN, "launch-refused": REFUSED, "launch-completed": COMPLETED}
        step, now = steps.get(event.name), int(time.time())
        if step is None:
            return
        open_watches = self._watches.of(event.registration_id, now=now)
        if not open_watches:
            return
        report = self._completed(event, now) if step == COMPLETED else _without_launch(step, event)
        if report is None:
            return
        for watch_id in open_watches:
            self._watches.tell(watch_id, report)

    def _completed(self, event: LaunchEvent, now: int) -> Report | None:
        row = self._store.launch(event.launch_id or "", now=now, idle_seconds=KEPT_SECONDS)
        if row is None:
            return None
        context = LaunchContext.from_json(row.context)
        if context.patient_id is not None and context.patient_id not in self._test_patients(context.registration_id):
            return Report(SOMEBODY_ELSE)
        try:
            registration = self._registrations.for_id(context.registration_id)
        except UnknownIssuerError:
            return None
        lines = launch_lines(
            context, registration, self._role_of(context), self._headers(), datetime.fromtimestamp(now, UTC)
        )
        return Report(COMPLETED, tuple(lines))


def _without_launch(step: str, event: LaunchEvent) -> Report:
    return Report(step, (refusal_line(event.reason),) if step == REFUSED else ())

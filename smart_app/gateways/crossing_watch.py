"""Finds calls to the outside of which nobody knows how they ended, and tells the privacy officer once of each.

A row ``intended`` is committed before a call leaves and a row ``outcome`` after it (R26). A process that dies between
the two leaves a visit on the EHR's schedule, or none, and nobody told. The delivery worker looks for such rows at its
start and then as it works: only at rows since the last look, and first at the newest ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from smart_app.gateways.alerts import SqlAlerts

ALERT = "crossing-without-outcome"
OVERDUE = timedelta(minutes=5)  # longer than any call to an EHR or a program may take
FIRST_LOOK_BACK = 2000  # rows


class CrossingWatch:
    """Keeps in memory how far it looked and which calls had no outcome yet there.

    ``entries(after)`` gives position and content of the log's rows behind a position, ``head()`` the last position.
    """

    def __init__(
        self,
        entries: Callable[[int], Iterator[tuple[int, Mapping[str, Any]]]],
        head: Callable[[], int],
        alerts: SqlAlerts,
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._entries = entries
        self._head = head
        self._alerts = alerts
        self._now = now
        self._position: int | None = None
        self._begun: dict[str, datetime] = {}

    def look(self) -> int:
        """Read what was added to the log; raise an alert for each call without an outcome that is overdue, also for one
        that another worker told of: it stays one alert. Returns how many are overdue."""
        if self._position is None:
            self._position = max(0, self._head() - FIRST_LOOK_BACK)
        for position, row in self._entries(self._position):
            if row.get("phase") == "intended":
                self._begun[row["crossing"]] = datetime.fromisoformat(row["at"])
            elif row.get("phase") == "outcome":
                self._begun.pop(row["crossing"], None)
            self._position = position
        overdue = [crossing for crossing, at in self._begun.items() if at <= self._now() - OVERDUE]
        for crossing in overdue:
            self._alerts.raise_once(ALERT, reference=f"AuditEvent/{crossing}")
            del self._begun[crossing]
        return len(overdue)

"""The audit log for the privacy officer: read by month, and each look noted in the log itself (R26)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from smart_app.gateways.door import VaultDoor
from smart_app.policy import audit_trail
from smart_app.policy.access import Requester
from smart_app.policy.audit_trail import Disclosure, TrailLine


class AuditReader:
    """Implements ``ports.Trail``. ``entries(month)`` gives position and content of one month's rows, oldest first."""

    def __init__(self, entries: Callable[[str], Iterator[tuple[int, Mapping[str, Any]]]], door: VaultDoor) -> None:
        self._entries = entries
        self._door = door

    def lines(self, requester: Requester, month: str, now: datetime) -> list[TrailLine]:
        """The rows of one month ("2026-11"), the newest first. Sign-ins and machines are among them."""
        rows = self._rows(requester, month, now)
        return [audit_trail.line_of(position, row) for position, row in reversed(rows)]

    def disclosures(self, requester: Requester, month: str, now: datetime) -> list[Disclosure]:
        """What left under a release in one month, the newest first."""
        return audit_trail.disclosures(self._rows(requester, month, now))[::-1]

    def _rows(self, requester: Requester, month: str, now: datetime) -> list[tuple[int, Mapping[str, Any]]]:
        self._door.note_log_read(requester, f"log/{month}", now)
        return [(position, row) for position, row in self._entries(month) if row]

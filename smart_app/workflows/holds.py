"""The privacy officer looks at people who may be a contact of a patient, and releases them (R24)."""

from __future__ import annotations

from datetime import datetime

from smart_app.people_ports import Hold
from smart_app.policy.access import Requester
from smart_app.ports import Door


def waiting(door: Door, requester: Requester, now: datetime) -> list[Hold]:
    """Those nobody released yet."""
    with door.open_for(requester, now) as work:
        return work.holds.waiting()


def release(door: Door, requester: Requester, hold_id: str, now: datetime) -> None:
    """From the person's next page on."""
    with door.open_for(requester, now) as work:
        work.holds.release(hold_id)

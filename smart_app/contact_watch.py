"""Is the person who signed in a contact of the launched patient, and did the privacy officer release them (R24)?"""

from __future__ import annotations

from datetime import datetime

from smart_app.policy import contact_match
from smart_app.policy.access import Requester
from smart_app.ports import Door, Payload


def compare(door: Door, asks: Requester, staff: Payload | None, patient: Payload, now: datetime) -> str:
    """ "held", "no" or "not-read". Of what was read this answer alone is kept; who is held is told to the officer."""
    if staff is None:
        return "not-read"
    if not contact_match.can_match(staff):
        return "no"
    with door.open_for(asks, now) as work:
        kinds = contact_match.matches(staff, patient, work.holds.family())
        if kinds:
            work.holds.hold(kinds)
    return "held" if kinds else "no"


def is_released(door: Door, asks: Requester, now: datetime) -> bool:
    """Asked with each page of somebody who is held; each "no" is in the log."""
    with door.open_for(asks, now) as work:
        if work.holds.is_released():
            return True
        work.audit_refusal("R24", reference=f"Patient/{asks.patient_id}")
        return False

"""Two cards for every patient: what became of them is a count of the site, never of a person (R33, R39)."""

from __future__ import annotations

from datetime import datetime

from smart_app.errors import InvalidError
from smart_app.policy.access import Requester
from smart_app.ports import Door

OUTCOMES: tuple[str, ...] = ("offered", "taken", "not-safe-to-carry", "shown-only")


def record(door: Door, requester: Requester, outcome: str, now: datetime) -> None:
    """Count one ``outcome`` of OUTCOMES for this site and month. No patient, no case, no resource.

    Raises ``InvalidError`` for any other word.
    """
    if outcome not in OUTCOMES:
        raise InvalidError("Choose what became of the cards.")
    with door.open_for(requester, now) as work:
        work.facts.count("card", outcome)

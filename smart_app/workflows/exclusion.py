"""Whom the patient leaves out, by the patient's word and taken back by it (R22)."""

from __future__ import annotations

import re
from datetime import datetime

from smart_app.errors import InvalidError
from smart_app.people_ports import LeftOut
from smart_app.policy.access import Requester
from smart_app.ports import Door

STAFF = re.compile(r"(Practitioner|PractitionerRole)/[A-Za-z0-9\-.]{1,64}")
MOST_LETTERS = 120


def listed(door: Door, requester: Requester, now: datetime) -> list[LeftOut]:
    """Those this requester may see."""
    with door.open_for(requester, now) as work:
        return work.exclusions.listed()


def leave_out_staff(door: Door, requester: Requester, reference: str, name: str, now: datetime) -> None:
    """Somebody who works here, as the EHR calls them."""
    if not STAFF.fullmatch(reference):
        raise InvalidError("That is not how the EHR writes a staff id: Practitioner/ and the id.", rule="R22")
    with door.open_for(requester, now) as work:
        work.exclusions.add(reference=reference, name=_short(name) or reference)


def leave_out_family(door: Door, requester: Requester, name: str, phone: str, now: datetime) -> None:
    """Somebody of the family, who may also work here, or speak for the patient."""
    if not _short(name):
        raise InvalidError("Write the name as the patient says it.", rule="R22")
    with door.open_for(requester, now) as work:
        work.exclusions.add(reference="", name=_short(name), phone=_short(phone))


def let_in_again(door: Door, requester: Requester, entry: str, now: datetime) -> None:
    """By the patient's word."""
    with door.open_for(requester, now) as work:
        work.exclusions.remove(entry)


def _short(text: str) -> str:
    return " ".join(text.split())[:MOST_LETTERS]

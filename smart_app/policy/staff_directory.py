"""What an EHR's staff directory says about one person: PractitionerRole and CareTeam, read with distrust.

A server may ignore a search parameter and send everybody's. So each resource has to say itself whom it is about.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date
from typing import Any

Payload = Mapping[str, Any]
OwnReference = Callable[[object], str | None]


def is_role_of(role: Payload, user_reference: str, own_reference: OwnReference) -> bool:
    """Is this PractitionerRole one of "Practitioner/<id>"? ``own_reference``: "Type/<id>" of a reference, or None."""
    return role.get("resourceType") == "PractitionerRole" and own_reference(_of(role, "practitioner")) == user_reference


def codes_of(role: Payload, today: date) -> Iterator[str]:
    """ "system|code" of each code of a PractitionerRole that counts today; none of one that does not."""
    if role.get("resourceType") != "PractitionerRole" or role.get("active") is False or not _is_now(role, today):
        return
    for concept in _listed(role.get("code")):
        for coding in _listed(concept.get("coding")):
            system, code = coding.get("system"), coding.get("code")
            if isinstance(system, str) and isinstance(code, str):
                yield f"{system}|{code}"


def has_member(team: Payload, patient_reference: str, user_reference: str, own_reference: OwnReference) -> bool:
    """Is the person a member of this CareTeam, and is it an active one of this patient?"""
    is_right = team.get("resourceType") == "CareTeam" and team.get("status") == "active"
    members = {own_reference(_of(member, "member")) for member in _listed(team.get("participant"))}
    return is_right and own_reference(_of(team, "subject")) == patient_reference and user_reference in members


def named(practitioner: Payload) -> tuple[str, str] | None:
    """ "Practitioner/<id>" and the name to show; None for anything else, or without either."""
    own_id = practitioner.get("id")
    if practitioner.get("resourceType") != "Practitioner" or not isinstance(own_id, str) or not own_id:
        return None
    for name in _listed(practitioner.get("name")):
        given = name.get("given")
        parts = [*(given if isinstance(given, list) else []), name.get("family")]
        text = " ".join(str(part) for part in parts if part) or str(name.get("text") or "")
        if text:
            return f"Practitioner/{own_id}", text
    return None


def _of(resource: Payload, element: str) -> object:
    reference = resource.get(element)
    return reference.get("reference") if isinstance(reference, Mapping) else None


def _listed(value: object) -> Iterator[Payload]:
    yield from (one for one in value if isinstance(one, Mapping)) if isinstance(value, list) else ()


def _is_now(role: Payload, today: date) -> bool:
    """Inside ``period`` by whole days; a bound that cannot be read closes it."""
    period = role.get("period", {})
    if not isinstance(period, Mapping):
        return False
    try:
        start, end = (date.fromisoformat(str(period.get(name, today.isoformat()))[:10]) for name in ("start", "end"))
    except ValueError:
        return False
    return start <= today <= end

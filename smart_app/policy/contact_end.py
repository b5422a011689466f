"""A safe contact ends at its date, whatever else goes on (R14)."""

from __future__ import annotations

from datetime import datetime, tzinfo
from typing import Any

from fhir_profiles import safe_contact
from smart_app.policy import consent


def parts_in_force(service_request: dict[str, Any], now: datetime, zone: tzinfo) -> dict[str, Any]:
    """The parts of a request's safe contact by name. After its last day in ``zone`` only how they meant to meet and
    that day are left; empty when there is none."""
    contact = safe_contact.of(service_request)
    parts = safe_contact.values(contact) if contact is not None else {}
    if parts and has_ended(service_request, now, zone):
        return {key: parts[key] for key in ("meet", "expiresOn") if key in parts}
    return parts


def has_ended(service_request: dict[str, Any], now: datetime, zone: tzinfo) -> bool:
    """Is the last day of this request's safe contact over? One without a readable end has ended."""
    contact = safe_contact.of(service_request)
    if contact is None:
        return False
    ends_on = safe_contact.values(contact).get("expiresOn")
    try:
        return not isinstance(ends_on, str) or consent.ends_at(ends_on, zone) < now
    except ValueError:
        return True

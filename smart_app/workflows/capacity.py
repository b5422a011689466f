"""A program says whether it has room: a fact about the program, which clinicians see before they offer it."""

from __future__ import annotations

import json
from dataclasses import dataclass

from fhir_profiles.partner_service import has_room, partner_service
from fhir_profiles.validation import Issue, validate
from smart_app.errors import InvalidError, NothingToShowError, PreconditionError
from smart_app.policy.status_back import etag_of
from smart_app.ports import Directory, Partner, Payload

PROFILE = "partner-service"
_ONLY = "Only the capacity status may change here; the health center keeps the rest."


@dataclass(frozen=True)
class ShownService:
    """The HealthcareService of one program and its ETag."""

    payload: Payload
    etag: str


def service_of(partner: Partner, service_id: str) -> ShownService:
    """The program's own service, which has the program's own id. Raises ``NothingToShowError`` for any other."""
    if service_id != partner.partner_id:
        raise NothingToShowError(rule="R19")
    payload = partner_service(
        id=partner.partner_id,
        organization_reference=f"Organization/{partner.partner_id}",
        name=partner.name,
        has_capacity=partner.has_capacity,
    )
    return ShownService(payload, etag_of(payload))


def update(directory: Directory, partner: Partner, service_id: str, body: Payload, if_match: str) -> ShownService:
    """Take the capacity status of ``body``. Refused: another program's service (404), a stale ETag (412), anything
    else that changed (422)."""
    issues = validate(body, PROFILE)
    if issues:
        raise InvalidError(issues=issues)
    shown = service_of(partner, service_id)
    if if_match != shown.etag:
        raise PreconditionError
    if _rest(body) != _rest(shown.payload):
        raise InvalidError(issues=[Issue("error", "business-rule", "HealthcareService", _ONLY)])
    directory.set_capacity(partner.partner_id, has_room(body))
    kept = directory.partner(partner.partner_id)
    if kept is None:
        raise NothingToShowError(rule="R19")
    return service_of(kept, service_id)


def _rest(payload: Payload) -> str:
    return json.dumps({key: payload[key] for key in payload.keys() - {"extension", "meta"}}, sort_keys=True)

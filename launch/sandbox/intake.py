"""What a write must look like before it is stored: size, syntax, what R4 requires, references that exist."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from launch.sandbox.records import Payload, Records, patient_of

MAX_BYTES = 1_000_000
MAX_DEPTH = 40
REQUIRED: dict[str, tuple[str, ...]] = {
    "Observation": ("status", "code", "subject"),
    "ServiceRequest": ("status", "intent", "subject"),
    "Appointment": ("status", "participant"),
}
STATUSES: dict[str, tuple[str, ...]] = {
    "Observation": (
        "registered", "preliminary", "final", "amended", "corrected", "cancelled", "entered-in-error", "unknown",
    ),
    "ServiceRequest": ("draft", "active", "on-hold", "revoked", "completed", "entered-in-error", "unknown"),
    "Appointment": (
        "proposed", "pending", "booked", "arrived", "fulfilled", "cancelled", "noshow", "entered-in-error",
        "checked-in", "waitlist",
    ),
}  # fmt: skip
CHECKED_REFERENCES = frozenset({"Patient", "Encounter", "Practitioner"})


class IntakeError(Exception):
    """A body that is not stored. ``status`` is HTTP, ``code`` a FHIR issue code, ``text`` never repeats the body."""

    def __init__(self, status: int, code: str, text: str) -> None:
        super().__init__(text)
        self.status, self.code, self.text = status, code, text


def parsed(body: bytes) -> Payload:
    """The JSON object in a body; IntakeError for anything else."""
    if len(body) > MAX_BYTES:
        raise IntakeError(413, "too-long", "the body is larger than 1 MB")
    if _depth(body) > MAX_DEPTH:
        raise IntakeError(400, "structure", "the body is nested too deeply")
    try:
        payload = json.loads(body.decode("utf-8"), object_pairs_hook=_without_duplicates, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise IntakeError(400, "structure", "the body is not valid JSON") from error
    if not isinstance(payload, dict):
        raise IntakeError(400, "structure", "the body is not a resource")
    return payload


def _depth(body: bytes) -> int:
    depth = deepest = 0
    for byte in body:
        if byte in b"{[":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"}]":
            depth -= 1
    return deepest


def _without_duplicates(pairs: list[tuple[str, Any]]) -> Payload:
    names = [name for name, _ in pairs]
    if len(names) != len(set(names)):
        raise ValueError("duplicate key")
    return dict(pairs)


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def check(payload: Payload, resource_type: str, records: Records) -> None:
    """Refuse a resource this server would not store. Its structure is checked as far as this EHR uses it."""
    if payload.get("resourceType") != resource_type:
        raise IntakeError(400, "invalid", "resourceType and the URL differ")
    for element in REQUIRED[resource_type]:
        if payload.get(element) in (None, "", [], {}):
            raise IntakeError(422, "required", f"{resource_type}.{element} is required")
    if payload["status"] not in STATUSES[resource_type]:
        raise IntakeError(422, "code-invalid", f"{resource_type}.status is not a code of R4")
    if "modifierExtension" in payload:
        raise IntakeError(422, "extension", "modifierExtension is not accepted here")
    if not isinstance(payload.get("meta", {}), dict):
        raise IntakeError(400, "structure", "meta is not an object")
    if resource_type == "Appointment":
        _check_appointment(payload)
    elif patient_of(payload) is None:
        raise IntakeError(422, "required", f"{resource_type}.subject must be a patient of this server")
    _check_references(payload, records)


def _check_appointment(payload: Payload) -> None:
    """Invariants app-1 to app-3 of R4."""
    participants = payload["participant"]
    if not isinstance(participants, list) or not all(
        isinstance(one, dict) and one.get("status") and (one.get("actor") or one.get("type")) for one in participants
    ):
        raise IntakeError(422, "invariant", "each Appointment.participant needs a status and an actor or a type")
    if ("start" in payload) != ("end" in payload):
        raise IntakeError(422, "invariant", "Appointment.start and end come together")
    if "start" not in payload and payload["status"] not in ("proposed", "cancelled", "waitlist"):
        raise IntakeError(422, "invariant", "an Appointment with this status needs start and end")


def _check_references(payload: Payload, records: Records) -> None:
    """Local references to people and visits must exist here, and a visit must be the same patient's."""
    patient = patient_of(payload)

    def check_one(reference: str) -> None:
        resource_type, _, rest = reference.partition("/")
        if resource_type not in CHECKED_REFERENCES:
            return
        found = records.current(resource_type, rest.split("/")[0])
        if found is None or found.is_deleted:
            raise IntakeError(422, "not-found", f"a {resource_type} that is referenced is not on this server")
        if resource_type == "Encounter" and found.patient != patient:
            raise IntakeError(422, "business-rule", "the encounter is another patient's")

    _each_reference(payload, check_one)


def _each_reference(value: Any, visit: Callable[[str], None]) -> None:
    if isinstance(value, list):
        for item in value:
            _each_reference(item, visit)
    elif isinstance(value, dict):
        if isinstance(value.get("reference"), str):
            visit(value["reference"])
        for item in value.values():
            _each_reference(item, visit)

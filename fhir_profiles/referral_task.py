"""Profile ``referral-task``: the state of one referral between two organizations.

Parent: Gravity SDOHCC TaskForReferralManagement. Refusals are codes with a fixed wording, never free text; output only
names an Appointment and only inside the survivor's release.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime

from fhir_profiles import dates, shapes
from fhir_profiles.construction import built
from fhir_profiles.security_labels import Label, own_security
from fhir_profiles.shapes import Many, Record, Report
from fhir_profiles.terminology import (
    BSER_BUSINESS_STATUS,
    BSER_CANCELLATION_REQUESTED,
    BSER_EVENT_CANCELLED,
    BSER_EVENT_COMPLETED,
    BSER_SCHEDULED,
    BSER_UNATTENDED,
    GRAVITY,
    IDENTIFIER_TYPE,
    REFERRAL_REASON,
    REFERRAL_STATUS,
    TASK_CODE,
    Payload,
    coding,
    concept,
    profile,
    reference,
)

PROFILE = profile("referral-task")
STATUSES = (
    "draft",
    "requested",
    "accepted",
    "rejected",
    "in-progress",
    "on-hold",
    "completed",
    "cancelled",
    "failed",
    "entered-in-error",
)
# Our reasons with their only wording. "unable" covers all else, so that no reason tells a personal one.
REASONS: Mapping[str, str] = {
    "no-capacity": "No capacity today",
    "outside-area": "Outside our area",
    "language": "Language not available",
    "service-not-offered": "Service not offered",
    "unable": "Unable to take this referral",
    "closed": "Closed",
}
OUR_BUSINESS_STATUSES = (
    "received-by-inbox",
    "opened-by-person",
    "contact-made",
    "handoff-made",
    "patient-reports-connected",
    "no-information",
)
_BSER_STATUSES = (
    BSER_SCHEDULED,
    BSER_UNATTENDED,
    BSER_EVENT_CANCELLED,
    BSER_EVENT_COMPLETED,
    BSER_CANCELLATION_REQUESTED,
)
_BUSINESS = {(REFERRAL_STATUS, code) for code in OUR_BUSINESS_STATUSES} | {
    (BSER_BUSINESS_STATUS, code) for code in _BSER_STATUSES
}
_FULFILL = (TASK_CODE, "fulfill")
_OUTPUT_TYPE = (REFERRAL_STATUS, "appointment")

# BSeR types them: the placer's (requester's) and the filler's (owner's) number.
_IDENTIFIER_TYPES = ((IDENTIFIER_TYPE, "PLAC"), (IDENTIFIER_TYPE, "FILL"))
_IDENTIFIER = shapes.IDENTIFIER.with_fields({"type": shapes.concept(*_IDENTIFIER_TYPES)})
_REASON = Record(
    {
        "coding!": Many(Record({"system!": shapes.URI, "code!": shapes.TOKEN})),
        "text": shapes.line(100),
    }
)
SHAPE = Record(
    {
        "resourceType!": shapes.code("Task"),
        "id": shapes.ID,
        "meta": shapes.meta(PROFILE, f"{GRAVITY}/SDOHCC-TaskForReferralManagement"),
        "identifier!": Many(_IDENTIFIER, 1, 2),
        "status!": shapes.code(*STATUSES),
        "statusReason": _REASON,
        "businessStatus": shapes.concept(*_BUSINESS),
        "intent!": shapes.code("order"),
        "code!": shapes.concept(_FULFILL),
        "focus!": shapes.reference("ServiceRequest"),
        "for!": shapes.reference("Patient"),
        "authoredOn!": shapes.DATE_TIME,
        "lastModified": shapes.DATE_TIME,
        "requester!": shapes.reference("Organization", urn=False),
        "owner!": shapes.reference("Organization", urn=False),
        "restriction!": Record({"period!": Record({"start": shapes.DATE_TIME, "end!": shapes.DATE_TIME})}),
        "output": Many(
            Record(
                {
                    "type!": shapes.concept(_OUTPUT_TYPE),
                    "valueReference!": shapes.reference("Appointment", urn=False),
                }
            )
        ),
    }
)


def referral_task(
    *,
    labels: Sequence[Label],
    id: str | None,
    identifier_system: str,
    identifier_value: str,
    service_request_reference: str,
    patient_reference: str,
    requester_reference: str,
    owner_reference: str,
    authored_at: date,
    due_at: datetime,
    status: str = "requested",
    business_status: str | None = None,
) -> Payload:
    """The Task. ``due_at`` is when the other side should have acted, an aware datetime. ``business_status`` is one of
    ``OUR_BUSINESS_STATUSES`` or a BSeR code. The identifier is unique for its sender. ValueError for anything
    that this profile does not allow."""
    payload: Payload = {
        "resourceType": "Task",
        **({"id": id} if id is not None else {}),
        "meta": {"profile": [PROFILE], "security": own_security("referral-task", labels)},
        "identifier": [{"system": identifier_system, "value": identifier_value}],
        "status": status,
        **({"businessStatus": business_status_of(business_status)} if business_status is not None else {}),
        "intent": "order",
        "code": concept(*_FULFILL),
        "focus": reference(service_request_reference),
        "for": reference(patient_reference),
        "authoredOn": dates.as_text(authored_at),
        "requester": reference(requester_reference),
        "owner": reference(owner_reference),
        "restriction": {"period": {"end": dates.as_text(due_at)}},
    }
    return built(payload, SHAPE, rules)


def business_status_of(code: str) -> Payload:
    """The CodeableConcept of one of our own or BSeR's business statuses. ValueError for others."""
    pair = next((pair for pair in _BUSINESS if pair[1] == code), None)
    if pair is None:
        raise ValueError("not a business status of this profile")
    return concept(*pair)


def status_reason(code: str) -> Payload:
    """The CodeableConcept of one of our ``REASONS``, with its fixed wording (Gravity asks for a text). ValueError for
    another."""
    if code not in REASONS:
        raise ValueError("not a reason of this profile")
    return {"coding": [coding(REFERRAL_REASON, code)], "text": REASONS[code]}


def imported_reason(received: Payload) -> Payload:
    """A received statusReason as we keep it: an unknown code becomes "unable", and the sender's text is dropped."""
    first = (received.get("coding") or [{}])[0]
    known = first.get("system") == REFERRAL_REASON and first.get("code") in REASONS
    return status_reason(first["code"] if known else "unable")


def appointment_output(appointment_reference: str) -> Payload:
    """A Task.output that names the booked Appointment ("Appointment/<id>")."""
    return {"type": concept(*_OUTPUT_TYPE), "valueReference": reference(appointment_reference)}


def rules(payload: Payload, path: str, report: Report) -> None:
    """The two organizations differ, and the deadline is not before the request."""
    if payload["requester"] == payload["owner"]:
        report.add("invariant", f"{path}.owner", "Requester and owner are two organizations: they are not the same.")
    period = payload["restriction"]["period"]
    start = period.get("start", payload["authoredOn"])
    shapes.check_period({"start": start, "end": period["end"]}, f"{path}.restriction.period", report)
    identifiers = [(item["system"], item["value"]) for item in payload["identifier"]]
    if len(set(identifiers)) != len(identifiers):
        report.add("invariant", f"{path}.identifier", "Each identifier may stand once.")

"""Profile ``proposed-appointment``: a visit asked for, then booked or cancelled; neutral in every element (R36).

The vault's copy keeps its labels and ``basedOn``; what an EHR's schedule is given is ``appointment_ehr_copy``.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from fhir_profiles import dates, shapes
from fhir_profiles.construction import built, shaped
from fhir_profiles.security_labels import Label, own_security
from fhir_profiles.shapes import Many, Record, Report, Text
from fhir_profiles.terminology import CANCELLATION_REASON, Payload, concept, profile, reference

PROFILE = profile("proposed-appointment")
STATUSES = ("proposed", "booked", "cancelled", "fulfilled", "entered-in-error")
VISIT_TYPE = "Office visit"
CANCEL_REASONS = ("prov", "other")
_MAY_LACK_TIME = frozenset({"proposed", "cancelled", "waitlist"})

PARTICIPANT = Record(
    {
        "actor!": shapes.reference("Patient", "HealthcareService", "Location"),
        "status!": shapes.code("needs-action", "accepted", "declined", "tentative"),
    }
)
NEUTRAL_TYPE = Record({"text!": Text(VISIT_TYPE.__eq__, f"Only the neutral visit type is allowed: {VISIT_TYPE}.")})
SHAPE = Record(
    {
        "resourceType!": shapes.code("Appointment"),
        "id": shapes.ID,
        "meta": shapes.meta(PROFILE),
        "status!": shapes.code(*STATUSES),
        "cancelationReason": shapes.concept(*((CANCELLATION_REASON, code) for code in CANCEL_REASONS)),
        "serviceType!": Many(NEUTRAL_TYPE),
        "start": shapes.INSTANT,
        "end": shapes.INSTANT,
        "requestedPeriod!": Many(shapes.PERIOD),
        "basedOn!": Many(shapes.reference("ServiceRequest")),
        "participant!": Many(PARTICIPANT, 2, 2),
    }
)


def proposed_appointment(
    *,
    labels: Sequence[Label],
    patient_reference: str,
    service_reference: str,
    based_on: str,
    requested_start: datetime,
    requested_end: datetime,
    id: str | None = None,
) -> Payload:
    """A visit asked for. ``service_reference`` is "HealthcareService/<id>", never an Organization (R4)."""
    return shaped(
        {
            "resourceType": "Appointment",
            **({"id": id} if id is not None else {}),
            "meta": {"profile": [PROFILE], "security": own_security("proposed-appointment", labels)},
            "status": "proposed",
            "serviceType": [{"text": VISIT_TYPE}],
            "requestedPeriod": [{"start": dates.as_text(requested_start), "end": dates.as_text(requested_end)}],
            "basedOn": [reference(based_on)],
            "participant": [
                {"actor": reference(patient_reference), "status": "needs-action"},
                {"actor": reference(service_reference), "status": "needs-action"},
            ],
        },
        SHAPE,
        rules,
        "Appointment",
    )


def booked_appointment(existing: Payload, start: datetime, end: datetime) -> Payload:
    """The same visit, booked. ``start`` and ``end`` are aware; ValueError unless start is before end."""
    if start >= end:
        raise ValueError("a visit starts before it ends")
    rest = {key: value for key, value in existing.items() if key != "cancelationReason"}
    return built(
        {
            **rest,
            "status": "booked",
            "start": dates.as_text(start),
            "end": dates.as_text(end),
            "participant": [{**item, "status": "accepted"} for item in existing["participant"]],
        },
        SHAPE,
        rules,
    )


def cancelled_appointment(existing: Payload, reason: str = "other") -> Payload:
    """The same visit, cancelled with a neutral reason, one of ``CANCEL_REASONS``."""
    if reason not in CANCEL_REASONS:
        raise ValueError("not a neutral cancellation reason")
    cancelled = {**existing, "status": "cancelled", "cancelationReason": concept(CANCELLATION_REASON, reason)}
    return built(cancelled, SHAPE, rules)


def rules(payload: Payload, path: str, report: Report) -> None:
    """app-2, app-3 and app-4 (with R4's erratum: the code is ``noshow``), and one patient with one service."""
    has_start, has_end = "start" in payload, "end" in payload
    if has_start != has_end:
        report.add("invariant", path, "Start and end come together (app-2).")
    elif not has_start and payload["status"] not in _MAY_LACK_TIME:
        report.add("invariant", path, "Only a proposed or cancelled visit may lack its time (app-3).")
    elif has_start and dates.first_moment(payload["start"]) >= dates.first_moment(payload["end"]):
        report.add("invariant", f"{path}.end", "The visit ends after it starts.")
    if "cancelationReason" in payload and payload["status"] not in {"cancelled", "noshow"}:
        report.add("invariant", f"{path}.cancelationReason", "Only a cancelled visit has a reason (app-4).")
    shapes.check_period(payload["requestedPeriod"][0], f"{path}.requestedPeriod[0]", report)
    actors = [item["actor"]["reference"] for item in payload["participant"]]
    services = [actor for actor in actors if actor.startswith(("HealthcareService/", "Location/"))]
    if len(services) != 1:
        report.add(
            "invariant",
            f"{path}.participant",
            "The participants are one Patient and one HealthcareService or Location.",
        )

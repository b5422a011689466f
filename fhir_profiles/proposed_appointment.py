"""Profile ``proposed-appointment``: a visit asked for, then booked or cancelled; neutral in every element (R36).

The vault copy keeps its label and ``basedOn``. The EHR copy says "Office visit" and a time, nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from fhir_profiles import dates, r4, shapes
from fhir_profiles.security_labels import Label, as_security, labels_for, labels_of
from fhir_profiles.shapes import Many, Record, Report, Text
from fhir_profiles.terminology import CANCELLATION_REASON, Payload, concept, profile, reference

PROFILE = profile("proposed-appointment")
STATUSES = ("proposed", "booked", "cancelled", "fulfilled", "entered-in-error")
VISIT_TYPE = "Office visit"
CANCEL_REASONS = ("prov", "other")
_MAY_LACK_TIME = frozenset({"proposed", "cancelled", "waitlist"})

_PARTICIPANT = Record(
    {
        "actor!": shapes.reference("Patient", "HealthcareService", "Location"),
        "status!": shapes.code("needs-action", "accepted", "declined", "tentative"),
    }
)
SHAPE = Record(
    {
        "resourceType!": shapes.code("Appointment"),
        "id": shapes.ID,
        "meta": shapes.meta(PROFILE),
        "status!": shapes.code(*STATUSES),
        "cancelationReason": shapes.concept(*((CANCELLATION_REASON, code) for code in CANCEL_REASONS)),
        "serviceType!": Many(Record({"text!": Text(VISIT_TYPE.__eq__, "Only the neutral visit type is allowed.")})),
        "start": shapes.INSTANT,
        "end": shapes.INSTANT,
        "requestedPeriod!": Many(shapes.PERIOD),
        "basedOn!": Many(shapes.reference("ServiceRequest")),
        "participant!": Many(_PARTICIPANT, 2, 2),
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
    return r4.checked(
        {
            "resourceType": "Appointment",
            **({"id": id} if id is not None else {}),
            "meta": {"profile": [PROFILE], "security": as_security(labels)},
            "status": "proposed",
            "serviceType": [{"text": VISIT_TYPE}],
            "requestedPeriod": [{"start": dates.as_text(requested_start), "end": dates.as_text(requested_end)}],
            "basedOn": [reference(based_on)],
            "participant": [
                {"actor": reference(patient_reference), "status": "needs-action"},
                {"actor": reference(service_reference), "status": "needs-action"},
            ],
        }
    )


def booked_appointment(existing: Payload, start: datetime, end: datetime) -> Payload:
    """The same visit, booked. ``start`` and ``end`` are aware; ValueError unless start is before end."""
    if start >= end:
        raise ValueError("a visit starts before it ends")
    rest = {key: value for key, value in existing.items() if key != "cancelationReason"}
    return r4.checked(
        {
            **rest,
            "status": "booked",
            "start": dates.as_text(start),
            "end": dates.as_text(end),
            "participant": [{**item, "status": "accepted"} for item in existing["participant"]],
        }
    )


def cancelled_appointment(existing: Payload, reason: str = "other") -> Payload:
    """The same visit, cancelled with a neutral reason, one of ``CANCEL_REASONS``."""
    if reason not in CANCEL_REASONS:
        raise ValueError("not a neutral cancellation reason")
    return r4.checked({**existing, "status": "cancelled", "cancelationReason": concept(CANCELLATION_REASON, reason)})


def ehr_appointment_copy(
    start: datetime, end: datetime, service_reference: str, patient_reference: str | None = None
) -> Payload:
    """The neutral visit for an EHR's schedule: type and time only, labelled C|R and no more (R36)."""
    if start >= end:
        raise ValueError("a visit starts before it ends")
    actors = [item for item in (patient_reference, service_reference) if item is not None]
    return r4.checked(
        {
            "resourceType": "Appointment",
            "meta": {"security": as_security(labels_for("appointment-ehr-copy"))},
            "status": "booked",
            "serviceType": [{"text": VISIT_TYPE}],
            "start": dates.as_text(start),
            "end": dates.as_text(end),
            "participant": [{"actor": reference(actor), "status": "accepted"} for actor in actors],
        }
    )


def rules(payload: Payload, path: str, report: Report) -> None:
    """app-2, app-3 and app-4 (with R4's erratum: the code is ``noshow``), and one patient with one service."""
    has_start, has_end = "start" in payload, "end" in payload
    if has_start != has_end:
        report.add("invariant", path, "Start and end come together (app-2).")
    elif not has_start and payload["status"] not in _MAY_LACK_TIME:
        report.add("invariant", path, "Only a proposed or cancelled visit may lack its time (app-3).")
    elif has_start and dates.first_moment(payload["start"]) >= dates.first_moment(payload["end"]):
        report.add("invariant", f"{path}.end", "The visit ends before it starts.")
    if "cancelationReason" in payload and payload["status"] not in {"cancelled", "noshow"}:
        report.add("invariant", f"{path}.cancelationReason", "Only a cancelled visit has a reason (app-4).")
    shapes.check_period(payload["requestedPeriod"][0], f"{path}.requestedPeriod[0]", report)
    actors = [item["actor"]["reference"] for item in payload["participant"]]
    services = [actor for actor in actors if actor.startswith(("HealthcareService/", "Location/"))]
    if len(services) != 1:
        report.add("invariant", f"{path}.participant", "The participants are one patient and one service.")


EHR_COPY_SHAPE = Record(
    {
        "resourceType!": shapes.code("Appointment"),
        "id": shapes.ID,
        "meta": Record({"security": shapes.LABELS, "versionId": shapes.ID, "lastUpdated": shapes.INSTANT}),
        "status!": shapes.code("booked", "cancelled", "entered-in-error"),
        "serviceType!": Many(Record({"text!": Text(VISIT_TYPE.__eq__, "Only the neutral visit type is allowed.")})),
        "start!": shapes.INSTANT,
        "end!": shapes.INSTANT,
        "participant!": Many(_PARTICIPANT, 1, 2),
    }
)


def ehr_copy_rules(payload: Payload, path: str, report: Report) -> None:
    """A neutral copy shows a time and no sensitivity."""
    if dates.first_moment(payload["start"]) >= dates.first_moment(payload["end"]):
        report.add("invariant", f"{path}.end", "The visit ends before it starts.")
    if set(labels_of(payload)) - set(labels_for("appointment-ehr-copy")):
        report.add("business-rule", f"{path}.meta.security", "A neutral copy carries C|R and no other label (R36).")

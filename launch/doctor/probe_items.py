"""The test items a label probe writes: a pulse, a referral without a reason, a neutral visit. Nothing in them tells.

Each carries the category that patient apps may ask for by scope (US Core ``sdoh``), because that is the door through
which a labelled item would be seen first.
"""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from fhir_profiles import terminology
from fhir_profiles.appointment_ehr_copy import appointment_ehr_copy
from fhir_profiles.security_labels import Label, as_security, labels_for

Payload = dict[str, Any]

TEST_LABELS = (Label(terminology.ACT_REASON, "HTEST"), Label(terminology.CONFIDENTIALITY, "R"))
"""Stage 1: says "test" and "restricted", nothing more."""

REAL_LABELS = {
    "Observation": labels_for("disclosure-observation"),
    "ServiceRequest": labels_for("referral-service-request"),
}
"""Stage 2: the exact set a copy of ours will carry, on an item that is still neutral."""

WEAKER_LABELS = (Label(terminology.CONFIDENTIALITY, "N"),)
"""What somebody would send who wanted the item seen: an ordinary level and no sensitivity."""

INLINE_MARK = Label(terminology.ACT_CODE, "PROCESSINLINELABEL")


def neutral_item(kind: str, patient_id: str, today: date) -> Payload:
    """An unlabelled test item of ``kind`` ("Observation" or "ServiceRequest")."""
    item: Payload = {"resourceType": kind, "subject": {"reference": f"Patient/{patient_id}"}}
    if kind == "Observation":
        return item | {
            "status": "final",
            "category": [terminology.concept(terminology.US_CORE_CATEGORY, "sdoh")],
            "code": terminology.concept(terminology.LOINC, "8867-4"),
            "effectiveDateTime": today.isoformat(),
            "valueQuantity": _pulse(72),
        }
    return item | {
        "status": "active",
        "intent": "order",
        "category": [terminology.concept(terminology.SNOMED, "410606002")],
        "code": terminology.concept(terminology.SNOMED, "308440001"),
        "authoredOn": today.isoformat(),
    }


def labelled(item: Payload, labels: tuple[Label, ...]) -> Payload:
    """A copy of ``item`` with exactly these labels."""
    return item | {"meta": {**item.get("meta", {}), "security": as_security(labels)}}


def edited(item: Payload) -> Payload:
    """A copy with one ordinary field changed, as an edit in the EHR would."""
    if item["resourceType"] == "Observation":
        return item | {"valueQuantity": _pulse(74)}
    return item | {"priority": "routine"}


def patch_of(kind: str) -> list[Payload]:
    """A JSON Patch that changes one ordinary field."""
    if kind == "Observation":
        return [{"op": "replace", "path": "/valueQuantity/value", "value": 76}]
    return [{"op": "add", "path": "/priority", "value": "urgent"}]


def with_extensions(item: Payload) -> Payload:
    """A copy with all five DS4P extensions, to see which of them an EHR keeps."""
    marked = deepcopy(item)
    basis, level = as_security(TEST_LABELS)
    artifact = {"type": "justification", "url": terminology.POLICY_LABELS}
    marked["meta"]["extension"] = [_ds4p("extension-display", "valueAnnotation", {"text": "test"})]
    marked["meta"]["security"] += as_security([INLINE_MARK])
    marked["meta"]["security"][0]["extension"] = [
        _ds4p("extension-sec-label-basis", "valueCoding", basis),
        _ds4p("extension-sec-label-classifier", "valueReference", terminology.reference("Device/labeler")),
        _ds4p("extension-sec-label-related-artifact", "valueRelatedArtifact", artifact),
    ]
    marked["code"]["extension"] = [_ds4p("extension-inline-sec-label", "valueCoding", level)]
    return marked


def _ds4p(name: str, element: str, value: Payload) -> Payload:
    return {"url": f"{terminology.DS4P}/{name}", element: value}


def extensions_in(item: Payload) -> set[str]:
    """The short names of the DS4P extensions that ``item`` carries anywhere."""
    found: set[str] = set()
    pending: list[Any] = [item]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            url = value.get("url")
            if isinstance(url, str) and url.startswith(terminology.DS4P):
                found.add(url.rsplit("/", 1)[1])
            pending.extend(value.values())
        elif isinstance(value, list):
            pending.extend(value)
    return found


def neutral_visit(patient_id: str, service_reference: str, today: date) -> Payload:
    """The Appointment a booking would put on the EHR's schedule, for a day far ahead."""
    start = datetime.combine(today + timedelta(days=300), time(15, 0), UTC)
    return appointment_ehr_copy(
        labels=labels_for("appointment-ehr-copy"),
        start=start,
        end=start + timedelta(minutes=20),
        service_reference=service_reference,
        patient_reference=f"Patient/{patient_id}",
    )


def _pulse(value: int) -> Payload:
    return {"value": value, "unit": "/min", "system": terminology.UNITS, "code": "/min"}

"""What may stand in the EHR where a copy is placed: of a referral coded order facts, under the same labels (R6); of a
visit its time alone (R36).

The safe contact, the alias and the release stay here: they are for the program, end at their date, and an EHR would
keep and show them for ever.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fhir_profiles.appointment_ehr_copy import appointment_ehr_copy
from fhir_profiles.referral_service_request import CONTACT_PROHIBITED
from fhir_profiles.security_labels import labels_for
from fhir_profiles.terminology import concept, reference
from smart_app.policy.clinic_calendar import NEXT_DAY_SERVICE

Payload = dict[str, Any]

_KEPT = (
    "resourceType",
    "status",
    "intent",
    "priority",
    "category",
    "code",
    "authoredOn",
    "requester",
    "performer",
)


def service_request_copy(service_request: Payload, *, patient_reference: str) -> Payload:
    """The ServiceRequest for the chart of ``patient_reference`` ("Patient/<EHR id>"). Nobody is to call because of it,
    whatever was agreed with the program. The labels are the vault's."""
    return {
        **{key: value for key, value in service_request.items() if key in _KEPT},
        "meta": {"security": service_request["meta"]["security"]},
        "orderDetail": [concept(*CONTACT_PROHIBITED)],
        "subject": reference(patient_reference),
    }


def visit_copy(start: datetime, end: datetime, *, patient_reference: str | None) -> Payload:
    """The neutral Appointment for the EHR's schedule, for ``patient_reference`` ("Patient/<EHR id>") if known."""
    return appointment_ehr_copy(
        labels=labels_for("appointment-ehr-copy"),
        start=start,
        end=end,
        service_reference=NEXT_DAY_SERVICE,
        patient_reference=patient_reference,
    )

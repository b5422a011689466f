"""Profile ``appointment-ehr-copy``: the neutral visit for an EHR's schedule, type and time only (R36).

No reason, no program, no ``basedOn``, no sensitivity: it relies on no label. It claims no profile, because the address
of one of ours in an EHR's schedule would tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from fhir_profiles import dates, shapes
from fhir_profiles.construction import built
from fhir_profiles.proposed_appointment import NEUTRAL_TYPE, PARTICIPANT, VISIT_TYPE
from fhir_profiles.security_labels import Label, labels_for, labels_of, own_security
from fhir_profiles.shapes import Many, Record, Report
from fhir_profiles.terminology import Payload, reference

SHAPE = Record(
    {
        "resourceType!": shapes.code("Appointment"),
        "id": shapes.ID,
        "meta": Record({"security": shapes.LABELS, "versionId": shapes.ID, "lastUpdated": shapes.INSTANT}),
        "status!": shapes.code("booked", "cancelled", "entered-in-error"),
        "serviceType!": Many(NEUTRAL_TYPE),
        "start!": shapes.INSTANT,
        "end!": shapes.INSTANT,
        "participant!": Many(PARTICIPANT, 1, 2),
    }
)


def appointment_ehr_copy(
    *,
    labels: Sequence[Label],
    start: datetime,
    end: datetime,
    service_reference: str,
    patient_reference: str | None = None,
) -> Payload:
    """The Appointment for an EHR. ``start`` and ``end`` are aware; ``service_reference`` is "HealthcareService/<id>".

    ``labels`` are C|R and no more. ValueError unless start is before end, and for anything else that this profile does
    not allow.
    """
    actors = [item for item in (patient_reference, service_reference) if item is not None]
    return built(
        {
            "resourceType": "Appointment",
            "meta": {"security": own_security("appointment-ehr-copy", labels)},
            "status": "booked",
            "serviceType": [{"text": VISIT_TYPE}],
            "start": dates.as_text(start),
            "end": dates.as_text(end),
            "participant": [{"actor": reference(actor), "status": "accepted"} for actor in actors],
        },
        SHAPE,
        rules,
    )


def rules(payload: Payload, path: str, report: Report) -> None:
    """A neutral copy shows a time and no sensitivity."""
    if dates.first_moment(payload["start"]) >= dates.first_moment(payload["end"]):
        report.add("invariant", f"{path}.end", "The visit ends after it starts.")
    if set(labels_of(payload)) - set(labels_for("appointment-ehr-copy")):
        report.add("business-rule", f"{path}.meta.security", "A neutral copy carries C|R and no other label (R36).")

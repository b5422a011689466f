"""The visit: proposed, booked, cancelled."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from fhir_profiles.proposed_appointment import (
    booked_appointment,
    cancelled_appointment,
    proposed_appointment,
)
from fhir_profiles.security_labels import labels_for, labels_of
from fhir_profiles.validation import validate

Payload = dict[str, Any]
PROFILE = "proposed-appointment"
START, END = datetime(2026, 10, 2, 13, tzinfo=UTC), datetime(2026, 10, 2, 22, tzinfo=UTC)


def proposed() -> Payload:
    return proposed_appointment(
        labels=labels_for(PROFILE),
        patient_reference="Patient/p1",
        service_reference="HealthcareService/nextday",
        based_on="ServiceRequest/s1",
        requested_start=START,
        requested_end=END,
        id="a1",
    )


def where(payload: Payload, profile: str = PROFILE) -> list[str]:
    return [issue.expression for issue in validate(payload, profile)]


def test_each_step_of_a_visit_is_valid() -> None:
    """Asked for, booked and cancelled visits all pass, and booking keeps what was asked."""
    asked = proposed()
    booked = booked_appointment(asked, START, datetime(2026, 10, 2, 14, tzinfo=UTC))
    cancelled = cancelled_appointment(asked, "prov")
    assert where(asked) == where(booked) == where(cancelled) == []
    assert booked["requestedPeriod"] == asked["requestedPeriod"]
    assert {item["status"] for item in booked["participant"]} == {"accepted"}
    assert "start" not in asked
    assert where(booked_appointment(cancelled, START, END)) == []


def test_a_visit_cannot_end_before_it_starts() -> None:
    """A wrong order of times is refused when booking."""
    with pytest.raises(ValueError, match="before"):
        booked_appointment(proposed(), END, START)
    with pytest.raises(ValueError, match="reason"):
        cancelled_appointment(proposed(), "pat-fpp")


@pytest.mark.parametrize(
    ("changes", "expression"),
    [
        ({"status": "banana"}, "Appointment.status"),
        ({"status": "pending"}, "Appointment.status"),
        ({"status": "booked"}, "Appointment"),
        ({"start": "2026-10-02T13:00:00Z"}, "Appointment"),
        ({"end": "2026-10-02T13:00:00Z"}, "Appointment"),
        ({"start": "2026-10-02T13:00:00Z", "end": "2026-10-02T12:00:00Z"}, "Appointment.end"),
        ({"start": "2026-10-02", "end": "2026-10-02"}, "Appointment.start"),
        ({"participant": []}, "Appointment.participant"),
        ({"requestedPeriod": []}, "Appointment.requestedPeriod"),
        ({"requestedPeriod": [{"start": "2026-10-03", "end": "2026-10-02"}]}, "Appointment.requestedPeriod[0]"),
        ({"serviceType": [{"text": "Safe visit"}]}, "Appointment.serviceType[0].text"),
        ({"basedOn": [{"reference": "Task/1"}]}, "Appointment.basedOn[0].reference"),
    ],
)
def test_the_invariants_hold(changes: Payload, expression: str) -> None:
    """app-1 to app-3 and our own rules, each refused at its place."""
    assert expression in where({**proposed(), **changes})


def test_a_reason_belongs_to_a_cancelled_visit_only() -> None:
    """app-4: a proposed or booked visit has no reason for being cancelled."""
    asked = proposed()
    reason = cancelled_appointment(asked)["cancelationReason"]
    assert where({**asked, "cancelationReason": reason}) == ["Appointment.cancelationReason"]


@pytest.mark.parametrize("actor", ["Organization/harbor", "Practitioner/dr-lee", "RelatedPerson/rp-gil"])
def test_nobody_but_patient_and_service_takes_part(actor: str) -> None:
    """A program, a person or a relative is never a participant."""
    asked = proposed()
    asked["participant"][1]["actor"]["reference"] = actor
    assert where(asked) == ["Appointment.participant[1].actor.reference"]


@pytest.mark.parametrize("actors", [("Patient/p1", "Patient/p2"), ("HealthcareService/a", "HealthcareService/b")])
def test_participants_are_one_patient_and_one_service(actors: tuple[str, str]) -> None:
    """Two patients in one visit would show one to the other."""
    asked = proposed()
    for item, actor in zip(asked["participant"], actors, strict=True):
        item["actor"]["reference"] = actor
    assert where(asked) == ["Appointment.participant"]


def test_the_vault_copy_keeps_its_full_label() -> None:
    """The center's own copy stays labelled as what it is."""
    assert labels_of(proposed()) == labels_for(PROFILE)

"""The neutral copy of a visit for the EHR's schedule (R36)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from fhir_profiles.appointment_ehr_copy import appointment_ehr_copy
from fhir_profiles.security_labels import Label, labels_for
from fhir_profiles.terminology import CONFIDENTIALITY
from fhir_profiles.validation import validate

Payload = dict[str, Any]
PROFILE = "appointment-ehr-copy"
START, END = datetime(2026, 10, 2, 13, tzinfo=UTC), datetime(2026, 10, 2, 22, tzinfo=UTC)


def copy(**changes: Any) -> Payload:
    given: dict[str, Any] = {
        "labels": labels_for(PROFILE),
        "start": START,
        "end": END,
        "service_reference": "HealthcareService/nextday",
    }
    return appointment_ehr_copy(**{**given, **changes})


@pytest.mark.rule("R36")
def test_rule_R36_the_copy_for_the_ehr_is_neutral_in_every_element() -> None:
    """The visit in the EHR says "Office visit" and a time: no partner, no reason, no SDV, no link to a referral.

    Fails when ``appointment_ehr_copy`` starts from the vault's Appointment instead of from nothing.
    """
    made = copy(patient_reference="Patient/p-dana")
    assert made == {
        "resourceType": "Appointment",
        "meta": {"security": [{"system": CONFIDENTIALITY, "code": "R"}]},
        "status": "booked",
        "serviceType": [{"text": "Office visit"}],
        "start": "2026-10-02T13:00:00Z",
        "end": "2026-10-02T22:00:00Z",
        "participant": [
            {"actor": {"reference": "Patient/p-dana"}, "status": "accepted"},
            {"actor": {"reference": "HealthcareService/nextday"}, "status": "accepted"},
        ],
    }
    assert validate(made, PROFILE) == []
    assert len(copy()["participant"]) == 1


@pytest.mark.rule("R36")
@pytest.mark.parametrize(
    "addition",
    [
        {"basedOn": [{"reference": "ServiceRequest/s1"}]},
        {"comment": "x"},
        {"description": "x"},
        {"reasonCode": [{"text": "x"}]},
        {"meta": {"profile": ["https://warm-referral.example/fhir/StructureDefinition/proposed-appointment"]}},
        {"meta": {"security": [{"system": CONFIDENTIALITY, "code": "V"}]}},
    ],
)
def test_rule_R36_a_copy_that_tells_more_is_refused(addition: Payload) -> None:
    """Anything beyond type and time, a telling label included, does not pass as an EHR copy.

    Fails when ``rules`` does not look at the labels, or a key is added to the shape.
    """
    assert validate({**copy(), **addition}, PROFILE)


def test_the_copy_is_never_built_with_a_telling_label_or_a_wrong_time() -> None:
    """V in an EHR's schedule would point at the visit; a visit that ends first is none."""
    with pytest.raises(ValueError, match="labels"):
        copy(labels=[Label(CONFIDENTIALITY, "V")])
    with pytest.raises(ValueError, match="labels"):
        copy(labels=labels_for("proposed-appointment"))
    with pytest.raises(ValueError, match="after it starts"):
        copy(end=START)

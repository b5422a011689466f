"""One outbound referral, made by our own builders, for the tests of this folder."""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, date, datetime
from typing import Any

import pytest

from fhir_profiles.proposed_appointment import proposed_appointment
from fhir_profiles.referral_patient import referral_patient
from fhir_profiles.referral_service_request import referral_service_request
from fhir_profiles.referral_task import referral_task
from fhir_profiles.release_consent import release_consent
from fhir_profiles.safe_contact import Hours, safe_contact
from fhir_profiles.security_labels import labels_for

Payload = dict[str, Any]
SIGNED, ENDS = date(2026, 10, 1), date(2026, 10, 31)


def _make() -> dict[str, Payload]:
    contact = safe_contact(
        meet="safe-contact",
        asked_on=SIGNED,
        expires_on=ENDS,
        telecom="555-0142",
        voicemail="silent",
        code_word="blue",
        say_as="the library",
        hours=Hours(("mon", "tue"), "09:00", "12:00"),
        language="es",
        interpreter=True,
    )
    return {
        "Patient": referral_patient(
            labels=labels_for("referral-patient"),
            id="p1",
            identifier_system="https://clinic.example/id",
            identifier_value="x-81",
            alias="Robin",
        ),
        "Consent": release_consent(
            labels=labels_for("release-consent"),
            id="c1",
            patient_reference="Patient/p1",
            from_organization="Organization/hc1",
            to_organization="Organization/harbor",
            item_references=["ServiceRequest/s1", "Task/t1"],
            signed_on=SIGNED,
            starts_on=SIGNED,
            ends_on=ENDS,
            signer="self",
            source_identifier="roi-7",
            policy_uri="https://clinic.example/policy",
        ),
        "ServiceRequest": referral_service_request(
            labels=labels_for("referral-service-request"),
            id="s1",
            patient_reference="Patient/p1",
            requester_reference="Organization/hc1",
            performer_reference="Organization/harbor",
            consent_reference="Consent/c1",
            safe_contact=contact,
            authored_at=SIGNED,
            needs=["housing", "legal"],
        ),
        "Task": referral_task(
            labels=labels_for("referral-task"),
            id="t1",
            identifier_system="https://clinic.example/id",
            identifier_value="t-81",
            service_request_reference="ServiceRequest/s1",
            patient_reference="Patient/p1",
            requester_reference="Organization/hc1",
            owner_reference="Organization/harbor",
            authored_at=SIGNED,
            due_at=datetime(2026, 10, 2, 22, tzinfo=UTC),
        ),
        "Appointment": proposed_appointment(
            labels=labels_for("proposed-appointment"),
            patient_reference="Patient/p1",
            service_reference="HealthcareService/nextday",
            based_on="ServiceRequest/s1",
            requested_start=datetime(2026, 10, 2, 13, tzinfo=UTC),
            requested_end=datetime(2026, 10, 2, 22, tzinfo=UTC),
            id="a1",
        ),
    }


_MADE = _make()


@pytest.fixture
def parts() -> dict[str, Payload]:
    """Patient alias, release, request, task and a proposed visit, fresh for each test."""
    return deepcopy(_MADE)


@pytest.fixture
def release(parts: dict[str, Payload]) -> Payload:
    """The release of that referral."""
    return parts["Consent"]

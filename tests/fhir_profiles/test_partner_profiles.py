"""Programs as the public knows them, the agreement with them, and what the partner API says it can do."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from fhir_profiles import r4
from fhir_profiles.capability_statement import INTERACTIONS, capability_statement
from fhir_profiles.operation_outcome import operation_outcome, outcome
from fhir_profiles.partner_endpoint import partner_endpoint
from fhir_profiles.partner_organization import partner_organization
from fhir_profiles.partner_service import partner_service
from fhir_profiles.partnership_mou import partnership_mou
from fhir_profiles.shapes import Issue
from fhir_profiles.validation import validate

Payload = dict[str, Any]


def samples() -> dict[str, Payload]:
    return {
        "partner-organization": partner_organization(
            id="harbor", identifier_value="7", name="Harbor Program", phone="555-0100"
        ),
        "partner-service": partner_service(
            id="harbor-line", organization_reference="Organization/harbor", name="Advocate line", has_capacity=True
        ),
        "partner-endpoint": partner_endpoint(
            id="harbor-fhir", organization_reference="Organization/harbor", address="https://harbor.example/fhir"
        ),
        "partnership-mou": partnership_mou(
            id="mou-7",
            organization_reference="Organization/hc1",
            participating_reference="Organization/harbor",
            document_reference="DocumentReference/mou7",
            acknowledge_minutes=30,
            starts_on=date(2026, 7, 1),
            ends_on=date(2027, 6, 30),
            endpoint_reference="Endpoint/harbor-fhir",
        ),
    }


@pytest.mark.parametrize("profile", samples())
def test_public_records_are_valid_and_carry_no_label(profile: str) -> None:
    """What is public passes its own profile and says nothing about anybody."""
    made = samples()[profile]
    assert validate(made, profile) == []
    assert "security" not in made["meta"]


@pytest.mark.parametrize(
    ("profile", "addition"),
    [
        ("partner-organization", {"address": [{"line": ["12 Hidden Lane"]}]}),
        ("partner-organization", {"contact": []}),
        ("partner-organization", {"telecom": [{"system": "email", "value": "a@b.example"}]}),
        ("partner-service", {"location": [{"reference": "Location/1"}]}),
        ("partner-service", {"active": False}),
        ("partner-service", {"category": [{"coding": []}]}),
        ("partner-endpoint", {"address": "http://harbor.example/fhir"}),
        ("partner-endpoint", {"header": ["Authorization: x"]}),
        ("partnership-mou", {"participatingOrganization": {"reference": "Organization/hc1"}}),
        ("partnership-mou", {"period": {"start": "2027-07-01", "end": "2027-06-30"}}),
        ("partnership-mou", {"location": []}),
    ],
)
def test_an_address_of_a_program_and_other_slips_are_refused(profile: str, addition: Payload) -> None:
    """A program's address never stands in a record, and a suspended service is not described as active."""
    assert validate({**samples()[profile], **addition}, profile)


def test_a_partners_address_is_https() -> None:
    """Nothing is sent over plain http by way of a directory entry."""
    with pytest.raises(ValueError, match="https"):
        partner_endpoint(id="e", organization_reference="Organization/harbor", address="http://harbor.example/fhir")


def test_the_capability_statement_lists_exactly_what_is_offered() -> None:
    """A partner can read on one page what it may do: no search of people, visits or slots (R18)."""
    made = capability_statement(
        public_base_url="https://clinic.example/",
        software_name="Care Connections",
        software_version="0.1.0",
        published_on=date(2026, 10, 1),
    )
    assert r4.structure_problems(made) == []
    assert made["fhirVersion"] == "4.0.1"
    assert made["implementation"]["url"] == "https://clinic.example/fhir"
    listed = {item["type"]: tuple(i["code"] for i in item["interaction"]) for item in made["rest"][0]["resource"]}
    assert listed == INTERACTIONS
    assert not {"Patient", "Slot"} & set(listed)
    assert all("searchParam" not in item for item in made["rest"][0]["resource"])


def test_an_outcome_holds_what_an_issue_says_and_nothing_more() -> None:
    """Severity, code, place and constant words; the answer to a denied read is two codes."""
    made = operation_outcome([Issue("error", "structure", "Task", "An element that is not allowed here is present.")])
    assert r4.structure_problems(made) == []
    assert made["issue"] == [
        {
            "severity": "error",
            "code": "structure",
            "details": {"text": "An element that is not allowed here is present."},
            "expression": ["Task"],
        }
    ]
    assert outcome("not-found") == {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": "error", "code": "not-found"}],
    }
    assert outcome("informational", "Received.", severity="information")["issue"][0]["details"] == {"text": "Received."}

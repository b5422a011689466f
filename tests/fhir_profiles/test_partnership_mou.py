"""The agreement with a program: it opens the channel, never a person's data."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from fhir_profiles.partnership_mou import partnership_mou
from fhir_profiles.validation import validate

Payload = dict[str, Any]
PROFILE = "partnership-mou"


def agreement(**changes: Any) -> Payload:
    given: dict[str, Any] = {
        "id": "mou-7",
        "organization_reference": "Organization/hc1",
        "participating_reference": "Organization/harbor",
        "document_reference": "DocumentReference/mou7",
        "acknowledge_minutes": 30,
        "starts_on": date(2026, 7, 1),
        "ends_on": date(2027, 6, 30),
    }
    return partnership_mou(**{**given, **changes})


def test_an_agreement_is_valid_with_and_without_an_endpoint() -> None:
    """A program without a FHIR system signs the same agreement; nothing in it is about a person."""
    made = agreement(endpoint_reference="Endpoint/harbor-fhir", is_active=False)
    assert validate(made, PROFILE) == validate(agreement(), PROFILE) == []
    assert "security" not in made["meta"]


@pytest.mark.parametrize(
    "addition",
    [
        {"participatingOrganization": {"reference": "Organization/hc1"}},
        {"period": {"start": "2027-07-01", "end": "2027-06-30"}},
        {"location": []},
        {"extension": []},
    ],
)
def test_an_agreement_has_two_parties_a_paper_and_a_period(addition: Payload) -> None:
    """Each part is missed at the door."""
    assert validate({**agreement(), **addition}, PROFILE)


@pytest.mark.parametrize(
    "wrong",
    [
        {"participating_reference": "Organization/hc1"},
        {"ends_on": date(2026, 6, 30)},
        {"document_reference": "Binary/1"},
        {"acknowledge_minutes": 0},
    ],
)
def test_no_agreement_is_built_that_would_not_be_accepted(wrong: dict[str, Any]) -> None:
    """One party, a period that runs backwards, a paper that is none, a promise of no time."""
    with pytest.raises(ValueError, match=r"expected here|parties|not after"):
        agreement(**wrong)

"""What a program offers, and whether it has room."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_profiles.partner_service import KINDS, partner_service
from fhir_profiles.validation import validate

Payload = dict[str, Any]
PROFILE = "partner-service"


def service(**changes: Any) -> Payload:
    given: dict[str, Any] = {
        "id": "harbor-line",
        "organization_reference": "Organization/harbor",
        "name": "Advocate line",
        "has_capacity": True,
    }
    return partner_service(**{**given, **changes})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("has_capacity", [True, False])
def test_a_service_is_valid_full_or_not_and_carries_no_label(kind: str, has_capacity: bool) -> None:
    """Room is a fact of the program, not of a person."""
    made = service(kind=kind, has_capacity=has_capacity)
    assert validate(made, PROFILE) == []
    assert "security" not in made["meta"]
    assert ("no-capacity" in repr(made)) is not has_capacity


@pytest.mark.parametrize(
    "addition", [{"location": [{"reference": "Location/1"}]}, {"active": False}, {"category": [{"coding": []}]}]
)
def test_a_place_or_a_suspended_service_is_refused(addition: Payload) -> None:
    """A service has no address here, and a suspended one is unpublished instead of described as active."""
    assert validate({**service(), **addition}, PROFILE)


def test_a_kind_outside_the_list_is_not_built() -> None:
    """A service is filed under a kind that Gravity knows."""
    with pytest.raises(ValueError, match="expected here"):
        service(kind="stalking")

"""Where a program with a FHIR system takes referrals."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_profiles.partner_endpoint import partner_endpoint
from fhir_profiles.validation import validate

Payload = dict[str, Any]
PROFILE = "partner-endpoint"


def endpoint(address: str = "https://harbor.example/fhir") -> Payload:
    return partner_endpoint(id="harbor-fhir", organization_reference="Organization/harbor", address=address)


def test_an_endpoint_is_valid_and_carries_no_label() -> None:
    """What is public passes its own profile."""
    assert validate(endpoint(), PROFILE) == []
    assert "security" not in endpoint()["meta"]


@pytest.mark.parametrize(
    "addition", [{"address": "http://harbor.example/fhir"}, {"header": ["Authorization: x"]}, {"status": "off"}]
)
def test_an_endpoint_that_is_not_https_or_carries_a_secret_is_refused(addition: Payload) -> None:
    """Nothing is sent over plain http by way of a directory entry, and no key stands in one."""
    assert validate({**endpoint(), **addition}, PROFILE)


@pytest.mark.parametrize("address", ["http://harbor.example/fhir", "", "https://" + "x" * 200, "ftp://x"])
def test_a_partners_address_is_https(address: str) -> None:
    """A wrong address is never built."""
    with pytest.raises(ValueError, match="https"):
        endpoint(address)

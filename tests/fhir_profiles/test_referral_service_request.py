"""What is asked of the other side: needs as codes, no reason, no person who asks."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from fhir_profiles.referral_service_request import NEEDS, PRIORITIES, needs_of, referral_service_request
from fhir_profiles.safe_contact import safe_contact
from fhir_profiles.security_labels import labels_for
from fhir_profiles.validation import validate

Payload = dict[str, Any]
ASKED, ENDS = date(2026, 10, 1), date(2026, 10, 31)
PROFILE = "referral-service-request"


def request_with(contact: Payload, **more: Any) -> Payload:
    given: dict[str, Any] = {
        "labels": labels_for(PROFILE),
        "id": "s1",
        "patient_reference": "Patient/p1",
        "requester_reference": "Organization/hc1",
        "performer_reference": "Organization/harbor",
        "consent_reference": "Consent/c1",
        "safe_contact": contact,
        "authored_at": ASKED,
    }
    return referral_service_request(**{**given, **more})


@pytest.mark.parametrize("priority", [None, *PRIORITIES])
def test_every_need_and_priority_can_be_asked(priority: str | None) -> None:
    """All that the page offers to tick makes a valid referral."""
    contact = safe_contact(meet="survivor-calls", asked_on=ASKED, expires_on=ENDS)
    request = request_with(contact, needs=list(NEEDS), priority=priority)
    assert validate(request, PROFILE) == []
    assert needs_of(request) == tuple(NEEDS)


@pytest.mark.parametrize(
    "wrong",
    [
        {"requester_reference": "Practitioner/dr-lee"},
        {"consent_reference": ""},
        {"priority": "now"},
        {"id": "no spaces"},
        {"labels": labels_for("referral-task")[:4]},
    ],
)
def test_what_the_profile_does_not_allow_is_not_built(wrong: dict[str, Any]) -> None:
    """A person as the one who asks, no release, an unknown urgency, a name for an id, half a label set."""
    contact = safe_contact(meet="on-site", asked_on=ASKED, expires_on=ENDS)
    with pytest.raises(ValueError, match=r"expected here|labels"):
        request_with(contact, **wrong)


def test_needs_are_codes_and_an_unknown_need_is_our_mistake() -> None:
    """Ticked needs travel as codes, each once, and a need that is not on the list is refused."""
    contact = safe_contact(meet="on-site", asked_on=ASKED, expires_on=ENDS)
    request = request_with(contact, needs=["housing", "legal", "housing"], priority="urgent")
    assert needs_of(request) == ("housing", "legal")
    assert validate(request, PROFILE) == []
    with pytest.raises(ValueError, match="needs"):
        request_with(contact, needs=["a story"])


def test_no_reason_is_carried(part: Callable[[str], Payload]) -> None:
    """A referral does not say why: neither the builder nor the shape knows a reason, an insurance or an encounter."""
    request = part("ServiceRequest")
    for key in ("reasonCode", "reasonReference", "insurance", "encounter", "note"):
        assert key not in request
        assert validate({**request, key: []}, PROFILE)

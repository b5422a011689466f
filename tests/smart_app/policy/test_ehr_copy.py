"""What of a referral may stand in a chart."""

from __future__ import annotations

from datetime import date

import pytest

from fhir_profiles.referral_service_request import referral_service_request
from fhir_profiles.safe_contact import safe_contact
from fhir_profiles.security_labels import labels_for, labels_of
from smart_app.policy.ehr_copy import service_request_copy


@pytest.mark.rule("R6")
def test_rule_R06_the_copy_is_as_protected_and_holds_no_contact() -> None:
    """Same labels, another subject, nobody to be called; alias, number, word and release stay in the vault. Break: add
    "extension" to ``_KEPT``."""
    request = referral_service_request(
        labels=labels_for("referral-service-request"),
        id="s1",
        patient_reference="Patient/alias",
        requester_reference="Organization/hc1",
        performer_reference="Organization/harbor",
        consent_reference="Consent/c1",
        safe_contact=safe_contact(
            meet="safe-contact",
            telecom="555-0187",
            code_word="blue",
            asked_on=date(2026, 11, 24),
            expires_on=date(2026, 12, 1),
        ),
        authored_at=date(2026, 11, 24),
        needs=("housing", "legal"),
    )
    copy = service_request_copy(request, patient_reference="Patient/p-dana")
    assert labels_of(copy) == labels_of(request)
    assert copy["subject"] == {"reference": "Patient/p-dana"}
    assert [detail["coding"][0]["code"] for detail in copy["orderDetail"]] == ["contacting-subject-prohibited"]
    for kept_here in ("555-0187", "blue", "alias", "Consent", "housing", "'id'", "extension"):
        assert kept_here not in str(copy)

"""Where a copy of an item lives (R6)."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from smart_app.policy.placement import (
    PlacementDecision,
    PlacementSettings,
    RegistrationPlacement,
    SiteProof,
    decide,
)

TODAY = date(2026, 10, 1)
TYPES = ("Observation", "ServiceRequest", "Appointment")
PROOF = SiteProof("a", date(2026, 9, 1), date(2027, 9, 1), dict.fromkeys(TYPES, "A"))
SITE = RegistrationPlacement("a", "Sandbox EHR", dict.fromkeys(TYPES, "ehr-and-vault"), PROOF)
TEST = replace(SITE, proof=None, is_test_environment=True, test_patient_ids=frozenset({"p-dana"}))


def ask(site: RegistrationPlacement, **changes: Any) -> PlacementDecision:
    given: dict[str, Any] = {
        "registration_id": "a",
        "resource_type": "Observation",
        "patient_id": "p-dana",
        "patient_wants_ehr_copy": True,
        "today": TODAY,
    }
    return decide(PlacementSettings({"a": site}), **{**given, **changes})


@pytest.mark.rule("R6")
@pytest.mark.parametrize("resource_type", TYPES)
def test_rule_R06_with_setting_choice_and_proof_a_copy_is_written(resource_type: str) -> None:
    """Only where the site is set so, the patient wants it and a dated proof stands does a copy go to the EHR.

    Fails when ``decide`` always answers vault.
    """
    found = ask(SITE, resource_type=resource_type)
    assert found.places == "ehr-and-vault"
    assert found.has_ehr_copy
    assert "Sandbox EHR" in found.reason
    assert found.lines_by_hand == ()


@pytest.mark.rule("R6")
@pytest.mark.parametrize(
    ("site", "changes", "needs_officer"),
    [
        (replace(SITE, by_type={}), {}, False),
        (replace(SITE, by_type={"Observation": "vault"}), {}, False),
        (replace(SITE, by_type={"Observation": "EHR-AND-VAULT"}), {}, False),
        (replace(SITE, by_type={"Task": "ehr-and-vault"}), {"resource_type": "Task"}, False),
        (replace(SITE, by_type={"Consent": "ehr-and-vault"}), {"resource_type": "Consent"}, False),
        (replace(SITE, by_type={"Condition": "ehr-and-vault"}), {"resource_type": "Condition"}, False),
        (SITE, {"registration_id": "b"}, False),
        (SITE, {"registration_id": None}, False),
        (SITE, {"patient_wants_ehr_copy": False}, False),
        (replace(SITE, proof=None), {}, True),
        (replace(SITE, proof=replace(PROOF, registration_id="b")), {}, True),
        (replace(SITE, proof=replace(PROOF, classes={"Observation": "B"})), {}, True),
        (replace(SITE, proof=replace(PROOF, classes={"ServiceRequest": "A"})), {}, True),
        (replace(SITE, proof=replace(PROOF, expires_on=TODAY - timedelta(days=1))), {}, True),
        (replace(SITE, proof=replace(PROOF, made_on=TODAY + timedelta(days=1))), {}, True),
        (replace(SITE, proof=replace(PROOF, made_on=date(2025, 9, 1), expires_on=date(2030, 1, 1))), {}, True),
        (TEST, {"patient_id": "p-rosa"}, False),
        (TEST, {"patient_id": None}, False),
    ],
)
def test_rule_R06_whatever_is_missing_means_vault_only(
    site: RegistrationPlacement, changes: dict[str, Any], needs_officer: bool
) -> None:
    """No setting, no wish, no proof, another EHR's proof, an expired or future proof, an unlisted test patient:
    nothing is written to the EHR, the page says why, and an expired permission is told to the officer.

    Fails when that part of ``decide`` or ``_proof_problem`` is removed.
    """
    found = ask(site, **changes)
    assert found.places == "vault"
    assert not found.has_ehr_copy
    assert found.reason
    assert "A copy also goes" not in found.reason
    assert found.needs_officer is needs_officer


def test_a_proof_holds_through_its_last_day() -> None:
    """On the day a proof ends it still counts; a proof never counts longer than a year."""
    assert ask(replace(SITE, proof=replace(PROOF, expires_on=TODAY))).has_ehr_copy
    old = replace(PROOF, made_on=TODAY - timedelta(days=366), expires_on=date(2030, 1, 1))
    assert ask(replace(SITE, proof=old)).has_ehr_copy
    assert not ask(replace(SITE, proof=replace(old, made_on=TODAY - timedelta(days=367)))).has_ehr_copy


def test_a_listed_test_patient_needs_no_proof() -> None:
    """In a test system the listed patients, and only they, get copies."""
    assert ask(TEST).has_ehr_copy
    assert "test system" in ask(TEST).reason


@pytest.mark.rule("R27")
@pytest.mark.parametrize("resource_type", TYPES)
def test_rule_R27_lines_to_enter_by_hand_are_true_for_every_patient(resource_type: str) -> None:
    """What a person enters by hand tells nobody who asked for help.

    Fails when a line names violence, a program, a referral or safety.
    """
    lines = " ".join(ask(replace(SITE, by_type={}), resource_type=resource_type).lines_by_hand).lower()
    assert lines
    telling = ("violence", "abuse", "partner", "safe", "referral", "advocate", "disclos", "shelter", "program", "help")
    assert not [word for word in telling if word in lines]

"""The Patient of a referral: an opaque number and the name to use (R12)."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_profiles.referral_patient import LONGEST_ALIAS, alias_of, referral_patient
from fhir_profiles.security_labels import labels_for, labels_of
from fhir_profiles.validation import validate

Payload = dict[str, Any]
PROFILE = "referral-patient"


def patient(**changes: Any) -> Payload:
    given: dict[str, Any] = {
        "labels": labels_for(PROFILE),
        "id": "p1",
        "identifier_system": "https://clinic.example/id",
        "identifier_value": "x-81",
        "alias": "Robin",
    }
    return referral_patient(**{**given, **changes})


def test_the_patient_is_a_number_and_a_name_to_use() -> None:
    """No birth date, address, phone or real name; labelled like what it belongs to."""
    made = patient()
    assert validate(made, PROFILE) == []
    assert made.keys() == {"resourceType", "id", "meta", "identifier", "name", "gender"}
    assert alias_of(made) == "Robin"
    assert labels_of(made) == labels_for(PROFILE)


@pytest.mark.parametrize("alias", ["", " Robin", "x" * (LONGEST_ALIAS + 1), "Robin\nlives at"])
def test_a_name_to_use_is_one_short_line(alias: str) -> None:
    """Nobody writes a story where a name belongs."""
    with pytest.raises(ValueError, match="name to use"):
        patient(alias=alias)


@pytest.mark.rule("R12")
@pytest.mark.parametrize(
    "addition",
    [
        {"birthDate": "1990-01-01"},
        {"address": [{"line": ["12 Hidden Lane"]}]},
        {"telecom": [{"system": "phone", "value": "555-0100"}]},
        {"contact": [{"name": {"text": "x"}}]},
        {"gender": "female"},
    ],
)
def test_rule_R12_more_about_the_person_is_refused(addition: Payload) -> None:
    """What was not asked for is not taken. Fails when such a key is added to the shape."""
    assert validate({**patient(), **addition}, PROFILE)


def test_an_identifier_is_opaque() -> None:
    """A name is no number."""
    with pytest.raises(ValueError, match="opaque"):
        patient(identifier_value="Jane Roe")

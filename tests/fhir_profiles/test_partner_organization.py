"""A program as the public knows it."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_profiles.partner_organization import partner_organization
from fhir_profiles.validation import validate

Payload = dict[str, Any]
PROFILE = "partner-organization"


def program(**changes: Any) -> Payload:
    given: dict[str, Any] = {"id": "harbor", "identifier_value": "7", "name": "Harbor Program", "phone": "555-0100"}
    return partner_organization(**{**given, **changes})


def test_a_program_is_valid_and_carries_no_label() -> None:
    """What is public passes its own profile and says nothing about anybody."""
    made = program()
    assert validate(made, PROFILE) == []
    assert "security" not in made["meta"]
    assert validate(program(is_active=False), PROFILE) == []


@pytest.mark.parametrize(
    "addition",
    [
        {"address": [{"line": ["12 Hidden Lane"]}]},
        {"contact": []},
        {"telecom": [{"system": "email", "value": "a@b.example"}]},
        {"name": ""},
    ],
)
def test_an_address_of_a_program_and_other_slips_are_refused(addition: Payload) -> None:
    """A program's address never stands in a record: a location can kill."""
    assert validate({**program(), **addition}, PROFILE)


@pytest.mark.parametrize("wrong", [{"phone": "ask for Mia"}, {"name": "A\nB"}, {"identifier_value": "no spaces"}])
def test_a_program_is_not_built_with_words_where_a_number_belongs(wrong: dict[str, str]) -> None:
    """Nobody hides a sentence in the directory, and the error does not repeat it."""
    with pytest.raises(ValueError, match="expected here") as caught:
        program(**wrong)
    assert not any(value in str(caught.value) for value in wrong.values())

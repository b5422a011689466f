"""Who may be a contact of the patient: phone or street alone, a name only with one more fact (R24)."""

from __future__ import annotations

from typing import Any

import pytest

from smart_app.policy import contact_match
from smart_app.policy.contact_match import can_match, matches


def person(**more: Any) -> dict[str, Any]:
    """A Practitioner with a name, and what a test adds."""
    return {"resourceType": "Practitioner", "name": [{"family": "Ruiz", "given": ["Ana"]}], **more}


def phones(*numbers: str) -> list[dict[str, str]]:
    return [{"system": "phone", "value": number} for number in numbers]


def home(line: str, code: str = "") -> list[dict[str, Any]]:
    return [{"line": [line], "postalCode": code}]


@pytest.mark.rule("R24")
@pytest.mark.parametrize(
    "other",
    [
        "312-555-0142",
        "(312) 555-0142",
        "312.555.0142",
        "+1 312 555 0142",
        "1-312-555-0142",
        "001 312 555 0142",
        "011 1 312 555 0142",
        "312 555 0142 ext. 12",
        "312 555 0142 x12",
        "312 555 0142 (ext 7)",
        "tel: 312 555 0142;ext=12",
        "555-0142",
        "３１２ ５５５ ０１４２",
    ],
)
def test_rule_R24_one_phone_written_in_many_ways_is_one_phone(other: str) -> None:
    """However the number is written, the person is held; a number beside it is another one.

    Break: in contact_match.phone, do not take the extension off, or keep all digits.
    """
    patient = {"contact": [{"name": {"family": "Else"}, "telecom": phones("312-555-0142")}]}
    assert matches(person(telecom=phones(other)), patient) == {"phone"}
    assert matches(person(telecom=phones("312-555-0143")), patient) == frozenset()


@pytest.mark.rule("R24")
@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("12 North Main Street", "12 N. Main St", True),
        ("12 N Main St., Apt. 4", "12 north main street #4", True),
        ("12 N Main St Apt 4", "12 N Main St Unit 4", True),
        ("12 N Main St Apt 4", "12 N Main St", True),
        ("12 N Main St Apt 4", "12 N Main St Apt 5", False),
        ("12 N Main St", "14 N Main St", False),
        ("12 Cafè Avenue", "12 CAFE AVE", True),
        ("Main Street", "Main Street", False),
        ("PO", "PO", False),
    ],
)
def test_rule_R24_one_street_written_in_many_ways_is_one_street(one: str, other: str, is_same: bool) -> None:
    """However the address is written, the person is held; another house or flat is another one.

    Break: in contact_match.street, leave out the words that mean the same, or in _is_same_street the unit.
    """
    patient = {"contact": [{"address": home(one)[0]}]}
    assert matches(person(address=home(other)), patient) == ({"street"} if is_same else frozenset())


@pytest.mark.rule("R24")
def test_rule_R24_the_same_street_in_another_town_is_another_street() -> None:
    """Where both say the ZIP, it counts. Break: in _is_same_street, leave out the postal code."""
    patient = {"contact": [{"address": home("12 Main St", "60601-1234")[0]}]}
    assert matches(person(address=home("12 Main Street", "60601")), patient) == {"street"}
    assert matches(person(address=home("12 Main Street", "94110")), patient) == frozenset()


@pytest.mark.rule("R24")
@pytest.mark.parametrize(
    ("more", "is_held"),
    [
        ({}, False),
        ({"birthDate": "1990-01-02"}, True),
        ({"birthDate": "1990-01-03"}, False),
        ({"birthDate": "1990"}, False),
        ({"telecom": [{"system": "email", "value": "Ana@Example.org"}]}, True),
        ({"address": [{"postalCode": "60601"}]}, True),
        ({"address": [{"postalCode": "60602"}]}, False),
    ],
)
def test_rule_R24_a_name_alone_never_holds_anybody(more: dict[str, Any], is_held: bool) -> None:
    """Two people of one name are two people until one more fact agrees; a fact without the name is nothing.

    Break: in contact_match._kinds, leave out ``and has_more``.
    """
    related = {
        "resourceType": "RelatedPerson",
        "name": [{"text": "Ána RUIZ"}],
        "birthDate": "1990-01-02",
        "telecom": [{"system": "email", "value": "ana@example.org"}],
        "address": [{"postalCode": "60601-0001"}],
    }
    assert matches(person(**more), {}, [related]) == ({"name-and-more"} if is_held else frozenset())
    assert can_match(person(**more)) is (bool(more) and more != {"birthDate": "1990"})
    other = {**person(**more), "name": [{"family": "Else", "given": ["Ana"]}]}
    assert matches(other, {}, [related]) == frozenset()


@pytest.mark.rule("R24")
def test_rule_R24_who_lives_with_the_patient_is_held_too() -> None:
    """The patient's own phone or street is a match; the patient's own name and birth date are not, for a namesake.

    Break: in contact_match.matches, leave out ``lives_there``.
    """
    patient = {**person(birthDate="1990-01-02"), "telecom": phones("312-555-0142"), "address": home("12 Main St")}
    assert matches(person(telecom=phones("3125550142")), patient) == {"phone"}
    assert matches(person(address=home("12 Main Street")), patient) == {"street"}
    assert matches(person(birthDate="1990-01-02"), patient) == frozenset()


def test_what_is_no_number_no_street_or_no_list_is_left_out() -> None:
    """An EHR's odd values hold nobody and break nothing."""
    odd: dict[str, Any] = {"telecom": "x", "address": 7, "name": [None, {"given": "Ana"}], "birthDate": 1, "contact": 5}
    assert matches(odd, odd) == frozenset()
    assert contact_match.phone("999-999-9999") == contact_match.phone("911") == contact_match.phone(None) == ""
    assert contact_match.name({"text": "Ruiz, Ana"}) == contact_match.name({"text": "Ana Ruiz"}) == ("ana", "ruiz")

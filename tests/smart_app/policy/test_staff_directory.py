"""What an EHR says about its staff is read with distrust."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from smart_app.policy.staff_directory import codes_of, has_member, is_role_of

TODAY = date(2026, 11, 24)
CODE = [{"coding": [{"system": "sys", "code": "nurse"}]}]


def own(value: object) -> str | None:
    return (
        value.removeprefix("https://ehr.example/fhir/") if isinstance(value, str) and "://other" not in value else None
    )


def role(**changes: Any) -> dict[str, Any]:
    made = {"resourceType": "PractitionerRole", "practitioner": {"reference": "Practitioner/1"}, "code": CODE}
    return {name: value for name, value in {**made, **changes}.items() if value is not None}


@pytest.mark.parametrize(
    ("changes", "codes"),
    [
        ({}, ["sys|nurse"]),
        ({"active": True}, ["sys|nurse"]),
        ({"active": False}, []),
        ({"period": {"start": "2026-11-24", "end": "2026-11-24T12:00:00Z"}}, ["sys|nurse"]),
        ({"period": {"end": "2026-11-23"}}, []),
        ({"period": {"start": "2026-11-25"}}, []),
        ({"period": {"end": "2026"}}, []),
        ({"period": {"end": 7}}, []),
        ({"period": "always"}, []),
        ({"code": None}, []),
        ({"code": "nurse"}, []),
        (
            {
                "code": [
                    7,
                    {"coding": "x"},
                    {"coding": [{"code": "nurse"}, {"system": "sys"}, {"system": 1, "code": 2}]},
                ]
            },
            [],
        ),
        ({"code": [*CODE, {"coding": [{"system": "sys", "code": "ma"}]}]}, ["sys|nurse", "sys|ma"]),
        ({"resourceType": "Practitioner"}, []),
    ],
)
def test_codes_that_count_today(changes: dict[str, Any], codes: list[str]) -> None:
    """A role that ended, has not begun, is switched off or cannot be read gives nothing."""
    assert list(codes_of(role(**changes), TODAY)) == codes


@pytest.mark.parametrize(
    ("reference", "is_theirs"),
    [
        ("Practitioner/1", True),
        ("https://ehr.example/fhir/Practitioner/1", True),
        ("Practitioner/10", False),
        ("https://other.example/fhir/Practitioner/1", False),
        (None, False),
        (7, False),
    ],
)
def test_a_role_has_to_say_itself_whose_it_is(reference: object, is_theirs: bool) -> None:
    """An EHR that ignores the search and sends everybody's roles makes nobody a nurse."""
    assert is_role_of(role(practitioner={"reference": reference}), "Practitioner/1", own) is is_theirs
    assert is_role_of(role(practitioner=None), "Practitioner/1", own) is False
    assert is_role_of(role(practitioner="Practitioner/1"), "Practitioner/1", own) is False


@pytest.mark.parametrize(
    ("changes", "is_member"),
    [
        ({}, True),
        ({"status": "inactive"}, False),
        ({"status": None}, False),
        ({"subject": {"reference": "Patient/other"}}, False),
        ({"subject": None}, False),
        ({"participant": [{"member": {"reference": "Practitioner/2"}}]}, False),
        ({"participant": "all"}, False),
        ({"participant": [7, {"member": "Practitioner/1"}, {}]}, False),
        ({"resourceType": "Group"}, False),
    ],
)
def test_a_care_team_has_to_be_active_and_this_patient_s(changes: dict[str, Any], is_member: bool) -> None:
    """Another patient's team, or one that is over, makes nobody the care team."""
    team = {
        "resourceType": "CareTeam",
        "status": "active",
        "subject": {"reference": "Patient/p1"},
        "participant": [{"member": {"reference": "Practitioner/1"}}],
    }
    changed = {name: value for name, value in {**team, **changes}.items() if value is not None}
    assert has_member(changed, "Patient/p1", "Practitioner/1", own) is is_member

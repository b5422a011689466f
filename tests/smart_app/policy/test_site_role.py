"""Which role a person has, and the line of the settings that says so."""

from __future__ import annotations

import itertools

import pytest

from smart_app.policy.site_role import RoleMatch, RoleRules, role_for

USER = "Practitioner/1"
BY_USER = {USER: "it-admin"}
BY_CODE = {"sys|doctor": "physician", "sys|nurse": "nurse"}
NOBODY = "roles: this person is not listed"
NO_CODE = f"{NOBODY}; practitioner_roles: no code of theirs is listed"


@pytest.mark.parametrize(
    ("by_user", "by_code", "codes", "expected"),
    [
        (BY_USER, {}, (), RoleMatch("it-admin", 'roles: "Practitioner/1" = "it-admin"')),
        (BY_USER, BY_CODE, ("sys|nurse",), RoleMatch("it-admin", 'roles: "Practitioner/1" = "it-admin"')),
        ({}, BY_CODE, ("sys|nurse",), RoleMatch("nurse", 'practitioner_roles: "sys|nurse" = "nurse"')),
        (
            {},
            BY_CODE,
            ("sys|nurse", "sys|doctor"),
            RoleMatch("physician", 'practitioner_roles: "sys|doctor" = "physician"'),
        ),
        ({}, BY_CODE, ("canary", "other|nurse", "nurse"), RoleMatch(None, NO_CODE)),
        ({}, BY_CODE, (), RoleMatch(None, NO_CODE)),
        ({"Practitioner/10": "nurse"}, {}, (), RoleMatch(None, NOBODY)),
        ({}, {}, ("sys|nurse",), RoleMatch(None, NOBODY)),
    ],
)
def test_role_and_rule(
    by_user: dict[str, str], by_code: dict[str, str], codes: tuple[str, ...], expected: RoleMatch
) -> None:
    """A person's own line comes first, then the first line of codes that fits; the words quote the settings only."""
    assert role_for(USER, codes, RoleRules(by_user, by_code)) == expected


def test_every_combination_has_an_answer_from_the_settings() -> None:
    """Whatever the EHR's directory says, a role that comes out is one that the settings hold for that very line."""
    users, codes = ({}, BY_USER, {"Practitioner/2": "nurse"}), ("sys|doctor", "sys|nurse", "canary", "")
    carried = [c for size in range(4) for c in itertools.combinations(codes, size)]
    for by_user, by_code, held in itertools.product(users, ({}, BY_CODE), carried):
        found = role_for(USER, held, RoleRules(by_user, by_code))
        allowed = {by_user[USER]} if USER in by_user else {by_code[code] for code in held if code in by_code} or {None}
        assert found.role in allowed
        assert "canary" not in found.rule


def test_the_ehr_is_asked_only_about_people_who_are_not_listed() -> None:
    """Who stands in the settings, or where no code counts, is looked up nowhere."""
    assert RoleRules({}, BY_CODE).asks_ehr_about(USER)
    assert not RoleRules(BY_USER, BY_CODE).asks_ehr_about(USER)
    assert not RoleRules({}, {}).asks_ehr_about(USER)

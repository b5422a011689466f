"""Every guard of the decision table, removed once: the case that only this guard keeps shut (or open)."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest

from fhir_profiles.security_labels import Label
from fhir_profiles.terminology import ACT_CODE, CONFIDENTIALITY
from smart_app.policy import access
from smart_app.policy.access import ConsentState, LabelClass, Link, Origin, Purpose, Result, Role

HERE, THERE = Origin.HEALTH_CENTER, Origin.DSV_PROGRAM
VERY = LabelClass.V_SDV

# guard -> (an input that the table opens, the field that the guard looks at, the value at which it shuts)
GUARDS: dict[str, tuple[tuple[Any, ...], str, Any]] = {
    "D5": ((Role.AUTHOR, Purpose.TREAT, VERY, ConsentState.NONE, Link.AUTHOR, HERE), "consent", ConsentState.DENY),
    "D9 consent": (
        (Role.CLINICIAN, Purpose.TREAT, VERY, ConsentState.COVERS, Link.REFERRAL_PARTY, THERE),
        "consent",
        ConsentState.LAPSED,
    ),
    "D6s consent": (
        (Role.SCHEDULER, Purpose.HOPERAT, VERY, ConsentState.COVERS, Link.REFERRAL_PARTY, THERE),
        "consent",
        ConsentState.LAPSED,
    ),
    "D6s origin": (
        (Role.SCHEDULER, Purpose.HOPERAT, VERY, ConsentState.COVERS, Link.REFERRAL_PARTY, THERE),
        "origin",
        HERE,
    ),
    "D7 origin": ((Role.AUTHOR, Purpose.TREAT, VERY, ConsentState.NONE, Link.AUTHOR, HERE), "origin", THERE),
    "D10 origin": (
        (Role.CLINICIAN, Purpose.BTG, VERY, ConsentState.NONE, Link.ENCOUNTER_NOW, HERE),
        "origin",
        THERE,
    ),
    "D10 role": (
        (Role.CLINICIAN, Purpose.BTG, VERY, ConsentState.NONE, Link.ENCOUNTER_NOW, HERE),
        "role",
        Role.ADVOCATE,
    ),
    "unlabelled": (
        (Role.CLINICIAN, Purpose.TREAT, LabelClass.N, ConsentState.NONE, Link.NONE, HERE),
        "label",
        LabelClass.NONE,
    ),
}


@pytest.mark.rule("R5")
@pytest.mark.parametrize("guard", GUARDS)
def test_each_guard_of_the_table_shuts_what_nothing_else_would(guard: str) -> None:
    """The same question is answered with data before, and with nothing at all once the guarded fact changes.

    Fails when the row of that name in ``access.py`` no longer looks at the field, or D5 is taken out of ``_ROWS``.
    """
    values, field, shut = GUARDS[guard]
    asked = access._Ask(*values)
    opened = vars(asked)
    assert access.decide(**opened).result.rank > 0
    assert access.decide(**vars(replace(asked, **{field: shut}))).result is Result.DENY


@pytest.mark.rule("R5")
@pytest.mark.parametrize("code", sorted(access.OTHER_SENSITIVITIES))
def test_rule_R05_another_sensitivity_alone_is_never_harmless(code: str) -> None:
    """A restricted item with a sensitivity beside it is not read as plain. Fails when ``effective`` forgets them."""
    assert access.effective([Label(CONFIDENTIALITY, "R"), Label(ACT_CODE, code)]) is LabelClass.UNKNOWN
    assert access.effective([Label(CONFIDENTIALITY, "V")]) is LabelClass.UNKNOWN


def test_author_and_care_team_amend_the_alias_and_only_the_labeler_a_message() -> None:
    """The patient's alias may be changed by whose record it is. Fails when ``_AMENDS`` loses a type or gains one."""
    for role in (Role.AUTHOR, Role.CARE_TEAM, Role.LABELER):
        assert access.may_amend(role, Result.PERMIT, "Patient")
        assert access.may_amend(role, Result.PERMIT, "Communication") is (role is Role.LABELER)


def test_who_asks_and_what_was_decided_cannot_be_changed_afterwards() -> None:
    """Nobody becomes treating by default, or by a later assignment. Fails without ``frozen``."""
    asker = access.Requester(Role.CLINICIAN, "Practitioner/1", Purpose.TREAT)
    assert asker.is_treating is False
    with pytest.raises(FrozenInstanceError):
        asker.is_treating = True
    with pytest.raises(FrozenInstanceError):
        access.Decision(Result.DENY, "D13").result = Result.PERMIT

"""The decision table of the door, walked over every input there is."""

from __future__ import annotations

from collections import Counter
from itertools import product
from typing import Any

import pytest

from fhir_profiles.security_labels import Label, labels_for
from fhir_profiles.terminology import ACT_CODE, ACT_REASON, CONFIDENTIALITY
from smart_app.policy.access import (
    ConsentState,
    Decision,
    LabelClass,
    Link,
    Origin,
    Purpose,
    Result,
    Role,
    decide,
    effective,
    may_amend,
)

ENUMS = (Role, Purpose, LabelClass, ConsentState, Link, Origin)
NAMES = ("role", "purpose", "label", "consent", "link", "origin")
SENSITIVE = (LabelClass.NONE, LabelClass.UNKNOWN, LabelClass.R_SDV, LabelClass.V_SDV)
CLINICAL = (Role.AUTHOR, Role.CARE_TEAM, Role.CLINICIAN)


def ask(*values: Any) -> Decision:
    return decide(**dict(zip(NAMES, values, strict=True)))


ANSWERS: dict[tuple[Any, ...], Decision] = {values: ask(*values) for values in product(*ENUMS)}
SENSITIVE_ANSWERS = {values: found for values, found in ANSWERS.items() if values[2] in SENSITIVE}


def test_every_input_has_an_answer_and_the_totals_are_those_of_the_design() -> None:
    """All 41,472 inputs are decided; so many are permitted, redacted, offered, opened by break-glass and denied."""
    assert [len(enum) for enum in ENUMS] == [12, 12, 6, 4, 6, 2]
    assert len(ANSWERS) == 41_472
    assert Counter(found.result for found in ANSWERS.values()) == {
        Result.PERMIT: 1_220,
        Result.REDACT: 700,
        Result.BREAK_GLASS: 36,
        Result.OFFER: 36,
        Result.DENY: 39_480,
    }


def test_how_often_each_row_decides_is_fixed() -> None:
    """The share of each row of the table is written down, so that a row that moves is seen."""
    shares = Counter((found.rule, found.result.value) for found in ANSWERS.values() if found.result is not Result.DENY)
    assert shares == {
        ("D1", "permit"): 288,
        ("D2", "redact"): 576,
        ("D3", "permit"): 48,
        ("D4", "permit"): 48,
        ("D6s", "redact"): 4,
        ("D6", "redact"): 120,
        ("D7", "permit"): 48,
        ("D8", "permit"): 12,
        ("D9", "permit"): 104,
        ("D10", "break-glass"): 36,
        ("D10", "offer"): 36,
        ("D12", "permit"): 240,
        ("D13", "permit"): 432,
    }


@pytest.mark.parametrize("position", range(6))
@pytest.mark.parametrize("nonsense", ["", "TREAT ", "treat", None, 7, "Author"])
def test_anything_outside_the_lists_is_denied(position: int, nonsense: Any) -> None:
    """A role, purpose or label that does not exist opens nothing and raises nothing."""
    values: list[Any] = ["patient", "PATRQT", "N", "covers", "subject", "health-center"]
    assert ask(*values).result is Result.PERMIT
    values[position] = nonsense
    assert ask(*values) == Decision(Result.DENY, "D0")


@pytest.mark.rule("R5")
def test_rule_R05_unlabelled_and_unknown_count_as_very_restricted() -> None:
    """I1: an item without labels, or with labels we do not know, is decided exactly like the most protected one.

    Fails when ``is_sensitive`` lists only R+SDV and V+SDV.
    """
    for values, found in ANSWERS.items():
        if values[2] is LabelClass.V_SDV:
            for other in (LabelClass.NONE, LabelClass.UNKNOWN):
                assert ANSWERS[(*values[:2], other, *values[3:])] == found


def test_very_restricted_never_opens_more_than_restricted() -> None:
    """I2: with the same sensitivity, V opens no more than R."""
    for values, found in ANSWERS.items():
        if values[2] is LabelClass.V_SDV:
            assert found.result.rank <= ANSWERS[(*values[:2], LabelClass.R_SDV, *values[3:])].result.rank


def test_without_a_release_only_the_few_may_read() -> None:
    """I3: without consent an item opens only to labeler, patient, its author or care team here, its advocate there."""
    for (role, _, _, consent, link, origin), found in SENSITIVE_ANSWERS.items():
        if found.result is Result.PERMIT and consent is not ConsentState.COVERS:
            assert (
                role is Role.LABELER
                or (role is Role.PATIENT and link is Link.SUBJECT)
                or (role in {Role.AUTHOR, Role.CARE_TEAM} and origin is Origin.HEALTH_CENTER)
                or (role is Role.ADVOCATE and link is Link.AUTHOR)
            )


def test_the_patients_no_beats_everybody_else() -> None:
    """I4: with the patient's active no, only labeler, patient and privacy officer get anything, break-glass included.

    Fails when D5 is removed.
    """
    for (role, _, _, consent, _, _), found in SENSITIVE_ANSWERS.items():
        if consent is ConsentState.DENY and found.result is not Result.DENY:
            assert role in {Role.LABELER, Role.PATIENT, Role.PRIVACY_OFFICER}


@pytest.mark.rule("R25")
def test_rule_R25_break_glass_is_for_clinical_roles_and_never_reaches_a_programs_record() -> None:
    """I5: nobody breaks the glass but a clinician with this encounter now, on the center's own record.

    Fails when ``_break_glass`` drops the origin, the link or the role.
    """
    for (role, purpose, _, _, link, origin), found in ANSWERS.items():
        if found.result in {Result.BREAK_GLASS, Result.OFFER}:
            assert role in CLINICAL
            assert link is Link.ENCOUNTER_NOW
            assert origin is Origin.HEALTH_CENTER
            assert purpose is (Purpose.BTG if found.result is Result.BREAK_GLASS else Purpose.ETREAT)


def test_nothing_sensitive_goes_to_proxy_family_legal_payment_or_research() -> None:
    """I6: these roles and purposes never get a sensitive item."""
    for (role, purpose, *_), found in SENSITIVE_ANSWERS.items():
        never = role in {Role.PROXY, Role.RESEARCHER, Role.BILLING} or purpose in {
            Purpose.FAMRQT,
            Purpose.HLEGAL,
            Purpose.HRESCH,
            Purpose.HPAYMT,
        }
        if never:
            assert found.result is Result.DENY


def test_a_programs_record_opens_to_clinicians_only_by_release() -> None:
    """I7: what a program holds is shown to our clinicians only while the survivor's release covers it."""
    for (role, _, _, consent, _, origin), found in SENSITIVE_ANSWERS.items():
        if role in CLINICAL and origin is Origin.DSV_PROGRAM and found.result.rank:
            assert consent is ConsentState.COVERS


@pytest.mark.rule("R4")
def test_rule_R04_scheduler_and_front_desk_see_at_most_a_redacted_view() -> None:
    """I8: scheduler and front desk never see an item whole, and the scheduler nothing without a release.

    Fails when D6s or D6 permits, or D6s forgets the consent.
    """
    for (role, _, _, consent, link, origin), found in SENSITIVE_ANSWERS.items():
        if role in {Role.SCHEDULER, Role.FRONT_DESK}:
            assert found.result in {Result.REDACT, Result.DENY}
        if role is Role.SCHEDULER and found.result is Result.REDACT:
            assert (consent, link, origin) == (ConsentState.COVERS, Link.REFERRAL_PARTY, Origin.DSV_PROGRAM)


def test_sensitivity_is_a_compartment_and_not_a_rung() -> None:
    """An advocate sees the sensitive item of her own program but no other restricted record."""
    values = (ConsentState.NONE, Link.AUTHOR, Origin.DSV_PROGRAM)
    assert ask(Role.ADVOCATE, Purpose.COC, LabelClass.V_SDV, *values).result is Result.PERMIT
    assert ask(Role.ADVOCATE, Purpose.COC, LabelClass.R, *values).result is Result.DENY
    assert ask(Role.ADVOCATE, Purpose.TREAT, LabelClass.V_SDV, *values).result is Result.DENY


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (("labeler", "LABELING", "V+SDV", "deny", "none", "dsv-program"), ("permit", "D1")),
        (("labeler", "TREAT", "N", "covers", "author", "health-center"), ("deny", "D1")),
        (("privacy-officer", "HCOMPL", "V+SDV", "none", "none", "health-center"), ("redact", "D2")),
        (("privacy-officer", "TREAT", "N", "covers", "author", "health-center"), ("deny", "D2")),
        (("patient", "PATRQT", "V+SDV", "deny", "subject", "dsv-program"), ("permit", "D3")),
        (("patient", "PATRQT", "N", "covers", "none", "health-center"), ("deny", "D3")),
        (("billing", "HPAYMT", "N", "none", "none", "health-center"), ("permit", "D4")),
        (("author", "HLEGAL", "R", "covers", "author", "health-center"), ("deny", "D4")),
        (("author", "TREAT", "V+SDV", "deny", "author", "health-center"), ("deny", "D5")),
        (("author", "BTG", "none", "deny", "encounter-now", "health-center"), ("deny", "D5")),
        (("scheduler", "HOPERAT", "V+SDV", "covers", "referral-party", "dsv-program"), ("redact", "D6s")),
        (("scheduler", "HOPERAT", "V+SDV", "lapsed", "referral-party", "dsv-program"), ("deny", "D6s")),
        (("scheduler", "HOPERAT", "V+SDV", "covers", "referral-party", "health-center"), ("deny", "D6s")),
        (("scheduler", "BTG", "V+SDV", "covers", "encounter-now", "health-center"), ("deny", "D6s")),
        (("front-desk", "HOPERAT", "R+SDV", "none", "encounter-now", "health-center"), ("redact", "D6")),
        (("front-desk", "HOPERAT", "R+SDV", "none", "none", "health-center"), ("deny", "D6")),
        (("author", "TREAT", "V+SDV", "lapsed", "author", "health-center"), ("permit", "D7")),
        (("author", "TREAT", "V+SDV", "none", "care-team", "health-center"), ("deny", "D11")),
        (("care-team", "COC", "unknown", "none", "care-team", "health-center"), ("permit", "D7")),
        (("author", "TREAT", "V+SDV", "none", "author", "dsv-program"), ("deny", "D11")),
        (("author", "ETREAT", "V+SDV", "none", "author", "health-center"), ("deny", "D11")),
        (("advocate", "COC", "V+SDV", "none", "author", "dsv-program"), ("permit", "D8")),
        (("clinician", "TREAT", "V+SDV", "covers", "referral-party", "dsv-program"), ("permit", "D9")),
        (("clinician", "TREAT", "V+SDV", "lapsed", "referral-party", "dsv-program"), ("deny", "D11")),
        (("advocate", "COC", "V+SDV", "covers", "referral-party", "health-center"), ("permit", "D9")),
        (("advocate", "TREAT", "V+SDV", "covers", "referral-party", "health-center"), ("deny", "D11")),
        (("clinician", "BTG", "V+SDV", "none", "encounter-now", "health-center"), ("break-glass", "D10")),
        (("clinician", "ETREAT", "V+SDV", "none", "encounter-now", "health-center"), ("offer", "D10")),
        (("clinician", "BTG", "V+SDV", "none", "encounter-now", "dsv-program"), ("deny", "D11")),
        (("front-desk", "TREAT", "N", "none", "author", "health-center"), ("deny", "D13")),
        (("author", "TREAT", "R", "none", "encounter-now", "health-center"), ("permit", "D12")),
        (("clinician", "TREAT", "R", "covers", "author", "health-center"), ("deny", "D12")),
        (("clinician", "ETREAT", "N", "deny", "none", "health-center"), ("permit", "D13")),
    ],
)
def test_each_row_by_name(values: tuple[str, ...], expected: tuple[str, str]) -> None:
    """One or two cases of every row, as a privacy officer would ask them."""
    assert ask(*values) == Decision(Result(expected[0]), expected[1])


@pytest.mark.rule("R5")
@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([], LabelClass.NONE),
        (labels_for("referral-task"), LabelClass.V_SDV),
        (labels_for("referral-task", confidentiality="R"), LabelClass.R_SDV),
        (labels_for("proposed-appointment"), LabelClass.V_SDV),
        (labels_for("appointment-ehr-copy"), LabelClass.R),
        (labels_for("referral-bundle"), LabelClass.UNKNOWN),
        ([Label(CONFIDENTIALITY, "N")], LabelClass.N),
        ([Label(CONFIDENTIALITY, "L")], LabelClass.N),
        ([Label(CONFIDENTIALITY, "R"), Label(ACT_REASON, "TREAT")], LabelClass.R),
        ([Label(CONFIDENTIALITY, "R"), Label(CONFIDENTIALITY, "N")], LabelClass.UNKNOWN),
        ([Label(CONFIDENTIALITY, "N"), Label(ACT_CODE, "SDV")], LabelClass.UNKNOWN),
        ([Label(ACT_CODE, "SDV")], LabelClass.UNKNOWN),
        ([Label(CONFIDENTIALITY, "R"), Label(ACT_CODE, "VIO")], LabelClass.UNKNOWN),
        ([Label(CONFIDENTIALITY, "R"), Label(ACT_CODE, "HIV")], LabelClass.UNKNOWN),
        ([Label(CONFIDENTIALITY, "SDV")], LabelClass.UNKNOWN),
        ([Label(CONFIDENTIALITY.replace("http", "https"), "N")], LabelClass.UNKNOWN),
        ([Label(CONFIDENTIALITY, "n")], LabelClass.UNKNOWN),
        ([Label("", "")], LabelClass.UNKNOWN),
    ],
)
def test_rule_R05_labels_are_read_exactly_or_not_at_all(labels: list[Label], expected: LabelClass) -> None:
    """A spelling that is almost right, a level that does not fit or a label we do not know is never read as harmless.

    Fails when ``effective`` ignores labels outside the closed set.
    """
    assert effective(labels) is expected


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("result", Result)
@pytest.mark.parametrize("resource_type", ["Observation", "ServiceRequest", "Task", "Consent", "Appointment"])
def test_only_who_may_act_may_store_the_next_version(role: Role, result: Result, resource_type: str) -> None:
    """Break-glass reads only; a program moves its Task; a scheduler books; author and care team keep their record."""
    expected = (
        (role in {Role.AUTHOR, Role.CARE_TEAM, Role.LABELER} and result is Result.PERMIT)
        or (role is Role.ADVOCATE and result is Result.PERMIT and resource_type == "Task")
        or (role is Role.SCHEDULER and result is Result.REDACT and resource_type in {"Task", "Appointment"})
    )
    assert may_amend(role, result, resource_type) is expected


def test_results_are_ranked() -> None:
    """An offer shows no data, so it opens no more than a denial."""
    rising = (Result.DENY, Result.OFFER, Result.REDACT, Result.BREAK_GLASS, Result.PERMIT)
    assert [result.rank for result in rising] == [0, 0, 1, 2, 3]

"""Labels: the exact sets, how received labels are raised, and what an envelope may show."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_profiles.security_labels import (
    KNOWN,
    REDACTED,
    Label,
    as_security,
    enforced_labels,
    high_water_mark,
    import_labels,
    label_problems,
    labels_for,
    labels_of,
    missing_labels,
)
from fhir_profiles.terminology import ACT_CODE, ACT_REASON, CONFIDENTIALITY, OBSERVATION_VALUE

PREFIX = {"C": CONFIDENTIALITY, "A": ACT_CODE, "R": ACT_REASON, "O": OBSERVATION_VALUE}
K = "C|V A|SDV A|NORDSCLCD A|NOREUSE A|PERSISTLABEL"


def labels(short: str) -> tuple[Label, ...]:
    """ "C|V A|SDV" as labels."""
    return tuple(Label(PREFIX[item[0]], item[2:]) for item in short.split())


def payload(*security: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Task", "meta": {"security": list(security)}}


def labelled(short: str) -> dict[str, Any]:
    return payload(*as_security(labels(short)))


@pytest.mark.parametrize(
    ("profile_id", "expected"),
    [
        ("disclosure-observation", f"{K} R|TREAT O|PATRPT"),
        ("referral-service-request", f"{K} R|COC"),
        ("referral-task", f"{K} R|COC"),
        ("communication", f"{K} R|COC"),
        ("proposed-appointment", f"{K} A|LOCIS R|COC"),
        ("appointment-ehr-copy", "C|R"),
        ("release-consent", f"{K} A|CPLYCD"),
        ("referral-patient", f"{K} A|LOCIS"),
        ("label-provenance", "C|V A|SDV A|PERSISTLABEL"),
        ("access-audit-event", "C|V A|SDV A|PERSISTLABEL"),
        ("referral-bundle", "C|V"),
        ("program-measure-report", "C|L O|AGGRED O|ANONYED A|NORELINK A|PERSISTLABEL R|HPRGRP"),
        ("partner-organization", ""),
        ("partnership-mou", ""),
        ("operation-outcome", ""),
    ],
)
def test_each_resource_gets_its_exact_label_set(profile_id: str, expected: str) -> None:
    """Every kind of record is born with exactly the labels the design lists for it."""
    assert labels_for(profile_id) == labels(expected)


@pytest.mark.rule("R3")
def test_rule_R03_patient_level_records_are_very_restricted_and_never_below_restricted() -> None:
    """Each patient-level record has one confidentiality code, V, or R where the site says so, and SDV.

    Fails when ``labels_for`` accepts "N": delete the check of ``confidentiality``.
    """
    for profile_id in ("disclosure-observation", "referral-task", "release-consent", "referral-patient"):
        for level in ("V", "R"):
            given = labels_for(profile_id, confidentiality=level)
            assert [label.code for label in given if label.system == CONFIDENTIALITY] == [level]
            assert Label(ACT_CODE, "SDV") in given
    with pytest.raises(ValueError, match="V or R"):
        labels_for("referral-task", confidentiality="N")


def test_the_disclosure_says_who_told_it() -> None:
    """A fact the clinician found is marked as the clinician's, not as the patient's words."""
    assert Label(OBSERVATION_VALUE, "CLINAST") in labels_for("disclosure-observation", source="CLINAST")
    with pytest.raises(ValueError, match="PATRPT or CLINAST"):
        labels_for("disclosure-observation", source="GUESS")


def test_every_label_we_emit_is_in_the_closed_set_and_nopat_and_delau_are_not_defaults() -> None:
    """We never emit a label we would not recognise, nor one that locks the survivor out by default (L16)."""
    emitted = {
        label
        for profile_id in (
            "disclosure-observation",
            "release-consent",
            "proposed-appointment",
            "program-measure-report",
        )
        for label in labels_for(profile_id)
    }
    assert emitted <= KNOWN
    assert not {"NOPAT", "DELAU"} & {label.code for label in emitted}


@pytest.mark.rule("R3")
@pytest.mark.parametrize(
    ("received", "is_accepted"),
    [
        ("", True),
        ("A|SDV", True),
        (f"{K} R|COC", True),
        ("C|V C|R", False),
        ("C|V C|V", False),
        ("C|R A|SDV", False),
        ("C|N", False),
        ("C|U", False),
        ("C|X", False),
        ("C|SDV", True),
        ("C|V C|SDV", True),
        ("A|NORDSLCD", True),
        ("A|sdv", True),
        ("C|V A|VIO", True),
        ("C|V A|DELAU", False),
        ("C|V A|NOPERSISTP", False),
        ("C|V A|NOCOLLECT", False),
        ("C|V A|NOPAT", True),
        ("C|V O|REDACTED", False),
    ],
)
def test_rule_R03_two_levels_or_a_level_below_ours_is_refused(received: str, is_accepted: bool) -> None:
    """A sender may add labels but never lower ours or send two levels; no label at all is fine.

    Fails when the comparison with our level is removed from ``label_problems``.
    """
    assert (label_problems(labelled(received), labels_for("referral-task")) == []) is is_accepted


@pytest.mark.parametrize(
    "system", ["https://terminology.hl7.org/CodeSystem/v3-Confidentiality", "http://hl7.org/fhir/v3/Confidentiality"]
)
def test_a_level_under_an_old_address_is_still_a_level(system: str) -> None:
    """A weak level cannot be smuggled in under an old or mistaken address of the code system."""
    ours = labels_for("referral-task")
    assert label_problems(payload({"system": system, "code": "N"}), ours)
    assert label_problems(payload({"system": system, "code": "N"}, *as_security(labels("C|V"))), ours)
    assert label_problems(payload({"system": system, "code": "V"}, *as_security(labels("C|V"))), ours) == []


def test_a_site_that_uses_restricted_accepts_restricted_but_not_normal() -> None:
    """With R as the site's level, R passes and N does not."""
    ours = labels_for("referral-task", confidentiality="R")
    assert label_problems(labelled("C|R"), ours) == []
    assert label_problems(labelled("C|N"), ours)


@pytest.mark.rule("R3")
def test_rule_R03_an_unlabelled_record_from_outside_is_labelled_on_import() -> None:
    """A program that sends no labels is served, and the record is stored with ours.

    Fails when ``import_labels`` returns the payload unchanged.
    """
    raised = import_labels({"resourceType": "Task", "status": "requested"}, "referral-task")
    assert labels_of(raised) == labels_for("referral-task")
    assert raised["status"] == "requested"


def test_import_keeps_received_labels_byte_for_byte_and_adds_todays_code_beside_a_retired_one() -> None:
    """Old spellings stay where they were, and the present-day code stands beside them."""
    retired = [
        {"system": CONFIDENTIALITY, "code": "SDV"},
        {"system": "http://hl7.org/fhir/v3/ActCode", "code": "NORDSLCD"},
        {"system": "https://labels.example", "code": "own", "version": "2"},
    ]
    raised = import_labels(payload(*retired), "referral-task")
    security = raised["meta"]["security"]
    assert security[:3] == retired
    assert set(labels_for("referral-task")) <= set(labels_of(raised))
    assert label_problems(raised, labels_for("referral-task")) == []


def test_import_never_lowers_and_replaces_only_a_weaker_level() -> None:
    """A level read from elsewhere that is weaker than ours is raised; a stronger one stays."""
    raised = import_labels(labelled("C|N A|VIO"), "referral-task")
    assert [label.code for label in labels_of(raised) if label.system == CONFIDENTIALITY] == ["V"]
    assert {Label(ACT_CODE, "VIO"), Label(ACT_CODE, "SDV")} <= set(labels_of(raised))
    kept = import_labels(labelled("C|V"), "referral-task", confidentiality="R")
    assert [label.code for label in labels_of(kept) if label.system == CONFIDENTIALITY] == ["V"]


def test_import_does_not_change_what_was_given() -> None:
    """The received body stays as it was, for the digest that recognises a second post."""
    given = labelled("A|SDV")
    import_labels(given, "referral-task")
    assert given == labelled("A|SDV")


@pytest.mark.rule("R5")
@pytest.mark.parametrize("short", ["", "A|SDV", "C|V C|R A|SDV", "C|X", "C|N A|XYZ"])
def test_rule_R05_missing_or_unknown_labels_are_enforced_as_very_restricted_and_sensitive(short: str) -> None:
    """Anything we cannot read plainly is treated as the most protected kind.

    Fails when ``enforced_labels`` returns the received labels as they are.
    """
    enforced = enforced_labels(labelled(short))
    assert {Label(CONFIDENTIALITY, "V"), Label(ACT_CODE, "SDV")} <= set(enforced)
    assert set(enforced) <= KNOWN


def test_plain_labels_are_enforced_as_they_are() -> None:
    """A record with plain known labels is indexed by exactly those."""
    assert enforced_labels(labelled("C|R")) == labels("C|R")
    assert enforced_labels(payload({"system": CONFIDENTIALITY, "code": "V", "display": "x"})) == labels("C|V")


@pytest.mark.parametrize("security", [["x"], [None], "V", [{"code": 3}], {"system": "a"}])
def test_malformed_labels_never_pass_as_no_labels(security: Any) -> None:
    """Nonsense where labels belong counts as unknown labels, not as none, and raises nothing."""
    broken = {"resourceType": "Task", "meta": {"security": security}}
    assert set(labels("C|V A|SDV")) <= set(enforced_labels(broken))


def test_our_own_record_without_its_set_is_noticed() -> None:
    """The door can tell that a record of ours lacks its labels, for each label taken away."""
    for profile_id in ("referral-task", "release-consent", "disclosure-observation", "proposed-appointment"):
        full = labels_for(profile_id)
        assert missing_labels(payload(*as_security(full)), profile_id) == ()
        for gone in full:
            rest = [label for label in full if label != gone]
            assert missing_labels(payload(*as_security(rest)), profile_id) == (gone,)
    assert missing_labels(labelled("C|V C|R A|SDV A|NORDSCLCD A|NOREUSE A|PERSISTLABEL R|COC")) == labels("C|V")
    assert missing_labels(labelled("C|N A|SDV A|NORDSCLCD A|NOREUSE A|PERSISTLABEL R|COC")) == labels("C|V")
    assert missing_labels(labelled("C|R A|SDV A|NORDSCLCD A|NOREUSE A|PERSISTLABEL R|COC")) == ()


@pytest.mark.rule("R4")
@pytest.mark.parametrize(
    ("sets", "expected"),
    [
        ([], "U"),
        (["C|N", "C|R"], "R"),
        (["C|R", ""], "V"),
        ([f"{K} R|COC"], "V"),
        (["C|L"], "L"),
        (["C|ZZ"], "V"),
    ],
)
def test_rule_R04_an_envelope_shows_one_level_and_nothing_else(sets: list[str], expected: str) -> None:
    """A bundle or list carries the highest level of what is left in it; what has no label counts as V.

    Fails when unlabelled counts as "U".
    """
    assert high_water_mark(labels(item) for item in sets) == Label(CONFIDENTIALITY, expected)


def test_a_redacted_view_is_never_written_back() -> None:
    """What was shown in part cannot replace the whole."""
    view = payload(*as_security((*labels_for("referral-task"), REDACTED)))
    assert label_problems(view, labels_for("referral-task")) == ["A redacted view cannot be written back."]

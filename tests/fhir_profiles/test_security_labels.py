"""Labels: the exact sets, how received labels are raised, and what an envelope may show."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from fhir_profiles.disclosure_observation import KINDS, disclosure_observation
from fhir_profiles.security_labels import (
    ADDITIONS,
    KNOWN,
    REDACTED,
    Label,
    as_security,
    enforced_labels,
    filtered,
    high_water_mark,
    inherited_labels,
    is_spelling_known,
    label_problems,
    labels_for,
    missing_labels,
    normal,
    own_security,
    provenance_labels,
)
from fhir_profiles.terminology import ACT_CODE, ACT_REASON, CONFIDENTIALITY, OBSERVATION_VALUE, THO

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
        ("individual-report", K),
        ("partner-organization", ""),
        ("partner-service", ""),
        ("partner-endpoint", ""),
        ("partnership-mou", ""),
        ("operation-outcome", ""),
        ("capability-statement", ""),
    ],
)
def test_each_resource_gets_its_exact_label_set(profile_id: str, expected: str) -> None:
    """Every kind of record is born with exactly the labels the design lists for it."""
    assert labels_for(profile_id) == labels(expected)


@pytest.mark.parametrize(
    ("kind", "more", "expected"),
    [
        ("Observation", {}, f"{K} R|TREAT O|PATRPT"),
        ("ServiceRequest", {}, f"{K} R|COC"),
        ("Task", {}, f"{K} R|COC"),
        ("Communication", {}, f"{K} R|COC"),
        ("Appointment", {}, f"{K} A|LOCIS R|COC"),
        ("Consent", {}, f"{K} A|CPLYCD"),
        ("Provenance", {}, "C|V A|SDV A|PERSISTLABEL"),
        ("AuditEvent", {}, "C|V A|SDV A|PERSISTLABEL"),
        ("Bundle", {}, "C|V"),
        ("MeasureReport", {"type": "summary"}, "C|L O|AGGRED O|ANONYED A|NORELINK A|PERSISTLABEL R|HPRGRP"),
        ("MeasureReport", {"type": "individual"}, K),
        ("Patient", {}, f"{K} A|LOCIS"),
        ("RelatedPerson", {}, f"{K} A|LOCIS"),
        ("Location", {}, f"{K} A|LOCIS"),
    ],
)
def test_a_bare_record_of_each_type_lacks_its_whole_set(kind: str, more: dict[str, str], expected: str) -> None:
    """Without any label, each type is missed for exactly what the design lists: a person's place or relative too."""
    level, *rest = labels(expected)
    assert missing_labels({"resourceType": kind, **more}) == (level, *rest)


@pytest.mark.parametrize(
    ("also", "added"),
    [
        ((), ""),
        (("ADOL",), "A|ADOL"),
        (("MST",), "A|MST"),
        (("VIO",), "A|VIO"),
        (("SEX",), "A|SEX"),
        (("VIO", "ADOL", "VIO"), "A|VIO A|ADOL"),
        (ADDITIONS, "A|ADOL A|MST A|VIO A|SEX"),
    ],
)
def test_a_disclosure_has_additional_labels_when_they_are_true(also: tuple[str, ...], added: str) -> None:
    """Adolescent, military, violence by a stranger, sexuality: said at creation, always beside SDV."""
    made = labels_for("disclosure-observation", also=also)
    assert made == labels(f"{K} R|TREAT O|PATRPT {added}".strip())
    assert Label(ACT_CODE, "SDV") in made


@pytest.mark.parametrize(
    ("profile_id", "also"),
    [("referral-task", ("VIO",)), ("disclosure-observation", ("ETH",)), ("release-consent", ("SDV",))],
)
def test_nothing_else_gets_them_and_there_are_no_others(profile_id: str, also: tuple[str, ...]) -> None:
    """A referral says nothing of the kind, and a sensitivity that the design does not list is not made up."""
    with pytest.raises(ValueError, match="ADOL, MST, VIO and SEX"):
        labels_for(profile_id, also=also)


def test_no_label_follows_from_the_kind_of_disclosure() -> None:
    """Whoever sees the labels cannot tell sexual violence from stalking or elder abuse."""
    given = labels_for("disclosure-observation")
    made = [
        disclosure_observation(
            labels=given,
            patient_reference="Patient/p1",
            performer_reference="Practitioner/d1",
            recorded_at=date(2026, 10, 1),
            kind=kind,
        )
        for kind in KINDS
    ]
    assert {str(one["meta"]["security"]) for one in made} == {str(as_security(given))}


@pytest.mark.parametrize(
    ("profile_id", "level", "expected"),
    [
        (profile_id, level, "V" if profile_id == "access-audit-event" else level)
        for profile_id in (
            "disclosure-observation",
            "referral-service-request",
            "referral-task",
            "communication",
            "proposed-appointment",
            "release-consent",
            "referral-patient",
            "label-provenance",
            "access-audit-event",
            "referral-bundle",
        )
        for level in ("V", "R")
    ],
)
def test_the_level_is_V_by_default_and_R_at_the_least(profile_id: str, level: str, expected: str) -> None:
    """A site may choose R for what is about a person, and nothing less; its audit stays at V."""
    made = labels_for(profile_id, confidentiality=level)
    assert [label.code for label in made if label.system == CONFIDENTIALITY] == [expected]
    assert labels_for(profile_id)[0] == Label(CONFIDENTIALITY, "V")
    for weaker in ("N", "M", "L", "U", "v", ""):
        with pytest.raises(ValueError, match="V or R"):
            labels_for(profile_id, confidentiality=weaker)


@pytest.mark.parametrize(
    ("profile_id", "short"),
    [
        ("referral-task", ""),
        ("referral-task", K),
        ("referral-task", f"{K} R|COC R|COC"),
        ("referral-task", f"C|N {K[4:]} R|COC"),
        ("referral-task", f"{K} C|R R|COC"),
        ("referral-task", f"{K} R|COC O|REDACTED"),
        ("referral-task", f"{K} R|COC A|DELAU"),
        ("referral-task", f"{K} R|COC C|SDV"),
        ("disclosure-observation", f"{K} R|TREAT"),
        ("referral-bundle", f"{K}"),
        ("referral-bundle", "C|V A|SDV"),
        ("referral-bundle", "C|N"),
        ("appointment-ehr-copy", "C|V"),
        ("appointment-ehr-copy", "C|R A|SDV"),
        ("access-audit-event", "C|R A|SDV A|PERSISTLABEL"),
        ("program-measure-report", f"{K}"),
        ("label-provenance", "C|V A|SDV"),
        ("no-such-profile", f"{K}"),
    ],
)
def test_what_we_make_is_never_labelled_otherwise(profile_id: str, short: str) -> None:
    """A builder that is given half a set, two levels, a weak level or a telling label makes nothing."""
    with pytest.raises(ValueError, match=r"labels"):
        own_security(profile_id, labels(short))


@pytest.mark.parametrize(
    ("profile_id", "short"),
    [
        ("referral-task", f"{K} R|COC"),
        ("referral-task", f"C|R {K[4:]} R|COC A|NOPAT"),
        ("disclosure-observation", f"{K} R|TREAT O|CLINAST A|VIO"),
        ("referral-bundle", "C|R"),
        ("label-provenance", "C|V A|PERSISTLABEL"),
    ],
)
def test_what_is_true_may_be_said_beside_the_set(profile_id: str, short: str) -> None:
    """More protection than the set asks is no mistake."""
    assert own_security(profile_id, labels(short)) == as_security(labels(short))


@pytest.mark.parametrize(
    ("system", "code", "means"),
    [
        (CONFIDENTIALITY, "V", "C|V"),
        (ACT_CODE, "SDV", "A|SDV"),
        (CONFIDENTIALITY, "SDV", "A|SDV"),
        (ACT_CODE, "NORDSLCD", "A|NORDSCLCD"),
        (f"{THO}/v3-ActUSPrivacyLaw", "NORDSLCD", "A|NORDSCLCD"),
        ("http://hl7.org/fhir/v3/Confidentiality", "R", "C|R"),
        ("http://hl7.org/fhir/v3/ActCode", "SDV", "A|SDV"),
        ("https://terminology.hl7.org/CodeSystem/v3-ActReason", "COC", "R|COC"),
        ("https://terminology.hl7.org/CodeSystem/v3-ActCode", "NORDSLCD", "A|NORDSCLCD"),
        (ACT_CODE, "sdv", ""),
        (ACT_CODE, "SDV ", ""),
        (ACT_CODE, "V", ""),
        (CONFIDENTIALITY, "v", ""),
        (CONFIDENTIALITY, "restricted", ""),
        (f"{THO}/v3-PurposeOfUse", "TREAT", ""),
        (f"{THO}/v3-actcode", "SDV", ""),
        (f"{THO}/v3-ActCode/", "SDV", ""),
        (f"{THO}/v3-ActUSPrivacyLaw", "42CFRPart2", ""),
        ("http://terminology.hl7.org/ValueSet/v3-ActCode", "SDV", ""),
        ("urn:oid:2.16.840.1.113883.5.4", "SDV", ""),
        (ACT_CODE, "ETH", ""),
        ("", "", ""),
    ],
)
def test_a_label_is_known_by_system_and_code_exactly(system: str, code: str, means: str) -> None:
    """Retired spellings and old addresses are read as today's; whatever only looks alike is known by nobody."""
    found = Label(system, code)
    assert is_spelling_known(found) is bool(means)
    if means:
        assert (normal(found),) == labels(means)
    else:
        assert set(labels("C|V A|SDV")) <= set(enforced_labels(payload({"system": system, "code": code})))


def test_display_and_version_of_a_label_say_nothing() -> None:
    """Two systems that show a label differently mean the same."""
    plain, shown = as_security(labels("C|V"))[0], {"version": "9", "display": "normal"}
    assert enforced_labels(payload({**plain, **shown})) == labels("C|V")


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


@pytest.mark.rule("R4")
@pytest.mark.parametrize(
    ("page", "shown", "expected"),
    [
        (["C|R", f"{K}"], [True, True], "V"),
        (["C|R", f"{K}"], [True, False], "R"),
        (["C|N", ""], [True, False], "N"),
        (["C|N", ""], [True, True], "V"),
        ([f"{K}"], [False], "U"),
        ([], [], "U"),
    ],
)
def test_rule_R04_the_mark_is_made_of_what_is_left_after_filtering(
    page: list[str], shown: list[bool], expected: str
) -> None:
    """Who is not shown an item cannot tell from the envelope that it was there; each page has its own mark.

    Fails when ``filtered`` takes the mark of the whole page.
    """
    items = list(zip(map(labels, page), shown, strict=True))
    left, mark = filtered(items, is_shown=lambda item: item[1], labels=lambda item: item[0])
    assert left == [item for item in items if item[1]]
    assert mark == Label(CONFIDENTIALITY, expected)
    absent, same = filtered(left, is_shown=lambda _: True, labels=lambda item: item[0])
    assert (absent, same) == (left, mark)


@pytest.mark.parametrize(
    ("sets", "expected"),
    [
        (["C|R", f"{K} R|COC A|ADOL"], "C|V A|ADOL A|SDV"),
        (["C|N", "C|R"], "C|R"),
        (["C|N A|XYZ"], "C|V A|SDV"),
        ([""], "C|V A|SDV"),
        ([], "C|U"),
    ],
)
def test_what_is_made_of_items_inherits_the_level_and_every_sensitivity(sets: list[str], expected: str) -> None:
    """A text, a queue row or an export holds content: it is as sensitive as what it was made of."""
    assert inherited_labels(labels(item) for item in sets) == labels(expected)


@pytest.mark.parametrize(
    ("sets", "expected"),
    [
        ([f"{K} R|COC"], "C|V A|SDV A|PERSISTLABEL"),
        (["C|R", f"{K}"], "C|V A|SDV A|PERSISTLABEL"),
        (["C|R"], "C|R A|PERSISTLABEL"),
        ([""], "C|V A|SDV A|PERSISTLABEL"),
    ],
)
def test_a_record_about_an_item_is_never_weaker_than_the_item(sets: list[str], expected: str) -> None:
    """The record of a change carries the level and the sensitivity of what was changed."""
    assert provenance_labels(*map(labels, sets)) == labels(expected)


def test_a_redacted_view_is_never_written_back() -> None:
    """What was shown in part cannot replace the whole."""
    view = payload(*as_security((*labels_for("referral-task"), REDACTED)))
    assert label_problems(view, labels_for("referral-task")) == ["A redacted view cannot be written back."]

"""Labels that come in and go out: up, never down, and nothing received is lost. One row of the design each."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_profiles.label_exchange import (
    LabelsRefusedError,
    Origin,
    for_put,
    has_labelled_contained,
    inline_labels,
    label_up,
)
from fhir_profiles.security_labels import (
    KNOWN,
    LEVELS,
    Label,
    as_security,
    enforced_of,
    label_problems,
    labels_for,
    labels_of,
    missing_labels,
)
from fhir_profiles.terminology import ACT_CODE, ACT_REASON, CONFIDENTIALITY, INLINE_SEC_LABEL, OBSERVATION_VALUE

Payload = dict[str, Any]
PREFIX = {"C": CONFIDENTIALITY, "A": ACT_CODE, "R": ACT_REASON, "O": OBSERVATION_VALUE}
K = "C|V A|SDV A|NORDSCLCD A|NOREUSE A|PERSISTLABEL"
OURS = labels_for("referral-task")
PARTNER, EHR, LAUNCHED = Origin.PARTNER, Origin.EHR, Origin.LAUNCHED
OLD, HTTPS = "http://hl7.org/fhir/v3/", "https://terminology.hl7.org/CodeSystem/v3-"


def labels(short: str) -> tuple[Label, ...]:
    """ "C|V A|SDV" as labels."""
    return tuple(Label(PREFIX[item[0]], item[2:]) for item in short.split())


def payload(*security: Payload, **more: Any) -> Payload:
    return {"resourceType": "Task", "meta": {"security": list(security)}, **more}


def labelled(short: str) -> Payload:
    return payload(*as_security(labels(short)))


def levels_of(made: Payload) -> list[str]:
    return [label.code for label in labels_of(made) if label.system == CONFIDENTIALITY and label.code in LEVELS]


@pytest.mark.rule("R3")
@pytest.mark.parametrize("given", [{"resourceType": "Task"}, {"resourceType": "Task", "meta": {"versionId": "1"}}])
def test_rule_R03_an_unlabelled_record_from_a_program_gets_our_set(given: Payload) -> None:
    """A program that sends no labels is served, and the record is stored with ours; the change is told.

    Fails when ``label_up`` returns the payload unchanged.
    """
    made = label_up(given, PARTNER, ours=OURS)
    assert labels_of(made.payload) == OURS
    assert made.enforced == OURS
    assert made.changes == {"labelled"}
    assert {key: value for key, value in made.payload.items() if key != "meta"} == {"resourceType": "Task"}


@pytest.mark.rule("R5")
@pytest.mark.parametrize(
    ("origin", "carried", "enforced"),
    [
        (LAUNCHED, "C|R", "C|R"),
        (EHR, "", "C|V A|SDV"),
    ],
)
def test_rule_R05_what_an_ehr_gives_unlabelled_counts_as_the_design_says(
    origin: Origin, carried: str, enforced: str
) -> None:
    """The launched patient is restricted; anything else without a label counts as very restricted and sensitive.

    Fails when ``enforced_of`` of nothing is nothing, or when the floor of a launch is left out.
    """
    made = label_up({"resourceType": "Patient"}, origin)
    assert labels_of(made.payload) == labels(carried)
    assert made.enforced == labels(enforced)


@pytest.mark.parametrize(
    ("received", "today"),
    [
        ({"system": CONFIDENTIALITY, "code": "SDV"}, "A|SDV"),
        ({"system": ACT_CODE, "code": "NORDSLCD"}, "A|NORDSCLCD"),
        ({"system": f"{OLD}ActCode", "code": "SDV"}, "A|SDV"),
        ({"system": f"{OLD}ActCode", "code": "NORDSLCD"}, "A|NORDSCLCD"),
        ({"system": f"{OLD}ActReason", "code": "COC"}, "R|COC"),
        ({"system": f"{OLD}Confidentiality", "code": "V"}, "C|V"),
        ({"system": f"{OLD}ObservationValue", "code": "PATRPT"}, "O|PATRPT"),
        ({"system": f"{HTTPS}ActCode", "code": "SDV", "display": "sensitive"}, "A|SDV"),
        ({"system": f"{HTTPS}Confidentiality", "code": "V", "version": "2018-08-12"}, "C|V"),
        ({"system": f"{HTTPS}ActUSPrivacyLaw".replace("https", "http"), "code": "NORDSLCD"}, "A|NORDSCLCD"),
    ],
)
@pytest.mark.parametrize("origin", Origin)
def test_an_old_spelling_stays_and_todays_code_stands_beside_it(received: Payload, today: str, origin: Origin) -> None:
    """Retired codes, the addresses of STU3 and https addresses mean what they meant, byte for byte beside the new.

    Fails when ``_with_labels`` takes the old spelling for the new one.
    """
    ours = OURS if origin is PARTNER else labels("C|V") if today[0] == "C" else ()
    made = label_up(payload(deepcopy(received)), origin, ours=ours)
    security = made.payload["meta"]["security"]
    assert received in security
    assert set(labels(today)) <= set(labels_of(made.payload))
    assert "respelled" in made.changes
    assert len(levels_of(made.payload)) <= 1
    assert label_problems(made.payload, ours) == []


def test_a_retired_SDV_is_no_second_level() -> None:
    """C|SDV beside C|V is one level and one sensitivity."""
    made = label_up(labelled("C|V C|SDV"), PARTNER, ours=OURS)
    assert levels_of(made.payload) == ["V"]
    assert Label(CONFIDENTIALITY, "SDV") in labels_of(made.payload)
    assert missing_labels(made.payload, "referral-task") == ()


@pytest.mark.parametrize("code", ["VIO", "MST", "SEX"])
def test_what_a_program_calls_violence_brings_SDV(code: str) -> None:
    """Violence, military sexual trauma and sexuality from a program are kept, and SDV is put beside them."""
    made = label_up(labelled(f"C|V A|{code}"), PARTNER)
    assert labels_of(made.payload) == labels(f"C|V A|{code} A|SDV")
    assert "sensitive" in made.changes
    read = label_up(labelled(f"C|V A|{code}"), EHR)
    assert read.payload == labelled(f"C|V A|{code}")
    assert "sensitive" not in label_up(labelled(f"C|V A|SDV A|{code}"), PARTNER).changes


@pytest.mark.parametrize(
    "strange",
    [
        {"system": ACT_CODE, "code": "ETH"},
        {"system": ACT_CODE, "code": "sdv"},
        {"system": "https://labels.example", "code": "own", "version": "2"},
        {"system": "http://terminology.hl7.org/CodeSystem/v3-PurposeOfUse", "code": "TREAT"},
        {"display": "secret"},
        {},
    ],
)
@pytest.mark.parametrize("origin", Origin)
def test_an_unknown_label_is_kept_and_enforced_as_the_most_protected(strange: Payload, origin: Origin) -> None:
    """Nobody here knows what it means, so it is kept as it came and the record is treated as V and SDV.

    Fails when unknown labels are left out of ``enforced``.
    """
    made = label_up(payload(*as_security(labels("C|R")), strange), origin)
    assert strange in made.payload["meta"]["security"]
    assert set(labels("C|V A|SDV")) <= set(made.enforced) <= KNOWN
    assert "unknown" in made.changes


@pytest.mark.parametrize("level", ["N", "M", "L", "U"])
def test_a_level_below_ours_is_refused_from_a_program_and_raised_from_an_ehr(level: str) -> None:
    """A program may not lower; what an EHR labels weaker than we do keeps our level, and that is told.

    Fails when the floor is left out of ``_refuse`` or of ``_level_of``.
    """
    weaker = payload(*as_security(labels(f"C|{level}")), {"system": ACT_CODE, "code": "SDV"})
    with pytest.raises(LabelsRefusedError, match="V or higher"):
        label_up(weaker, PARTNER, ours=OURS)
    made = label_up(weaker, EHR, ours=OURS)
    assert levels_of(made.payload) == ["V"]
    assert "raised" in made.changes
    assert levels_of(label_up(weaker, LAUNCHED).payload) == ["R"]
    assert levels_of(label_up(labelled("C|V"), EHR, ours=labels("C|R")).payload) == ["V"]


@pytest.mark.parametrize("code", ["DELAU", "NOPERSISTP", "NOCOLLECT"])
def test_a_label_that_forbids_keeping_is_refused_unless_an_agreement_allows_it(code: str) -> None:
    """We cannot forget what we must audit, so such a record is not taken in; what is only shown for a launch is.

    Fails when ``cannot_be_kept`` is not asked.
    """
    given = labelled(f"{K} R|COC A|{code}")
    for origin in (PARTNER, EHR):
        with pytest.raises(LabelsRefusedError, match="kept"):
            label_up(given, origin, ours=OURS)
        kept = label_up(given, origin, ours=OURS, may_forget=True)
        assert Label(ACT_CODE, code) in labels_of(kept.payload)
    assert label_up(given, LAUNCHED).payload == given


INLINE = [{"url": INLINE_SEC_LABEL, "valueCoding": as_security(labels("C|V"))[0]}]


@pytest.mark.parametrize("mark", ["", "A|PROCESSINLINELABEL"])
@pytest.mark.parametrize(
    "place",
    [
        {"extension": INLINE},
        {"identifier": [{"value": "1", "extension": INLINE}]},
        {"_status": {"extension": INLINE}},
        {"input": [{"type": {"coding": [{"extension": INLINE}]}}]},
        {"contained": [{"resourceType": "Patient", "name": [{"extension": INLINE}]}]},
    ],
)
def test_a_label_inside_applies_to_the_whole(place: Payload, mark: str) -> None:
    """Wherever an element is labelled higher than its resource, the whole counts as that; announced or not.

    Fails when ``inline_labels`` stops at the first level, or looks only where the mark stands.
    """
    given = payload(*as_security(labels(f"C|R A|SDV {mark}")), **place)
    assert inline_labels(given) == labels("C|V")
    made = label_up(given, EHR)
    assert made.enforced == labels("C|V A|SDV")
    assert levels_of(made.payload) == ["V"]
    assert "inline" in made.changes


def test_the_mark_of_inline_labels_is_understood_and_inline_sensitivities_count() -> None:
    """The mark alone does not make a record unknown, and a sensitivity inside is one of the whole."""
    assert label_up(labelled("C|R A|PROCESSINLINELABEL"), EHR).enforced == labels("C|R")
    inside = [{"url": INLINE_SEC_LABEL, "valueCoding": as_security(labels("A|SDV"))[0]}]
    made = label_up(payload(*as_security(labels("C|R")), note=[{"extension": inside}]), EHR)
    assert made.enforced == labels("C|R A|SDV")
    assert labels_of(made.payload) == labels("C|R A|SDV")
    strange = [{"url": INLINE_SEC_LABEL, "valueCoding": {"system": ACT_CODE, "code": "ETH"}}]
    unknown = label_up(payload(*as_security(labels("C|R")), note=[{"extension": strange}]), EHR)
    assert unknown.enforced == labels("C|V A|SDV")


def test_a_contained_resource_with_labels_is_refused_or_counts_as_unknown() -> None:
    """dom-5: labels on a contained resource are a mistake that both common libraries let pass."""
    inner = {"resourceType": "Patient", "meta": {"security": as_security(labels("C|N"))}}
    given = payload(*as_security(labels(f"{K} R|COC")), contained=[inner])
    assert has_labelled_contained(given)
    assert not has_labelled_contained(payload(contained=[{"resourceType": "Patient"}]))
    with pytest.raises(LabelsRefusedError, match="dom-5"):
        label_up(given, PARTNER, ours=OURS)
    assert set(labels("C|V A|SDV")) <= set(
        label_up(payload(*as_security(labels("C|R")), contained=[inner]), EHR).enforced
    )


@pytest.mark.parametrize(
    ("short", "match"),
    [("C|V C|R", "Exactly one"), ("C|V C|V", "Exactly one"), ("C|X", "six levels"), ("C|V O|REDACTED", "redacted")],
)
def test_what_our_doors_refuse_from_a_program_is_refused_here_too(short: str, match: str) -> None:
    """Two levels, a code that is no level, a redacted view: the table and the door agree (R3)."""
    with pytest.raises(LabelsRefusedError, match=match):
        label_up(labelled(short), PARTNER, ours=OURS)
    assert label_problems(labelled(short), OURS)


@pytest.mark.parametrize(("short", "level"), [("C|N C|R", "V"), ("C|X", "V"), ("C|R", "R"), ("C|N", "R")])
def test_two_levels_from_an_ehr_count_as_the_highest(short: str, level: str) -> None:
    """An EHR that names two levels, or one that does not exist, may have meant the stronger."""
    made = label_up(labelled(short), LAUNCHED)
    assert levels_of(made.payload) == [level]


ANY = st.lists(
    st.sampled_from(
        [
            *sorted(KNOWN),
            Label(CONFIDENTIALITY, "SDV"),
            Label(ACT_CODE, "NORDSLCD"),
            Label(f"{OLD}Confidentiality", "R"),
            Label(f"{HTTPS}ActCode", "SDV"),
            Label(ACT_CODE, "ETH"),
            Label("", ""),
        ]
    ),
    max_size=8,
)


@settings(max_examples=300, deadline=None)
@given(ANY, st.sampled_from(list(Origin)), st.sampled_from(["", "C|R", "C|V", f"{K} R|COC"]))
def test_labels_only_ever_go_up(received: list[Label], origin: Origin, floor: str) -> None:
    """Whatever comes in: nothing but a level is taken away, the level is never lower, twice is the same as once, and
    the given body stays as it was."""
    given, ours = payload(*as_security(received)), labels(floor)
    before = deepcopy(given)
    try:
        made = label_up(given, origin, ours=ours)
    except LabelsRefusedError:
        return
    assert given == before
    carried = labels_of(made.payload)
    assert {label for label in received if label.code not in LEVELS} <= set(carried)
    ranks = [
        LEVELS.index(label.code)
        for label in (*received, *ours)
        if label.system == CONFIDENTIALITY and label.code in LEVELS
    ]
    assert len(levels_of(made.payload)) <= 1
    if ranks:
        assert LEVELS.index(levels_of(made.payload)[0]) >= max(ranks)
    assert set(ours) <= {*carried, *labels("C|R C|V")}
    again = label_up(made.payload, origin, ours=ours)
    assert again.payload == made.payload
    assert set(again.enforced) == set(made.enforced)
    assert set(made.enforced) == set(enforced_of(made.enforced))


def test_a_put_carries_the_whole_set_byte_for_byte() -> None:
    """One server drops the labels that a PUT leaves out: everything that was received goes back, as it was.

    Fails when only our own labels are sent.
    """
    theirs = {"system": "https://labels.example", "code": "own", "version": "2", "display": "x"}
    stored = payload(*as_security(labels("C|V A|SDV")), theirs)
    sent = for_put({**labelled("C|R R|COC"), "status": "accepted"}, stored)
    assert sent["meta"]["security"] == [*as_security(labels("C|V A|SDV")), theirs, *as_security(labels("R|COC"))]
    assert sent["status"] == "accepted"
    assert for_put({"resourceType": "Task"}, stored)["meta"]["security"] == stored["meta"]["security"]
    assert levels_of(for_put(labelled("C|V"), labelled("C|R"))) == ["V"]
    assert for_put(stored, stored) == stored

"""Who may raise, who may lower, how far, and the record of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from fhir_profiles.label_changes import (
    LOWERING_ROLE,
    RAISING_ROLES,
    LabelChange,
    LabelChangeError,
    LabelledItem,
    lower_labels,
    raise_labels,
    remove_sensitivity,
)
from fhir_profiles.label_versions import etag
from fhir_profiles.security_labels import SDV, Label, labels_for, labels_of, level_of
from fhir_profiles.terminology import ACT_CODE, ACT_REASON, CONFIDENTIALITY
from fhir_profiles.validation import validate
from smart_app.policy.access import Role

NOW = datetime(2026, 10, 1, 9, 5, tzinfo=UTC)
FULL = labels_for("disclosure-observation")
RESTRICTED = labels_for("disclosure-observation", confidentiality="R")
NOPAT, VIO, NORDSCLCD = (Label(ACT_CODE, code) for code in ("NOPAT", "VIO", "NORDSCLCD"))


def item(labels: tuple[Label, ...] = FULL) -> LabelledItem:
    return LabelledItem("Observation/o1", 3, labels)


def raised(labels: tuple[Label, ...] = RESTRICTED, **changes: Any) -> LabelChange:
    given: dict[str, Any] = {"role": "clinician", "agent_reference": "Practitioner/dr-lee", "recorded_at": NOW}
    return raise_labels(item(labels), **{**given, **changes})


def lowered(labels: tuple[Label, ...] = FULL, **changes: Any) -> LabelChange:
    given: dict[str, Any] = {
        "role": LOWERING_ROLE,
        "officer_reference": "Practitioner/officer",
        "second_reference": "Practitioner/dr-lee",
        "request_reference": "Communication/q1",
        "recorded_at": NOW,
        "to_restricted": True,
    }
    return lower_labels(item(labels), **{**given, **changes})


def removed(labels: tuple[Label, ...] = FULL, **changes: Any) -> LabelChange:
    given: dict[str, Any] = {
        "role": LOWERING_ROLE,
        "officer_reference": "Practitioner/officer",
        "second_reference": "Practitioner/dr-lee",
        "status": "entered-in-error",
        "recorded_at": NOW,
    }
    return remove_sensitivity(item(labels), **{**given, **changes})


@pytest.mark.parametrize("make", [lambda: raised(level="V"), lowered, removed], ids=["raised", "lowered", "removed"])
def test_each_change_is_a_new_version_with_a_valid_record(make: Callable[[], LabelChange]) -> None:
    """Version 4 follows version 3, the record names both, and it is never weaker than either."""
    change = make()
    assert change.item.version == 4
    assert validate(change.provenance, "label-provenance") == []
    assert change.provenance["target"] == [{"reference": "Observation/o1/_history/4"}]
    assert change.provenance["entity"][0] == {
        "role": "revision",
        "what": {"reference": "Observation/o1/_history/3"},
    }
    assert labels_of(change.provenance)[:2] == (Label(CONFIDENTIALITY, "V"), SDV)
    assert etag(change.item.version, change.item.labels) != etag(3, FULL)


@pytest.mark.parametrize("role", [role.value for role in Role])
def test_any_treating_role_raises_and_nobody_else(role: str) -> None:
    """Author, care team and clinicians raise at once, as does the labeler that takes things in.

    Fails when the role is not looked at.
    """
    assert set(RAISING_ROLES) <= {one.value for one in Role}
    if role in RAISING_ROLES:
        change = raised(role=role, level="V")
        assert level_of(change.item.labels) == "V"
        assert set(change.item.labels) == set(FULL)
        assert change.provenance["activity"]["coding"][1]["code"] == "UPGRDLABEL"
        assert len(change.provenance["agent"]) == 1
    else:
        with pytest.raises(LabelChangeError, match="treating"):
            raised(role=role, level="V")


def test_a_refrain_or_a_sensitivity_can_be_added_and_violence_brings_SDV() -> None:
    """The survivor may ask that a portal does not show it; violence by a stranger stands only beside SDV."""
    assert NOPAT in raised(add=[NOPAT], cause_reference="Consent/c1").item.labels
    plain = (Label(CONFIDENTIALITY, "R"),)
    assert raised(plain, add=[VIO]).item.labels == (Label(CONFIDENTIALITY, "R"), SDV, VIO)


@pytest.mark.parametrize(
    ("labels", "changes", "match"),
    [
        (FULL, {"level": "R"}, "lower"),
        (FULL, {"level": "N"}, "lower"),
        (FULL, {"level": "X"}, "lower"),
        (FULL, {"level": "V"}, "changes no label"),
        (FULL, {}, "changes no label"),
        (FULL, {"add": [SDV]}, "changes no label"),
        (FULL, {"add": [Label(ACT_REASON, "COC")]}, "sensitivities and refrains"),
        (FULL, {"add": [Label(ACT_CODE, "DELAU")]}, "sensitivities and refrains"),
        ((), {"level": "V"}, "incident"),
        ((*FULL, Label("x", "y")), {"add": [NOPAT]}, "incident"),
    ],
)
def test_what_raises_nothing_is_refused(labels: tuple[Label, ...], changes: dict[str, Any], match: str) -> None:
    """A weaker level, a label that is there, a purpose, a record without plain labels: none is a raise."""
    with pytest.raises(LabelChangeError, match=match):
        raised(labels, **changes)


def test_V_is_lowered_to_R_and_a_refrain_dropped_by_two_on_request() -> None:
    """Privacy officer and a second person, on the survivor's recorded request; SDV stays."""
    change = lowered()
    assert set(change.item.labels) == set(RESTRICTED)
    assert change.provenance["activity"]["coding"][1]["code"] == "DOWNGRDLABEL"
    assert [agent["who"]["reference"] for agent in change.provenance["agent"]] == [
        "Practitioner/officer",
        "Practitioner/dr-lee",
    ]
    assert change.provenance["entity"][1] == {"role": "source", "what": {"reference": "Communication/q1"}}
    dropped = lowered(to_restricted=False, drop=[NORDSCLCD])
    assert set(FULL) - set(dropped.item.labels) == {NORDSCLCD}
    assert level_of(dropped.item.labels) == "V"


@pytest.mark.parametrize("role", [role.value for role in Role if role.value != LOWERING_ROLE])
def test_nobody_but_the_privacy_officer_lowers_or_removes(role: str) -> None:
    """Not the author, not the patient, not the program. Fails when the role is not looked at."""
    assert LOWERING_ROLE in {one.value for one in Role}
    with pytest.raises(LabelChangeError, match="privacy officer"):
        lowered(role=role)
    with pytest.raises(LabelChangeError, match="privacy officer"):
        removed(role=role)


@pytest.mark.parametrize(
    ("labels", "changes", "match"),
    [
        (FULL, {"second_reference": "Practitioner/officer"}, "second person"),
        (FULL, {"request_reference": None}, "recorded request"),
        (FULL, {"request_reference": ""}, "recorded request"),
        (RESTRICTED, {}, "only V is lowered"),
        (FULL, {"to_restricted": False}, "changes no label"),
        (FULL, {"to_restricted": False, "drop": [SDV]}, "only a refrain"),
        (FULL, {"drop": [Label(ACT_CODE, "PERSISTLABEL")]}, "only a refrain"),
        (FULL, {"drop": [Label(CONFIDENTIALITY, "V")]}, "only a refrain"),
        (FULL, {"drop": [Label(ACT_REASON, "TREAT")]}, "only a refrain"),
        ((), {}, "incident"),
    ],
)
def test_lowering_has_a_floor_and_its_conditions(
    labels: tuple[Label, ...], changes: dict[str, Any], match: str
) -> None:
    """One person twice, no request, anything below R, SDV, the duty to keep: each is refused. Each row fails when its
    check is taken out."""
    with pytest.raises(LabelChangeError, match=match):
        lowered(labels, **changes)


def test_SDV_goes_only_with_what_was_entered_in_error() -> None:
    """A record that was a mistake may lose SDV, and violence by a stranger with it; the level stays, and so does the
    record's protection."""
    change = removed((*FULL, VIO))
    assert not {SDV, VIO} & set(change.item.labels)
    assert level_of(change.item.labels) == "V"
    assert change.provenance["activity"]["coding"][1]["code"] == "DECLASSIFYLABEL"
    assert change.provenance["agent"][0]["role"][0]["coding"][0]["code"] == "DECLASSIFIER"
    for status in ("final", "corrected", "active", "inactive", "cancelled", ""):
        with pytest.raises(LabelChangeError, match="in error"):
            removed(status=status)
    with pytest.raises(LabelChangeError, match="second person"):
        removed(second_reference="Practitioner/officer")
    with pytest.raises(LabelChangeError, match="changes no label"):
        removed((Label(CONFIDENTIALITY, "R"),))


def test_nothing_with_SDV_can_be_brought_below_R() -> None:
    """However often it is lowered, what is sensitive stays restricted."""
    once = lowered().item
    with pytest.raises(LabelChangeError):
        lowered(once.labels)
    assert SDV in once.labels
    assert level_of(once.labels) == "R"

"""The record of a label change: one version, who, why, and two persons where something opens."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from fhir_profiles.label_provenance import CHANGES, TAKES_TWO, label_provenance
from fhir_profiles.security_labels import labels_for
from fhir_profiles.validation import validate

Payload = dict[str, Any]
PROFILE = "label-provenance"
NOW = datetime(2026, 10, 1, 9, 5, tzinfo=UTC)
TWO = ("Practitioner/officer", "Practitioner/dr-lee")


def provenance(change: str = "UPGRDLABEL", **changes: Any) -> Payload:
    given: dict[str, Any] = {
        "labels": labels_for(PROFILE),
        "target_version": "Observation/o1/_history/2",
        "previous_version": "Observation/o1/_history/1",
        "recorded_at": NOW,
        "change": change,
        "agent_references": TWO if change in TAKES_TWO else ("Device/labeler",),
        "cause_reference": "Consent/c1",
    }
    return label_provenance(**{**given, **changes})


def where(payload: Payload) -> list[str]:
    return [issue.expression for issue in validate(payload, PROFILE)]


@pytest.mark.parametrize("change", CHANGES)
def test_each_label_change_is_valid(change: str) -> None:
    """Raising, lowering, deriving and removing labels each leave a record of one version."""
    made = provenance(change)
    assert where(made) == []
    made["agent"][0]["role"][0]["coding"][0]["code"] = "DOWNGRDER" if change != "DOWNGRDLABEL" else "CLASSIFIER"
    assert where(made) == ["Provenance.agent[0].role"]


def test_what_is_labelled_for_the_first_time_has_no_version_before() -> None:
    """What came in without a label is recorded as raised, from nothing."""
    made = provenance(previous_version=None, cause_reference=None, target_version="Task/t1/_history/1")
    assert where(made) == []
    assert "entity" not in made


@pytest.mark.parametrize("change", sorted(TAKES_TWO))
def test_nobody_lowers_alone(change: str) -> None:
    """Privacy officer and a second person, two different ones, stand on the record."""
    for agents in (TWO[:1], (TWO[0], TWO[0]), ()):
        with pytest.raises(ValueError, match=r"two persons|not allowed here"):
            provenance(change, agent_references=agents)
    made = provenance(change)
    del made["agent"][1]
    assert where(made) == ["Provenance.agent"]
    with pytest.raises(ValueError, match="two persons"):
        provenance("UPGRDLABEL", agent_references=TWO)


def test_lowering_names_the_version_before_and_the_request() -> None:
    """A label is lowered on the survivor's recorded request, and from a version one can look at."""
    with pytest.raises(ValueError, match="recorded request"):
        provenance("DOWNGRDLABEL", cause_reference=None)
    for change in sorted(TAKES_TWO):
        with pytest.raises(ValueError, match="version before"):
            provenance(change, previous_version=None)
    assert where(provenance("DECLASSIFYLABEL", cause_reference=None)) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"target_version": "Task/t1"},
        {"target_version": "Organization/hc1/_history/2"},
        {"previous_version": "Observation/o1/_history/2"},
        {"previous_version": "Observation/o2/_history/1"},
        {"previous_version": "Observation/o1"},
        {"change": "GUESS"},
        {"agent_references": ("Jane Roe",)},
        {"recorded_at": datetime(2026, 10, 1, 9, 5)},
        {"labels": labels_for("referral-task")[:1]},
        {"labels": ()},
    ],
)
def test_a_change_without_a_version_or_of_another_item_is_not_built(wrong: dict[str, Any]) -> None:
    """Without its versions nobody could say which labels were changed; the error repeats nothing."""
    with pytest.raises(ValueError, match=r"version|expected here|change|zone|labels") as caught:
        provenance(**wrong)
    assert "Jane" not in str(caught.value)

"""The audit event and the record of a label change."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from fhir_profiles import r4
from fhir_profiles.access_audit_event import DENIED, INTERACTIONS, access_audit_event
from fhir_profiles.label_provenance import CHANGES, label_provenance
from fhir_profiles.security_labels import as_security, labels_for
from fhir_profiles.validation import validate

NOW = datetime(2026, 10, 1, 9, 5, tzinfo=UTC)


def event(**changes: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "labels": labels_for("access-audit-event"),
        "interaction": "read",
        "recorded_at": NOW,
        "requester_reference": "Practitioner/dr-lee",
        "purpose": "TREAT",
        "entities": [("Task/t1/_history/2", labels_for("referral-task")), ("Consent/c1", ())],
        "patient_reference": "Patient/p1",
    }
    return access_audit_event(**{**given, **changes})


@pytest.mark.parametrize("interaction", INTERACTIONS)
def test_each_interaction_is_valid_and_is_r4(interaction: str) -> None:
    """Each kind of access is written in a form other systems can read."""
    made = event(interaction=interaction)
    assert validate(made, "access-audit-event") == []
    assert r4.structure_problems(made) == []
    assert made["action"] == INTERACTIONS[interaction][0]


def test_the_event_names_every_item_with_its_labels_and_no_person_by_name() -> None:
    """One list read is one row: the patient, then every item, with the labels it had."""
    made = event()
    assert [item["what"]["reference"] for item in made["entity"]] == ["Patient/p1", "Task/t1/_history/2", "Consent/c1"]
    assert made["entity"][1]["securityLabel"] == as_security(labels_for("referral-task"))
    assert "display" not in repr(made)
    assert "name" not in made["entity"][1]


def test_the_general_profile_is_claimed_only_for_a_permitted_access_with_a_patient() -> None:
    """A denial or an access without a patient does not pretend to be what BALP describes."""
    assert len(event()["meta"]["profile"]) == 2
    assert len(event(outcome=DENIED)["meta"]["profile"]) == 1
    assert len(event(patient_reference=None)["meta"]["profile"]) == 1
    assert validate(event(outcome=DENIED, patient_reference=None), "access-audit-event") == []


@pytest.mark.parametrize("key", ["entity", "outcomeDesc", "action"])
def test_an_event_with_free_text_or_a_wrong_action_is_refused(key: str) -> None:
    """There is no place for a story in the audit."""
    broken = {**event(), key: "D" if key == "action" else "x"}
    assert validate(broken, "access-audit-event")
    query = event()
    query["entity"][0]["query"] = "cGF0aWVudA=="
    assert validate(query, "access-audit-event")


@pytest.mark.parametrize("change", CHANGES)
def test_each_label_change_is_valid(change: str) -> None:
    """Raising, lowering, deriving and removing labels each leave a record of one version."""
    made = label_provenance(
        labels=labels_for("label-provenance"),
        target_version="Observation/o1/_history/2",
        previous_version="Observation/o1/_history/1",
        recorded_at=NOW,
        change=change,
        consent_reference="Consent/c1",
    )
    assert validate(made, "label-provenance") == []
    made["agent"][0]["role"][0]["coding"][0]["code"] = (
        "CLASSIFIER" if change in {"DOWNGRDLABEL", "DECLASSIFYLABEL"} else "DOWNGRDER"
    )
    assert [issue.expression for issue in validate(made, "label-provenance")] == ["Provenance.agent[0].role"]


def test_a_label_change_is_about_one_version() -> None:
    """Without a version nobody could say which labels were changed."""
    made = label_provenance(
        labels=labels_for("label-provenance"), target_version="Task/t1", previous_version=None, recorded_at=NOW
    )
    assert [issue.expression for issue in validate(made, "label-provenance")] == ["Provenance.target[0].reference"]
    with pytest.raises(KeyError):
        label_provenance(
            labels=labels_for("label-provenance"),
            target_version="Task/t1/_history/2",
            previous_version=None,
            recorded_at=NOW,
            change="GUESS",
        )

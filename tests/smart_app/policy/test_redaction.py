"""What is left of an item in a redacted view (D2, D6, D6s)."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from fhir_profiles import r4
from fhir_profiles.disclosure_observation import disclosure_observation
from fhir_profiles.proposed_appointment import booked_appointment
from fhir_profiles.security_labels import REDACTED, labels_for, labels_of
from fhir_profiles.terminology import CONFIDENTIALITY
from fhir_profiles.validation import profile_of, validate
from smart_app.policy.redaction import redact, shows

Payload = dict[str, Any]
KINDS = ("Patient", "Consent", "ServiceRequest", "Task", "Appointment")
RULES = ("D2", "D6", "D6s")


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("kind", KINDS)
def test_each_view_is_r4_marked_and_can_never_be_written_back(parts: dict[str, Payload], rule: str, kind: str) -> None:
    """A view says that something was taken out, stays readable for other systems, and is refused as a body."""
    view = redact(parts[kind], rule)
    assert r4.structure_problems(view) == []
    assert REDACTED in labels_of(view)
    assert view["id"] == parts[kind]["id"]
    profile = profile_of(kind)
    assert profile is not None
    assert validate(view, profile)
    whole = parts[kind]
    whole["meta"]["security"].append({"system": REDACTED.system, "code": REDACTED.code})
    assert [issue.expression for issue in validate(whole, profile)] == [f"{kind}.meta.security"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_privacy_officer_sees_metadata_only(parts: dict[str, Payload], kind: str) -> None:
    """The officer sees that an item exists and how it is labelled, and nothing of what it says."""
    parts[kind]["meta"].update(versionId="3", lastUpdated="2026-10-01T09:00:00Z")
    view = redact(parts[kind], "D2")
    told = {key: value for key, value in view.items() if "data-absent-reason" not in repr(value)}
    assert set(told) == {"resourceType", "id", "meta"}
    assert set(view["meta"]) == {"versionId", "lastUpdated", "security"}
    assert set(labels_of(parts[kind])) < set(labels_of(view))


@pytest.mark.rule("R36")
def test_rule_R36_the_front_desk_sees_start_and_end_of_a_visit(parts: dict[str, Payload]) -> None:
    """The front desk sees when somebody comes, and no status, partner, reason or telling label.

    Fails when an element is added to D6 in ``_KEPT``, or ``_meta`` keeps the item's labels.
    """
    asked = parts["Appointment"]
    booked = booked_appointment(asked, datetime(2026, 10, 2, 13, tzinfo=UTC), datetime(2026, 10, 2, 14, tzinfo=UTC))
    view = redact(booked, "D6")
    told = {key: value for key, value in view.items() if "data-absent-reason" not in repr(value)}
    assert told == {
        "resourceType": "Appointment",
        "id": "a1",
        "meta": {
            "security": [
                {"system": CONFIDENTIALITY, "code": "R"},
                {"system": REDACTED.system, "code": REDACTED.code},
            ]
        },
        "start": "2026-10-02T13:00:00Z",
        "end": "2026-10-02T14:00:00Z",
    }
    assert "SDV" not in repr(view)
    assert "Patient/" not in repr(view)


@pytest.mark.rule("R36")
def test_rule_R36_the_scheduler_sees_alias_contact_needs_deadline_and_visit(parts: dict[str, Payload]) -> None:
    """The scheduler can call and book, and sees no partner, no link to the referral and no telling label.

    Fails when "requester", "owner" or "basedOn" is added to D6s in ``_KEPT``, or ``_meta`` keeps SDV.
    """
    for kind in KINDS:
        parts[kind]["meta"]["security"].append({"system": CONFIDENTIALITY, "code": "SDV"})  # as it was spelled before
    views = {kind: redact(parts[kind], "D6s") for kind in KINDS}
    everything = repr(views)
    assert "SDV" not in everything
    assert "harbor" not in everything
    assert "hc1" not in everything
    assert "basedOn" not in everything
    assert views["Patient"]["name"] == [{"use": "anonymous", "given": ["Robin"]}]
    assert set(views["Patient"]) == {"resourceType", "id", "meta", "name"}
    assert "555-0142" in repr(views["ServiceRequest"]["extension"])
    assert "housing" in repr(views["ServiceRequest"]["orderDetail"])
    assert views["Task"]["restriction"] == {"period": {"end": "2026-10-02T22:00:00Z"}}
    assert views["Appointment"]["requestedPeriod"] == parts["Appointment"]["requestedPeriod"]
    assert set(views["Consent"]) == {"resourceType", "id", "meta", "_status", "scope", "category"}


def test_a_legal_name_beside_the_alias_is_not_shown(parts: dict[str, Payload]) -> None:
    """Only the name to use is shown, whatever else the record might hold."""
    parts["Patient"]["name"].insert(0, {"use": "official", "given": ["Hidden"], "family": "Hidden"})
    assert "Hidden" not in repr(redact(parts["Patient"], "D6s"))


def test_what_a_rule_does_not_show_is_denied_as_if_absent() -> None:
    """Nobody gets an empty shell of an item: the door asks this first."""
    shown = {rule: {kind for kind in (*KINDS, "Observation") if shows(rule, kind)} for rule in RULES}
    assert shown["D2"] == {*KINDS, "Observation"}
    assert shown["D6"] == {"Appointment"}
    assert shown["D6s"] == {"Patient", "ServiceRequest", "Task", "Appointment"}
    assert not shows("D7", "Task")


def test_an_unknown_rule_and_a_type_that_is_not_listed_show_nothing() -> None:
    """A mistake in a rule's name opens nothing."""
    disclosure = disclosure_observation(
        labels=labels_for("disclosure-observation"),
        patient_reference="Patient/p1",
        performer_reference="Practitioner/dr-lee",
        recorded_at=date(2026, 10, 1),
    )
    for rule in ("D6", "D6s", "D99", ""):
        view = redact(disclosure, rule)
        assert "violence" not in repr(view)
        assert "dr-lee" not in repr(view)
        assert "SDV" not in repr(view)
        assert r4.structure_problems(view) == []


def test_redacting_changes_nothing_in_the_item(parts: dict[str, Payload]) -> None:
    """The stored item stays whole."""
    before = repr(parts)
    for kind in KINDS:
        for rule in RULES:
            redact(parts[kind], rule)
    assert repr(parts) == before

"""The disclosure: one coded fact in the patient's own record, the same label for every kind."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from fhir_profiles.disclosure_observation import KINDS, disclosure_observation, kind_of
from fhir_profiles.security_labels import as_security, labels_for
from fhir_profiles.validation import validate

Payload = dict[str, Any]
PROFILE = "disclosure-observation"


def disclosure(**changes: Any) -> Payload:
    given: dict[str, Any] = {
        "labels": labels_for(PROFILE),
        "patient_reference": "Patient/p-dana",
        "performer_reference": "Practitioner/dr-lee",
        "recorded_at": date(2026, 10, 1),
    }
    return disclosure_observation(**{**given, **changes})


def where(payload: Payload) -> list[str]:
    return [issue.expression for issue in validate(payload, PROFILE)]


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_valid_and_carries_the_same_label(kind: str) -> None:
    """The label of a record never tells which kind of violence it is about."""
    made = disclosure(kind=kind)
    assert validate(made, PROFILE) == []
    assert kind_of(made) == kind
    assert made["meta"]["security"] == as_security(labels_for(PROFILE))


def test_without_a_choice_no_kind_is_recorded() -> None:
    """Nobody has to say which kind; the default says only that something was told."""
    assert KINDS[0] == "violence-disclosed"
    assert disclosure()["code"]["coding"][0]["code"] == "violence-disclosed"
    with pytest.raises(ValueError, match="kind"):
        disclosure(kind="guess")


def test_only_partner_violence_gets_the_partner_violence_codes() -> None:
    """Stalking, trafficking or an attack by a stranger is never filed as partner violence."""
    for kind in KINDS:
        codes = repr(disclosure(kind=kind))
        is_partner = kind == "intimate-partner-abuse"
        assert ("intimate-partner-violence" in codes) is is_partner
        assert ("706893006" in codes) is is_partner


def test_the_time_is_kept_with_its_zone_or_as_a_day() -> None:
    """A day stays a day; a moment is written in UTC; a moment without a zone is refused."""
    assert disclosure()["effectiveDateTime"] == "2026-10-01"
    at = datetime(2026, 10, 1, 9, 30, 5, 123, tzinfo=UTC)
    assert disclosure(recorded_at=at)["effectiveDateTime"] == "2026-10-01T09:30:05Z"
    with pytest.raises(ValueError, match="zone"):
        disclosure(recorded_at=datetime(2026, 10, 1, 9, 30))


@pytest.mark.rule("R8")
@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("component", [{"code": {"text": "x"}}]),
        ("focus", [{"reference": "RelatedPerson/1"}]),
        ("note", [{"text": "x"}]),
        ("bodySite", {"text": "x"}),
        ("encounter", {"reference": "Encounter/1"}),
        ("text", {"status": "generated", "div": "x"}),
        ("contained", [{"resourceType": "Patient"}]),
        ("valueString", "x"),
        ("interpretation", []),
    ],
)
def test_rule_R08_no_narrative_and_no_perpetrator_can_be_recorded(key: str, value: Any) -> None:
    """There is no place in the record for a story, a body site or a perpetrator.

    Fails when one of these keys is added to the shape.
    """
    assert where({**disclosure(), key: value}) == ["Observation"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("valueBoolean", False),
        ("valueBoolean", "true"),
        ("status", "preliminary"),
        ("performer", []),
        ("performer", [{"reference": "RelatedPerson/1"}]),
        ("subject", {"reference": "Group/1"}),
        ("category", []),
        ("code", {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "T74.11XA"}]}),
        ("code", {"text": "x"}),
    ],
)
def test_a_record_that_says_something_else_is_refused(key: str, value: Any) -> None:
    """A diagnosis, a doubtful value or somebody else's record does not pass."""
    assert where({**disclosure(), key: value})


def test_the_category_follows_the_kind() -> None:
    """A category that tells another kind than the code is refused."""
    made = disclosure(kind="stalking")
    made["category"] = disclosure(kind="intimate-partner-abuse")["category"]
    assert where(made) == ["Observation.category"]


def test_an_identifier_is_opaque_and_ours() -> None:
    """An identifier is in our own system."""
    made = disclosure(identifier="o-1")
    assert made["identifier"][0]["system"].startswith("https://warm-referral.example/fhir/id/")
    assert validate(made, PROFILE) == []

"""What the EHR says beside the token: patient, banner, tenant, and other items in focus."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from launch.context import ContextReference, LaunchContext, parse, parse_fhir_user

BASE = "https://ehr.example/fhir"


@pytest.mark.parametrize(
    ("members", "needs"),
    [
        ({}, True),
        ({"need_patient_banner": True}, True),
        ({"need_patient_banner": False}, False),
        ({"need_patient_banner": "false"}, True),
        ({"need_patient_banner": 0}, True),
        ({"need_patient_banner": None}, True),
    ],
)
def test_banner_is_shown_unless_the_ehr_clearly_says_no(members: dict[str, Any], needs: bool) -> None:
    """In doubt the name and birth date are shown: the wrong patient is the worse risk."""
    assert parse(members, BASE).needs_patient_banner is needs


def test_encounter_counts_with_its_patient_only() -> None:
    """A visit without a patient belongs to nobody."""
    assert parse({"encounter": "e1"}, BASE).encounter_id is None
    assert parse({"patient": "p1", "encounter": "e1"}, BASE).encounter_id == "e1"


@pytest.mark.requirement("smart@193")
@pytest.mark.parametrize(
    ("value", "kept"), [("order-review", "order-review"), (7, None), ("", None), ("x" * 129, None), ("a\nb", None)]
)
def test_intent_and_tenant_are_short_texts_or_nothing(value: Any, kept: str | None) -> None:
    """An intent or tenant that is no short text is as if it were not there."""
    found = parse({"intent": value, "tenant": value}, BASE)
    assert (found.intent, found.tenant) == (kept, kept)


@pytest.mark.requirement("smart@191")
def test_fhir_context_in_new_and_old_form() -> None:
    """Objects of the current standard and bare strings of the one before are both read; what is unsound is left out."""
    items = [
        "Appointment/a1",
        {"reference": "ServiceRequest/s1"},
        {"reference": BASE + "/ImagingStudy/i1", "role": "https://roles.example/x"},
        {"canonical": "https://forms.example/q|1", "type": "Questionnaire"},
        {"identifier": {"system": "x", "value": "canary"}, "type": "Task"},
        {"reference": "Patient/p2", "role": "https://roles.example/sibling"},
        {"reference": "Patient/p2"},
        {"reference": "Encounter/e2", "role": "launch"},
        {"identifier": {"value": "x"}, "type": "Patient"},
        {"reference": "https://evil.example/fhir/Task/1"},
        {"reference": "Task/1", "role": ""},
        {"reference": "Task/1", "role": 7},
        "garbage",
        "Patient/p2",
        {},
        7,
        None,
    ]
    assert parse({"fhirContext": items}, BASE).fhir_context == (
        ContextReference("Appointment/a1"),
        ContextReference("ServiceRequest/s1"),
        ContextReference("ImagingStudy/i1", role="https://roles.example/x"),
        ContextReference(canonical="https://forms.example/q|1", type="Questionnaire"),
        ContextReference(type="Task"),
        ContextReference("Patient/p2", role="https://roles.example/sibling"),
    )


@pytest.mark.parametrize("value", [None, {}, "Task/1", 7, ["x"] * 1000])
def test_odd_fhir_context_is_harmless(value: Any) -> None:
    """Something else than a list of items is no item."""
    assert parse({"fhirContext": value}, BASE).fhir_context == ()


@pytest.mark.parametrize("value", ["p1/..", "", 7, [], {"id": "p1"}, "x" * 65, "p 1", "Patient/p1"])
def test_patient_that_is_no_id_is_refused(value: Any) -> None:
    """Nobody guesses which chart was meant."""
    with pytest.raises(ValueError, match="patient"):
        parse({"patient": value}, BASE)


@pytest.mark.rule("R23")
def test_rule_R23_staff_types() -> None:
    """A clinician is taken under either of two types; a patient or relative under none.

    Breaks when ``STAFF_TYPES`` holds "Patient".
    """
    assert parse_fhir_user(BASE + "/PractitionerRole/1", BASE) == "PractitionerRole/1"
    for reference in ("Patient/1", "RelatedPerson/1", BASE + "/RelatedPerson/1"):
        with pytest.raises(ValueError, match="not staff"):
            parse_fhir_user(reference, BASE)


def test_context_survives_storage() -> None:
    """What is kept of a launch comes back the same."""
    now = datetime(2030, 1, 7, 10, tzinfo=UTC)
    context = LaunchContext(
        "l1", "a", BASE, "Practitioner/1", "p1", None, frozenset({"x", "y"}), True, now, now,
        fhir_context=(ContextReference("Task/1"),),
    )  # fmt: skip
    assert LaunchContext.from_json(context.to_json()) == context

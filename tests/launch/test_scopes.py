"""Scopes: the least we ask for, and reading a grant in either spelling without ever reading too much into it."""

from __future__ import annotations

import pytest

from launch.scopes import covers, parse, requested

READ_ONLY = "launch openid fhirUser online_access patient/Patient.rs patient/Encounter.rs user/Practitioner.rs"


@pytest.mark.requirement("smart@195")
@pytest.mark.requirement("smart@196")
@pytest.mark.requirement("smart@215")
@pytest.mark.requirement("smart@46")
@pytest.mark.requirement("smart@47")
@pytest.mark.requirement("smart@131")
def test_scope_to_ask() -> None:
    """Reading the chart's head is asked always, writing only for the types that are switched on."""
    assert requested([]) == READ_ONLY
    assert requested(["ServiceRequest", "Observation", "Appointment"]) == (
        READ_ONLY + " user/Appointment.cruds patient/Observation.cruds patient/ServiceRequest.cruds"
    )
    assert "offline_access" not in requested([])


@pytest.mark.requirement("smart@121")
@pytest.mark.requirement("smart@122")
@pytest.mark.requirement("smart@124")
@pytest.mark.requirement("smart@125")
@pytest.mark.requirement("smart@135")
@pytest.mark.requirement("smart@120")
@pytest.mark.parametrize(
    ("scope", "level", "kind", "interactions"),
    [
        ("patient/Patient.rs", "patient", "Patient", "rs"),
        ("user/Appointment.cruds", "user", "Appointment", "cruds"),
        ("patient/*.cruds", "patient", "*", "cruds"),
        ("patient/Observation.read", "patient", "Observation", "rs"),
        ("patient/Observation.write", "patient", "Observation", "cud"),
        ("user/*.*", "user", "*", "cruds"),
    ],
)
def test_both_spellings_are_read(scope: str, level: str, kind: str, interactions: str) -> None:
    """The newer and the older way to write a scope mean the same."""
    found = parse(scope)
    assert found is not None
    assert (found.level, found.resource_type, found.interactions) == (level, kind, frozenset(interactions))


@pytest.mark.parametrize(
    "scope",
    [
        "openid",
        "launch/patient",
        "patient/Patient",
        "patient/Patient.",
        "patient/Patient.sr",
        "patient/Patient.rr",
        "patient/Patient.x",
        "patient/patient.r",
        "practitioner/Patient.r",
        "patient/Patient.readwrite",
        "",
        "patient/.r",
        "patient/Patient.r?",
    ],
)
def test_what_is_no_resource_scope_grants_nothing(scope: str) -> None:
    """A word we do not know is not guessed at; letters in the wrong order are not a scope."""
    assert parse(scope) is None
    assert not covers([scope], "Patient", "r")


@pytest.mark.requirement("smart@147")
def test_narrowed_scope_counts_for_nothing() -> None:
    """A permission for some items only is not taken for a permission."""
    assert not covers(["patient/Observation.c?category=vital-signs"], "Observation", "c")


def test_system_scope_is_no_launch_scope() -> None:
    """A permission for machines says nothing about this person."""
    assert not covers(["system/Patient.r"], "Patient", "r")


def test_covers_looks_at_type_and_interaction() -> None:
    """Reading is not writing, and one type is not another."""
    granted = ["patient/Patient.rs", "user/Appointment.c"]
    assert covers(granted, "Patient", "r")
    assert not covers(granted, "Patient", "c")
    assert not covers(granted, "Observation", "r")
    assert covers(granted, "Appointment", "c")

"""What the partner API says it can do."""

from __future__ import annotations

from datetime import date

from fhir_profiles import r4
from fhir_profiles.capability_statement import INTERACTIONS, capability_statement


def test_the_capability_statement_lists_exactly_what_is_offered() -> None:
    """A partner can read on one page what it may do: list its own Tasks, and search no people, visits, slots (R18)."""
    made = capability_statement(
        public_base_url="https://clinic.example/",
        software_name="Care Connections",
        software_version="0.1.0",
        published_on=date(2026, 10, 1),
    )
    assert r4.structure_problems(made) == []
    assert made["fhirVersion"] == "4.0.1"
    assert made["implementation"]["url"] == "https://clinic.example/fhir"
    offered = made["rest"][0]["resource"]
    listed = {item["type"]: tuple(one["code"] for one in item.get("interaction", ())) for item in offered}
    assert listed == INTERACTIONS
    assert not {"Patient", "Slot"} & set(listed)
    assert {item["type"]: [one["name"] for one in item["operation"]] for item in offered if "operation" in item} == {
        "Bundle": ["validate"],
        "Task": ["status"],
    }
    assert [item["type"] for item in offered if "searchParam" in item] == ["Task"]

"""Slices, fixed values and patterns: which item is which, and how many of each."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from fhir_profiles.shapes import Report
from fhir_profiles.validation import compiler, snapshots
from fhir_profiles.validation.slices import holds_fixed, holds_pattern

LOINC = "http://loinc.org"


def profile(*elements: dict[str, Any]) -> compiler.Definitions:
    """A profile of Observation whose snapshot is R4's with these elements added or changed."""
    package = snapshots.Package(snapshots.core_sources())
    base = deepcopy(package.structure("Observation"))
    assert base is not None
    found = base["snapshot"]["element"]
    for element in elements:
        same = [position for position, one in enumerate(found) if one["id"] == element["id"]]
        if same:
            found[same[0]] = {**found[same[0]], **element}
        else:
            above = element["id"].rpartition(":")[0] if ":" in element["id"].rpartition(".")[2] else element["id"]
            model = next((one for one in found if one["id"] == above), {"min": 0, "max": "1"})
            merged = {**{k: v for k, v in model.items() if k not in ("slicing", "min")}, "min": 0, **element}
            found.append(merged)
    base.update({"url": "urn:profile", "derivation": "constraint"})
    package.by_url["urn:profile"] = base
    return compiler.Definitions(snapshots.compact(package, ["urn:profile", "Observation"]))


def told(definitions: compiler.Definitions, payload: dict[str, Any]) -> list[tuple[str, str]]:
    report = Report()
    definitions.check({"resourceType": "Observation", **payload}, "urn:profile", report, "Observation")
    return [(issue.code, issue.expression) for issue in report.issues]


def slicing(kind: str, path: str, rules: str = "open") -> dict[str, Any]:
    return {"discriminator": [{"type": kind, "path": path}], "rules": rules}


OK: dict[str, Any] = {"status": "final", "code": {"text": "x"}}


def coded(code: str) -> dict[str, Any]:
    return {"coding": [{"system": LOINC, "code": code}]}


@pytest.mark.parametrize("key", ["patternCodeableConcept", "fixedCodeableConcept"])
def test_items_are_told_apart_by_value(key: str) -> None:
    """One item of the named kind is needed, a second is too many, and in a closed list nothing else may stand."""
    made = profile(
        {
            "id": "Observation.category",
            "path": "Observation.category",
            "slicing": slicing("pattern", "$this", "closed"),
        },
        {"id": "Observation.category:one", "path": "Observation.category", "min": 1, "max": "1", key: coded("1")},
    )
    assert told(made, {**OK, "category": [coded("1")]}) == []
    assert told(made, {**OK, "category": [coded("1"), coded("1")]}) == [("structure", "Observation.category")]
    assert told(made, {**OK, "category": [coded("2")]}) == [
        ("structure", "Observation.category[0]"),
        ("required", "Observation.category"),
    ]


def test_items_are_told_apart_by_what_is_there() -> None:
    """By exists: the items with a value of their own are one kind."""
    made = profile(
        {
            "id": "Observation.component",
            "path": "Observation.component",
            "slicing": slicing("exists", "dataAbsentReason"),
        },
        {"id": "Observation.component:absent", "path": "Observation.component", "min": 0, "max": "1"},
        {
            "id": "Observation.component:absent.dataAbsentReason",
            "path": "Observation.component.dataAbsentReason",
            "min": 1,
            "max": "1",
            "type": [{"code": "CodeableConcept"}],
        },
        {
            "id": "Observation.component:absent.code",
            "path": "Observation.component.code",
            "min": 1,
            "max": "1",
            "type": [{"code": "CodeableConcept"}],
        },
    )
    absent = {"code": {"text": "x"}, "dataAbsentReason": {"text": "y"}}
    there = {"code": {"text": "x"}, "valueInteger": 1}
    assert told(made, {**OK, "component": [absent, there, there]}) == []
    assert told(made, {**OK, "component": [absent, absent]}) == [("structure", "Observation.component")]


def test_a_reference_is_told_apart_by_its_type_of_resource() -> None:
    """By type, in a Bundle: the entry of a kind is found by what its resource is."""
    definitions = compiler.definitions()
    node = definitions.types["https://warm-referral.example/fhir/StructureDefinition/referral-bundle"]["tree"]
    assert node["k"]["entry"]["s"]["by"] == [["type", "resource"]]


def test_fixed_is_equal_and_pattern_is_at_least() -> None:
    """A fixed value allows nothing more; a pattern allows more; neither takes 1 for true."""
    one = {"coding": [{"system": "s", "code": "c"}]}
    more = {"coding": [{"system": "s", "code": "c", "version": "1"}, {"code": "d"}], "text": "x"}
    assert holds_fixed(one, one)
    assert not holds_fixed(more, one)
    assert holds_pattern(more, one)
    assert not holds_pattern(one, more)
    assert not holds_fixed(1, True)
    assert not holds_pattern(1, True)
    assert not holds_pattern("x", one)
    assert not holds_fixed([one], [one, one])

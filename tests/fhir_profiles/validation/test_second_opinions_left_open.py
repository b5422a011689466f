"""For types and profiles outside the guide: whatever could not be checked is said, and nothing of a sender with it."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_profiles.validation import compiler, examine, fhirpath, snapshots
from fhir_profiles.validation.tree import nodes

Payload = dict[str, Any]
CANARY = "CANARY-12-Hidden-Lane"
SNOMED, RXNORM = "http://snomed.info/sct", "http://www.nlm.nih.gov/research/umls/rxnorm"


def notes(payload: Payload, name: str | None = None) -> dict[str, str]:
    """Place -> what is said to be open there."""
    issues = examine.examine(payload, name)
    assert [issue for issue in issues if issue.severity == "error"] == []
    assert CANARY not in repr(issues)
    return {issue.expression: issue.text for issue in issues}


def coded(system: str) -> Payload:
    return {"coding": [{"system": system, "code": CANARY}]}


def test_open_codes_of_types_that_our_profiles_never_use_are_said() -> None:
    """A drug, a diagnosis, a price and a picture of types outside the guide: each open list is said at its place."""
    drug = {
        "resourceType": "MedicationRequest",
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": coded(RXNORM),
        "subject": {"reference": "Patient/1"},
    }
    assert "RxNorm" in notes(drug)["MedicationRequest.medication.coding[0].code"]
    illness = {"resourceType": "Condition", "bodySite": [coded(SNOMED)], "subject": {"reference": "Patient/1"}}
    assert "SNOMED CT" in notes(illness)["Condition.bodySite[0].coding[0].code"]
    bill = {"resourceType": "Invoice", "status": "draft", "totalNet": {"value": 1, "currency": "XXQ"}}
    assert "Currencies" in notes(bill)["Invoice.totalNet.currency"]
    picture = {"resourceType": "Binary", "contentType": "image/x-canary"}
    assert "Media types" in notes(picture)["Binary.contentType"]


def test_an_invariant_that_nothing_here_can_read_is_said() -> None:
    """R4 has one that asks what lies behind a reference; whoever sends a care team hears that it was not checked."""
    team = {"resourceType": "CareTeam", "participant": [{"member": {"reference": "Practitioner/1"}}]}
    assert any("ctm-1" in text for text in notes(team).values())


def test_without_the_engine_every_invariant_without_a_python_form_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the running app fhirpathpy is not installed: then each rule that stays open is named."""
    examine._from_core.cache_clear()
    monkeypatch.setattr(fhirpath, "is_here", lambda: False)
    try:
        said = [issue.text for issue in examine.examine({"resourceType": "Questionnaire", "status": "draft"})]
    finally:
        examine._from_core.cache_clear()
    assert any("que-1 " in text for text in said)
    assert any("que-2 " in text for text in said)


def test_without_the_core_package_a_foreign_type_is_not_called_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    """The installed app has the definitions of its own types only; of any other it says so, as an error."""
    monkeypatch.setattr(snapshots, "core_sources", list)
    (issue,) = examine.examine({"resourceType": "Questionnaire", "status": "draft"})
    assert (issue.severity, issue.code, issue.text) == ("error", "not-supported", examine.NOT_HERE)


def test_each_required_list_that_could_not_be_expanded_is_spoken_of() -> None:
    """Of all of R4: every element whose required codes are not at hand is one that the look at a desk mentions."""
    core = snapshots.compact(snapshots.Package(snapshots.core_sources()), compiler.definitions().resources)
    unknown = {url for url, codes in core["value_sets"].items() if codes is None}
    by_system = {"http://hl7.org/fhir/ValueSet/ucum-units", "http://loinc.org/vs/LL379-9"}
    spoken_of = examine._OPEN_KEYS.keys()
    silent = {
        f"{name}.{node['n']}"
        for name, definition in core["types"].items()
        for node in nodes(definition.get("tree", {}))
        if node.get("b") in unknown - by_system and node["n"] not in spoken_of
    }
    assert silent == set()
    assert unknown > by_system
    made = compiler.Definitions(core)
    made.read_more(fhirpath.can_read, fhirpath.invariant)
    assert made.unchecked() == {"ctm-1"}


def test_a_hostile_resource_of_a_foreign_type_is_an_issue_and_no_exception() -> None:
    """fhirpathpy raises on JSON of a wrong kind; the sender hears what is wrong, and no word of theirs comes back."""
    for value in (None, 7, CANARY, [], {}, [CANARY], [{"linkId": {"a": 1}, "type": 7, "enableWhen": [7], "item": {}}]):
        for kind in ("Questionnaire", "StructureDefinition"):
            payload = {"resourceType": kind, "status": value, "item": value, "name": value, "url": value}
            issues = examine.examine(payload)
            assert any(issue.severity == "error" for issue in issues)
            assert CANARY not in repr(issues)

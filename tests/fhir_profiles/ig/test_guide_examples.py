"""Every example is valid or invalid as it says, for our gate and for R4's structure."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class

from fhir_profiles import disclosure_observation, validation
from fhir_profiles.terminology import DISCLOSURE_KIND
from fhir_profiles.validation.examine import examine

Payload = dict[str, Any]
IG = Path(__file__).resolve().parents[3] / "fhir_profiles" / "ig"
EXAMPLES = sorted((IG / "input" / "examples").glob("*.json"))
INDEX: list[dict[str, str]] = json.loads((IG / "invalid" / "index.json").read_text())
# Claimed nowhere: our own address in an EHR's schedule would tell.
UNCLAIMED = "appointment-ehr-copy"


def profile_of(payload: Payload) -> str:
    """The profile an example is for."""
    claims = payload["meta"].get("profile")
    return claims[0].rsplit("/", 1)[1] if claims else UNCLAIMED


def errors(payload: Payload, profile: str) -> list[str]:
    """Where our validator finds an error: at a door's gate, or where no door takes it, by the profile alone."""
    look = validation.validate if profile in validation.PROFILES else examine
    return [issue.expression for issue in look(payload, profile) if issue.severity == "error"]


def read(path: Path) -> Payload:
    made: Payload = validation.parse(path.read_bytes())
    return made


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_a_valid_example_is_accepted(path: Path) -> None:
    """What a partner copies from the guide is accepted at the door."""
    payload = read(path)
    get_fhir_model_class(payload["resourceType"]).model_validate(json.loads(path.read_text()))
    assert errors(payload, profile_of(payload)) == []


@pytest.mark.parametrize("entry", INDEX, ids=lambda entry: entry["file"])
def test_an_invalid_example_is_refused_where_it_is_wrong(entry: dict[str, str]) -> None:
    """A partner's mistake is answered with the place that the guide names."""
    payload = read(IG / "invalid" / entry["file"])
    assert entry["expression"] in errors(payload, entry["profile"])


def test_every_profile_has_its_examples(resources: dict[str, Payload]) -> None:
    """One valid and three invalid at least for each profile and each extension, so that a reader sees what is meant. An
    extension is valid in the examples of the profiles that carry it. Breaks when a profile comes without examples."""
    texts = [path.read_text() for path in EXAMPLES]
    valid = Counter(profile_of(json.loads(text)) for text in texts)
    invalid = Counter(entry["file"].split("/")[0] for entry in INDEX)
    profiles = {r["id"]: r for key, r in resources.items() if key.startswith("StructureDefinition/")}
    for name, profile in profiles.items():
        is_extension = profile["type"] == "Extension"
        shown = sum(f'"url": "{profile["url"]}"' in text for text in texts) if is_extension else valid[name]
        assert shown >= 1, name
        assert invalid[name] >= 3, name
    assert invalid.keys() <= profiles.keys()
    on_disk = {path.relative_to(IG / "invalid").as_posix() for path in (IG / "invalid").glob("*/*.json")}
    assert {entry["file"] for entry in INDEX} == on_disk


def test_each_kind_of_disclosure_has_an_example() -> None:
    """Six kinds, six examples, one label set: the labels do not tell which."""
    made = [json.loads(path.read_text()) for path in EXAMPLES if path.name.startswith("Observation-")]
    assert {disclosure_observation.kind_of(payload) for payload in made} == set(disclosure_observation.KINDS)
    assert len({json.dumps(payload["meta"]["security"]) for payload in made}) == 1
    assert sum(payload["code"]["coding"][0]["system"] == DISCLOSURE_KIND for payload in made) == len(made) - 1


def test_referrals_are_shown_in_both_directions_and_both_forms() -> None:
    """A program's engineer finds the form of address that their system writes."""
    forms = set()
    for path in EXAMPLES:
        if path.name.startswith("Bundle-"):
            payload = json.loads(path.read_text())
            urls = {entry["fullUrl"].startswith("urn:uuid:") for entry in payload["entry"]}
            asker = next(
                e["resource"]["requester"]["reference"] for e in payload["entry"] if e["request"]["url"] == "Task"
            )
            forms.add((asker == "Organization/hc1", *urls))
    assert forms == {(True, True), (True, False), (False, True), (False, False)}


def test_every_resource_of_the_guide_is_r4(resources: dict[str, Payload]) -> None:
    """The guide itself can be read by whoever reads R4."""
    assert resources
    for resource in resources.values():
        get_fhir_model_class(resource["resourceType"]).model_validate(resource)

"""Every invariant in the snapshots of our profiles is broken, and told where it is broken."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mistakes import GONE, Payload, Way, broken

from fhir_profiles.terminology import ACT_CODE, CONFIDENTIALITY, OBSERVATION_VALUE, profile
from fhir_profiles.validation import PROFILES, validate
from fhir_profiles.validation.examine import examine

GUIDE = Path(__file__).resolve().parents[3] / "fhir_profiles" / "ig"
NARROW = {"status": "generated", "div": "<div>x</div>"}
HELD = {"resourceType": "Organization", "id": "held", "name": "Harbor"}
TASK, REQUEST, RELEASE = "Task-task-booked", "ServiceRequest-request-safe-number", "Consent-release-b"
VISIT, PERSON, BUNDLE = "Appointment-visit-proposed", "Patient-robin", "Bundle-inbound-urn"
DISCLOSURE, PARTNER, ACCESS = "Observation-stalking", "Organization-harbor", "AuditEvent-access-read"
COUNTS = "MeasureReport-counts-of-september"
ADDRESS = "urn:uuid:00000000-0000-4000-8000-000000000001"
MEASURE_GROUP = ("group", 0, "stratifier")

# R4's own: key -> (valid example, [(way, new value or GONE)], where it is told). Where a profile has no room for the
# element at all, that is what is told, at its parent.
BREAKS: dict[str, tuple[str, list[tuple[Way, Any]], str]] = {
    "app-1": (VISIT, [(("participant", 0, "actor"), GONE)], "Appointment.participant[0]"),
    "app-2": (VISIT, [(("start",), "2026-10-02T13:00:00Z")], "Appointment"),
    "app-3": (VISIT, [(("status",), "booked")], "Appointment"),
    "app-4": (VISIT, [(("cancelationReason",), {"text": "x"})], "Appointment"),
    "bdl-1": (BUNDLE, [(("total",), 2)], "Bundle"),
    "bdl-2": (BUNDLE, [(("entry", 0, "search"), {"mode": "match"})], "Bundle.entry[0]"),
    "bdl-3": (BUNDLE, [(("entry", 0, "request"), GONE)], "Bundle.entry[0].request"),
    "bdl-4": (BUNDLE, [(("entry", 0, "response"), {"status": "200"})], "Bundle.entry[0]"),
    "bdl-5": (BUNDLE, [(("entry", 0, "request"), GONE), (("entry", 0, "resource"), GONE)], "Bundle.entry[0].resource"),
    "bdl-7": (BUNDLE, [(("entry", 1, "fullUrl"), ADDRESS)], "Bundle.entry"),
    "bdl-8": (BUNDLE, [(("entry", 0, "fullUrl"), "https://x.example/fhir/Patient/1/_history/2")],
              "Bundle.entry[0].fullUrl"),
    "bdl-9": (BUNDLE, [(("type",), "document"), (("identifier",), GONE)], "Bundle.identifier"),
    "bdl-10": (BUNDLE, [(("type",), "document")], "Bundle.type"),
    "bdl-11": (BUNDLE, [(("type",), "document")], "Bundle.type"),
    "bdl-12": (BUNDLE, [(("type",), "message")], "Bundle.type"),
    "dom-2": (TASK, [(("contained",), [{**HELD, "contained": [HELD]}])], "Task"),
    "dom-3": (TASK, [(("contained",), [HELD])], "Task"),
    "dom-4": (TASK, [(("contained",), [{**HELD, "meta": {"versionId": "1"}}])], "Task"),
    "dom-5": (TASK, [(("contained",), [{**HELD, "meta": {"security": []}}])], "Task"),
    "inv-1": (TASK, [(("lastModified",), "2026-01-01")], "Task"),
    "mrp-1": (COUNTS, [(("type",), "data-collection")], "MeasureReport.type"),
    "mrp-2": (COUNTS, [(MEASURE_GROUP, [{"stratum": [{}]}])], "MeasureReport.group[0]"),
    "obs-3": (DISCLOSURE, [(("referenceRange",), [{"type": {"text": "x"}}])], "Observation"),
    "obs-6": (DISCLOSURE, [(("dataAbsentReason",), {"text": "x"})], "Observation"),
    "obs-7": (DISCLOSURE, [(("component",), [{"code": {"text": "x"}}])], "Observation"),
    "org-1": (PARTNER, [(("identifier",), GONE), (("name",), GONE)], "Organization.name"),
    "org-2": (PARTNER, [(("address",), [{"use": "home"}])], "Organization"),
    "org-3": (PARTNER, [(("telecom", 0, "use"), "home")], "Organization.telecom[0]"),
    "pat-1": (PERSON, [(("contact",), [{"gender": "male"}])], "Patient"),
    "ppc-1": (RELEASE, [(("policy",), GONE)], "Consent.policy"),
    "prr-1": (REQUEST, [(("code",), GONE)], "ServiceRequest.code"),
    "sev-1": (ACCESS, [(("entity", 0, "name"), "x"), (("entity", 0, "query"), "eA==")], "AuditEvent.entity[0]"),
    # of the datatypes that our profiles use
    "cpt-2": (PARTNER, [(("telecom", 0, "system"), GONE)], "Organization.telecom[0].system"),
    "per-1": (RELEASE, [(("provision", "period", "start"), "2026-12-01")], "Consent.provision.period"),
    "ref-1": (TASK, [(("owner", "reference"), "#gone")], "Task.owner.reference"),
    "txt-1": (TASK, [(("text",), NARROW)], "Task"),
    "txt-2": (TASK, [(("text",), NARROW)], "Task"),
}  # fmt: skip
# At every place that has them, in every profile.
EVERYWHERE = {"ele-1", "ext-1", "wrx-1", "wrl-1", "wrl-2", "wrl-3", "wrl-4"}
CANNOT = dict.fromkeys(("ppc-2", "ppc-3", "ppc-4", "ppc-5"), 'asks for a code of a system named "something"')
OF_DATATYPES = {"cpt-2", "per-1", "ref-1", "txt-1", "txt-2"}


def told(payload: Payload, held_to: str) -> list[str]:
    look = validate if held_to in PROFILES else examine
    return [issue.expression for issue in look(payload, held_to) if issue.severity == "error"]


def invariants(published: dict[str, Payload]) -> set[str]:
    """The keys of all error invariants in the snapshots of our profiles."""
    ours = [item for url, item in published.items() if url.startswith(profile(""))]
    elements = [element for item in ours for element in item["snapshot"]["element"]]
    constraints = [one for element in elements for one in element.get("constraint", ())]
    return {one["key"] for one in constraints if one["severity"] == "error"}


def in_the_guide() -> dict[str, Payload]:
    """The guide's own wrong examples by the invariant that each breaks."""
    rows = json.loads((GUIDE / "invalid" / "index.json").read_text())
    return {row["invariant"]: row for row in rows if "invariant" in row}


def test_every_invariant_of_our_profiles_has_a_break(published: Callable[[], dict[str, Payload]]) -> None:
    """Each rule that the snapshots carry is broken here or in a wrong example of the guide; four cannot be."""
    keys = invariants(published())
    made = BREAKS.keys() | in_the_guide().keys() | EVERYWHERE
    assert keys - made == CANNOT.keys()
    assert BREAKS.keys() - OF_DATATYPES <= keys
    assert len(keys) >= 80


@pytest.mark.parametrize("key", BREAKS)
def test_an_invariant_of_r4_is_told_where_it_is_broken(key: str, every_example: list[Any]) -> None:
    """A rule that FHIR gives the element is kept inside our profiles too."""
    name, changes, expression = BREAKS[key]
    example = next(one for one in every_example if one.name == name)
    assert told(example.payload, example.profile) == []
    assert expression in told(broken(example.payload, *changes), example.profile)


@pytest.mark.parametrize("key", sorted(in_the_guide()))
def test_an_invariant_of_ours_is_told_where_it_is_broken(key: str) -> None:
    """Each rule of our own has a wrong example that a partner can read, and it is told at the place named there."""
    row = in_the_guide()[key]
    payload = json.loads((GUIDE / "invalid" / row["file"]).read_text())
    assert row["expression"] in told(payload, row["profile"])


def test_what_holds_everywhere_is_kept_everywhere(every_example: list[Any], slots: Callable[..., list[Any]]) -> None:
    """An element that holds only an id, an extension with a value and parts, a date that is no whole day: told at every
    place of every example."""
    counts = dict.fromkeys(("ele-1", "ext-1", "wrx-1"), 0)
    for example in every_example:
        for slot in slots(example):
            keys = {one["key"] for one in slot.element.get("constraint", ())}
            many = isinstance(slot.value, list)
            first, place = (slot.value[0], f"{slot.expression}[0]") if many else (slot.value, slot.expression)
            way = (*slot.parent, slot.key, 0) if many else (*slot.parent, slot.key)
            changes: dict[str, list[tuple[Way, Any]]] = {}
            if isinstance(first, dict) and slot.items is None:
                changes["ele-1"] = [(way, {"id": "x"})]
            if slot.kind == "Extension" and isinstance(first, dict) and slot.items is None:
                other = (
                    {"extension": [{"url": "x", "valueCode": "x"}]} if "extension" not in first else {"valueCode": "x"}
                )
                changes["ext-1"] = [(way, {**first, **other})]
            if "wrx-1" in keys and isinstance(first, str):
                changes["wrx-1"] = [(way, "2026-10")]
            for key, made in changes.items():
                counts[key] += 1
                found = told(broken(example.payload, *made), example.profile)
                assert any(one.startswith((place, f"{place}.")) for one in found), (example.name, key, place)
    assert min(counts.values()) >= 20


@pytest.mark.parametrize(
    ("key", "label"),
    [
        ("wrl-1", {"system": CONFIDENTIALITY, "code": "R"}),
        ("wrl-2", {"system": ACT_CODE, "code": "DELAU"}),
        ("wrl-3", {"system": CONFIDENTIALITY, "code": "N"}),
        ("wrl-4", {"system": OBSERVATION_VALUE, "code": "REDACTED"}),
    ],
)
def test_the_rules_of_labels_hold_in_every_profile(
    key: str, label: Payload, every_example: list[Any], published: Callable[[], dict[str, Payload]]
) -> None:
    """Two levels, a label that asks not to keep, a level too low, the mark of a redacted view: refused in each."""
    count = 0
    for example in every_example:
        root = published()[profile(example.profile)]["snapshot"]["element"][0]
        if key not in {one["key"] for one in root["constraint"]}:
            continue  # nothing is too low for what is public or counted
        security = example.payload["meta"].get("security", [{"system": CONFIDENTIALITY, "code": "V"}])
        if key == "wrl-3":
            security = [one for one in security if one["system"] != CONFIDENTIALITY]
        made = broken(example.payload, (("meta", "security"), [*security, label]))
        place = f"{example.payload['resourceType']}.meta.security"
        assert any(one.startswith(place) for one in told(made, example.profile)), example.name
        count += 1
    assert count >= 40

"""Every example of the guide with one mistake at every place: each is found, at the right place, and never repeated."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from itertools import islice
from typing import Any

from fhir_profiles.validation import gate, validate

Payload = dict[str, Any]
CANARY = "CANARY-12-Hidden-Lane"
# Codes of an open list: any language, a purpose of the access, a partner's reason (kept as "unable").
OPEN_CODES = re.compile(r".*(\.extension\[\d+\]\.value|\.purposeOfUse\[0\]\.coding\[0\]\.code|\.statusReason\..*)")
BUNDLE, EVERY = "Bundle-inbound-urn", 5  # of the four Bundles one, and of its mistakes every fifth


def changed(payload: Payload, way: tuple[Any, ...], change: Callable[[Any, Any], None]) -> Payload:
    broken = deepcopy(payload)
    target: Any = broken
    for step in way[:-1]:
        target = target[step]
    change(target, way[-1])
    return broken


def put(value: Any) -> Callable[[Any, Any], None]:
    def change(target: Any, step: Any) -> None:
        target[step] = value

    return change


def remove(target: Any, step: Any) -> None:
    del target[step]


def wrong_kinds(value: Any) -> list[Any]:
    """Values of other JSON kinds than this one."""
    if isinstance(value, bool):
        return ["true", 1]
    if isinstance(value, str):
        return [7, True, {"a": CANARY}, [CANARY]]
    if isinstance(value, dict):
        return [CANARY, [], {}, None]
    if isinstance(value, list):
        return [CANARY, [], value[0]]
    return [str(value)]


def mistakes(example: Any, places: list[Any]) -> Iterator[tuple[str, str, Payload]]:
    """(kind of mistake, the place it must be told at, the broken resource)."""
    for place in places:
        if not place.way or place.way[-1] == "resourceType":
            continue
        is_item = isinstance(place.way[-1], int)
        if place.node.get("min") and not is_item:
            broken = changed(example.payload, place.way, remove)
            parent = broken
            for step in place.way[:-1]:
                parent = parent[step]
            if parent:  # an object that is left empty is told as such
                yield "missing", place.expression, broken
        for other in wrong_kinds(place.value):
            yield "kind", place.expression, changed(example.payload, place.way, put(other))
        code = place.node["t"][0][0] if place.node.get("t") else ""
        is_label = "security" in place.way or "securityLabel" in place.way  # any label is kept, an unknown one too
        if code == "code" and isinstance(place.value, str) and not is_label:
            yield "code", place.expression, changed(example.payload, place.way, put("no-such-code"))
        if code in ("dateTime", "instant", "date") and isinstance(place.value, str):
            yield "date", place.expression, changed(example.payload, place.way, put("2026-02-30"))
        if isinstance(place.value, dict):
            strange = changed(example.payload, (*place.way, CANARY), put(CANARY))
            yield "key", place.expression, strange


def is_told(expression: str, told: str, kind: str) -> bool:
    """At the place or inside it; a code that is unknown is told at its Coding, a strange URL at its Extension."""
    above, _, last = expression.rpartition(".")
    if told == above and (kind == "code" or last == "url"):
        return True
    return told == expression or told.startswith((f"{expression}.", f"{expression}["))


def test_every_generated_mistake_is_found_at_its_place_and_not_repeated(
    valid_examples: list[Any], places: Callable[..., list[Any]]
) -> None:
    """A value left out, of the wrong kind, an unknown code, a day that does not exist, a strange key: more than a
    thousand mistakes, each told where it is."""
    count, kinds, missed = 0, set(), []
    for example in valid_examples:
        step = EVERY if example.name == BUNDLE else 1
        if example.name.startswith("Bundle") and example.name != BUNDLE:
            continue
        for kind, expression, broken in islice(mistakes(example, places(example)), 0, None, step):
            count += 1
            kinds.add(kind)
            issues = validate(broken, example.profile)
            told = [issue.expression for issue in issues if issue.severity == "error"]
            if kind == "code" and OPEN_CODES.fullmatch(expression):
                continue
            if not any(is_told(expression, one, kind) for one in told):
                missed.append((example.name, kind, expression, told))
            assert "CANARY" not in repr(issues)
            assert issues == gate.look_in_full(broken, example.profile, "V", str(example.payload["resourceType"]))
    assert missed == []
    assert count > 1000
    assert kinds == {"missing", "kind", "code", "date", "key"}


def test_two_mistakes_in_two_places_are_both_told(valid_examples: list[Any]) -> None:
    """A sender who made two mistakes hears of both in one answer."""
    bundle = next(one.payload for one in valid_examples if one.name == "Bundle-inbound-urn")
    task = next(e["resource"] for e in bundle["entry"] if e["resource"]["resourceType"] == "Task")
    request = next(e["resource"] for e in bundle["entry"] if e["resource"]["resourceType"] == "ServiceRequest")
    task["status"] = "banana"
    del request["subject"]
    bundle["timestamp"] = "yesterday"
    bundle["meta"] = {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "N"}]}
    told = {issue.expression for issue in validate(bundle, "referral-bundle")}
    assert {name.rpartition(".")[2] for name in told} >= {"status", "subject", "timestamp", "security"}

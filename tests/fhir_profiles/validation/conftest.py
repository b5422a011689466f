"""The guide's examples, right and wrong, and a walk that knows where the definitions say what, for the tests here."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from fhir_profiles.terminology import profile
from fhir_profiles.validation import PROFILES, compiler, profile_of

Payload = dict[str, Any]
Way = tuple[Any, ...]
GUIDE = Path(__file__).resolve().parents[3] / "fhir_profiles" / "ig"
SHARED = Path(__file__).resolve().parents[4] / "shared" / "fhir"


@dataclass(frozen=True)
class Example:
    """A resource of the guide, the profile it is held to, and for a wrong one the place of its mistake."""

    name: str
    profile: str
    payload: Payload
    expression: str = ""


@dataclass(frozen=True)
class Place:
    """One value of a payload: the way to it in JSON, its FHIRPath, and what the snapshot says of its element."""

    way: Way
    expression: str
    node: Payload
    value: Any


def _profile_for(payload: Payload) -> str:
    claims = payload.get("meta", {}).get("profile", [])
    ours = [url.removeprefix(profile("")) for url in claims if url.removeprefix(profile("")) in PROFILES]
    if ours:
        return str(ours[0])
    if payload["resourceType"] == "Appointment":
        return "appointment-ehr-copy"
    return profile_of(payload["resourceType"]) or ""


@cache
def read_valid() -> tuple[Example, ...]:
    found = []
    for file in sorted((GUIDE / "input" / "examples").glob("*.json")):
        payload = json.loads(file.read_text())
        if _profile_for(payload) in PROFILES:
            found.append(Example(file.stem, _profile_for(payload), payload))
    return tuple(found)


@cache
def read_invalid() -> tuple[Example, ...]:
    rows = json.loads((GUIDE / "invalid" / "index.json").read_text())
    return tuple(
        Example(
            row["file"], row["profile"], json.loads((GUIDE / "invalid" / row["file"]).read_text()), row["expression"]
        )
        for row in rows
    )


@pytest.fixture
def valid_examples() -> list[Example]:
    """The guide's valid examples of the profiles that guard a door, fresh copies."""
    return [Example(one.name, one.profile, deepcopy(one.payload)) for one in read_valid()]


@pytest.fixture
def invalid_examples() -> list[Example]:
    """The guide's invalid examples, each with one thing wrong and the place of it."""
    return [Example(one.name, one.profile, deepcopy(one.payload), one.expression) for one in read_invalid()]


def _below(node: Payload, key: str) -> Payload | None:
    types = compiler.definitions().types
    code = node["t"][0][0] if node.get("t") else ""
    children = node.get("k") or types.get(code, {}).get("tree", {}).get("k", {})
    for child in children.values():
        if not child.get("x") and child["n"] == key:
            return dict(child)
        for kind, targets in child.get("t", ()) if child.get("x") else ():
            if key == f"{child['n']}{kind[:1].upper()}{kind[1:]}":
                return {**child, "t": [[kind, targets]]}
    return None


def _places(value: Any, way: Way, expression: str, node: Payload) -> Iterator[Place]:
    yield Place(way, expression, node, value)
    if isinstance(value, list):
        for position, item in enumerate(value):
            yield from _places(item, (*way, position), f"{expression}[{position}]", node)
    elif isinstance(value, dict):
        kind = value.get("resourceType")
        if kind is not None and way:
            part = profile(profile_of(kind) or "")
            known = compiler.definitions().types
            node = known[part if part in known else kind]["tree"]
        for key, item in value.items():
            below = _below(node, key)
            if below is not None:
                yield from _places(item, (*way, key), f"{expression}.{below['n']}", below)


@pytest.fixture
def places() -> Callable[[Example], list[Place]]:
    """Every value of an example with what the snapshot of its profile says of the element."""

    def find(example: Example) -> list[Place]:
        types = compiler.definitions().types
        url = profile(example.profile)
        root = types[url if url in types else example.payload["resourceType"]]["tree"]
        return list(_places(example.payload, (), example.payload["resourceType"], root))

    return find


@pytest.fixture
def shared_fhir() -> Path:
    """Public test data beside the checkout; the test is skipped without it."""
    if not SHARED.is_dir():
        pytest.skip("../shared/fhir (HL7's core package and Synthea bundles) is not beside this checkout")
    return SHARED

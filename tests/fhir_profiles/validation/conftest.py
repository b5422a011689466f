"""The guide's examples, right and wrong, and a walk along the published snapshots, for the tests here."""

from __future__ import annotations

import json
import re
import tarfile
import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from fhir_profiles import validation
from fhir_profiles.terminology import CONFIDENTIALITY, LAW_BASIS, SEC_LABEL_BASIS, profile
from fhir_profiles.validation import PROFILES, profile_of

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


def _profile_for(payload: Payload) -> str:
    for url in payload.get("meta", {}).get("profile", []):
        if url.startswith(profile("")):
            return str(url.removeprefix(profile("")))
    if payload["resourceType"] == "Appointment":
        return "appointment-ehr-copy"
    return profile_of(payload["resourceType"]) or ""


@cache
def read_valid() -> tuple[Example, ...]:
    files = sorted((GUIDE / "input" / "examples").glob("*.json"))
    read = ((file.stem, json.loads(file.read_text())) for file in files)
    return tuple(Example(name, _profile_for(payload), payload) for name, payload in read)


def _basis(label: Payload) -> Payload:
    law = {"system": LAW_BASIS, "code": "VAWA"}
    return {**label, "version": "2018-08-12", "extension": [{"url": SEC_LABEL_BASIS, "valueCoding": law}]}


@cache
def read_fuller() -> tuple[Example, ...]:
    """Some of the examples with what the profiles allow besides, so that every element is seen once."""
    made = []
    for one in read_valid():
        payload = deepcopy(one.payload)
        meta = payload.setdefault("meta", {})
        level = {"system": CONFIDENTIALITY, "code": "R"}
        if one.profile != "appointment-ehr-copy":  # its label says R and nothing more
            meta["security"] = [_basis(label) for label in meta.get("security", [level])]
        if one.name == "ServiceRequest-request-on-site":
            payload["occurrencePeriod"] = {"start": "2026-10-01", "end": "2026-10-30"}
        if one.name == "Task-task-booked":
            kind = {"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "PLAC"}
            payload["identifier"][0]["type"] = {"coding": [kind]}
        made.append(Example(f"{one.name}-fuller", one.profile, payload))
    return tuple(made)


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
    return [Example(one.name, one.profile, deepcopy(one.payload)) for one in read_valid() if one.profile in PROFILES]


@pytest.fixture(scope="session")
def right_ones() -> list[tuple[str, str, Payload]]:
    """The same for a whole module: name, profile and payload. Do not change them."""
    return [(one.name, one.profile, one.payload) for one in read_valid() if one.profile in PROFILES]


@pytest.fixture
def every_example() -> list[Example]:
    """All valid examples of the guide, as they are and with what their profiles allow besides. Do not change them."""
    return [*read_valid(), *read_fuller()]


@pytest.fixture
def invalid_examples() -> list[Example]:
    """The guide's invalid examples, each with one thing wrong and the place of it."""
    return [Example(one.name, one.profile, deepcopy(one.payload), one.expression) for one in read_invalid()]


class Structure:
    """A StructureDefinition as it was published: elements by id, what is below each and its slices."""

    def __init__(self, definition: Payload) -> None:
        self.url, self.kind = definition["url"], definition["kind"]
        elements = definition["snapshot"]["element"]
        self.root = elements[0]["id"]
        self.elements: dict[str, Payload] = {element["id"]: element for element in elements}
        self.children: dict[str, list[str]] = {}
        self.slices: dict[str, list[str]] = {}
        for name in self.elements:
            above, _, last = name.rpartition(".")
            base, _, slice_name = last.partition(":")
            if slice_name:
                self.slices.setdefault(f"{above}.{base}", []).append(name)
            elif above:
                self.children.setdefault(above, []).append(name)


@dataclass(frozen=True)
class Slot:
    """One element in one object of an example: where it is or could be, and what the snapshot says of it.

    ``place`` names the element in its definition. A slot of a slice has the positions of its items in ``items``."""

    parent: Way
    expression: str
    key: str
    kind: str
    element: Payload
    place: str
    value: Any
    items: tuple[int, ...] | None = None


@cache
def _published() -> dict[str, Payload]:
    """Our profiles and R4's types by canonical URL, read here once more and not by the gate's own reader."""
    found = {}
    with tarfile.open(next((GUIDE.parent / "definitions").glob("*.tgz"))) as archive:
        for member in archive:
            name = member.name.rpartition("/")[2]
            file = archive.extractfile(member) if re.fullmatch(r"StructureDefinition-\w+\.json", name) else None
            if file is not None:
                definition = json.load(file)
                found[definition["url"]] = definition
    for path in sorted((GUIDE / "fsh-generated" / "resources").glob("StructureDefinition-*.json")):
        definition = json.loads(path.read_text())
        found[definition["url"]] = definition
    return found


@cache
def structure(name: str) -> Structure | None:
    """A type or profile by name or URL; None for what R4 defines elsewhere, such as FHIRPath's String."""
    definition = _published().get(name if ":" in name else f"http://hl7.org/fhir/StructureDefinition/{name}")
    return Structure(definition) if definition is not None and "snapshot" in definition else None


def values_at(item: Any, steps: list[str]) -> list[Any]:
    """The values at a discriminator's path, lists flattened."""
    if isinstance(item, list):
        return [value for one in item for value in values_at(one, steps)]
    if not steps:
        return [item]
    return values_at(item[steps[0]], steps[1:]) if isinstance(item, dict) and steps[0] in item else []


def _fixed(element: Payload) -> Any:
    return next((value for key, value in element.items() if key.startswith(("fixed", "pattern"))), None)


def _belongs(item: Any, whole: Structure, base: str, name: str) -> bool:
    """Whether an item is of a slice, by the discriminators of the list."""
    for rule in whole.elements[base]["slicing"]["discriminator"]:
        path, element = rule["path"], whole.elements[name]
        if rule["type"] == "type":
            wanted = whole.elements[f"{name}.{path}"]["type"][0]["code"]
            found = [value.get("resourceType") for value in values_at(item, path.split("."))]
        elif path == "url" and element["type"][0].get("profile"):
            wanted, found = element["type"][0]["profile"][0], values_at(item, ["url"])
        else:
            wanted, found = _fixed(whole.elements[f"{name}.{path}"]), values_at(item, path.split("."))
        assert wanted is not None, (whole.url, name)
        if wanted not in found:
            return False
    return True


def _below(whole: Structure, name: str, kind: str, profiles: list[str]) -> tuple[Structure, str] | None:
    """The definition that tells what is below an element."""
    base = re.sub(r":[^.]*$", "", name)
    for known in (name, base):
        if known in whole.children:
            return whole, known
    made = next((found for url in profiles if (found := structure(url)) is not None), None) or structure(kind)
    return (made, made.root) if made is not None and made.kind != "primitive-type" else None


def _slots(value: Payload, way: Way, expression: str, whole: Structure, name: str) -> Iterator[Slot]:
    for child in whole.children.get(name, ()):
        element = whole.elements[child]
        stem = child.rpartition(".")[2].removesuffix("[x]")
        here = f"{expression}.{stem}"
        for one in element.get("type") or [{"code": "BackboneElement"}]:  # a reference to another element's content
            kind = one["code"].rpartition("/")[2].removeprefix("System.")
            key = f"{stem}{kind[:1].upper()}{kind[1:]}" if child.endswith("[x]") else stem
            found = value.get(key)
            yield Slot(way, here, key, kind, element, f"{whole.url}#{child}", found)
            if found is None or kind in ("String", "Resource"):
                if isinstance(found, dict):
                    yield from _resource_slots(found, (*way, key), here, whole, child)
                continue
            slices = whole.slices.get(child, [])
            for piece in slices if isinstance(found, list) else ():
                items = tuple(n for n, item in enumerate(found) if _belongs(item, whole, child, piece))
                yield Slot(way, here, key, kind, whole.elements[piece], f"{whole.url}#{piece}", found, items)
            many = enumerate(found) if isinstance(found, list) else [(None, found)]
            for position, item in many:
                inside = (*way, key) if position is None else (*way, key, position)
                path = here if position is None else f"{here}[{position}]"
                own = next((one for one in slices if position is not None and _belongs(item, whole, child, one)), child)
                profiles = whole.elements[own].get("type", [{}])[0].get("profile", [])
                if own == child and kind == "Extension":
                    profiles = [item["url"]] if isinstance(item, dict) else []
                below = _below(whole, own, kind, profiles)
                if isinstance(item, dict) and below is not None:
                    yield from _slots(item, inside, path, *below)


def _resource_slots(value: Payload, way: Way, expression: str, whole: Structure, name: str) -> Iterator[Slot]:
    made = structure(profile(profile_of(value["resourceType"]) or "")) or structure(value["resourceType"])
    assert made is not None
    yield from _slots(value, way, expression, made, made.root)


@pytest.fixture
def slots() -> Callable[[Example], list[Slot]]:
    """Every element that an example has or could have beside what it has, as the published snapshots tell it."""

    def find(example: Example) -> list[Slot]:
        kind = example.payload["resourceType"]
        whole = structure(profile(example.profile)) or structure(kind)
        assert whole is not None
        return list(_slots(example.payload, (), kind, whole, whole.root))

    return find


@pytest.fixture
def published() -> Callable[[], dict[str, Payload]]:
    """Our profiles and R4's types as they were published, by canonical URL."""
    return _published


MOST_SECONDS = 0.05  # of processor time for one input


def _least_cpu(call: Callable[[], Any]) -> tuple[float, Any]:
    start = time.thread_time()
    answer = call()
    least = time.thread_time() - start
    for _ in range(4):
        if least <= MOST_SECONDS:
            break
        start = time.thread_time()
        call()
        least = min(least, time.thread_time() - start)
    return least, answer


@pytest.fixture(scope="session")
def least_cpu() -> Callable[[Callable[[], Any]], tuple[float, Any]]:
    """Seconds of processor time and the answer of a call; one that takes over 50 ms is asked five times, and the least
    counts: what other work on the machine costs is not the input's."""
    validation.load()
    return _least_cpu


@pytest.fixture
def shared_fhir() -> Path:
    """Public test data beside the checkout; the test is skipped without it."""
    if not SHARED.is_dir():
        pytest.skip("../shared/fhir (HL7's core package and Synthea bundles) is not beside this checkout")
    return SHARED

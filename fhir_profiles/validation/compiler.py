"""The compact definitions, compiled once into checks that walk a payload and report every problem.

A check takes a value, its FHIRPath and a ``Scope``. Types are compiled on first use; recursive ones (an Extension in an
Extension) refer to the same compiled object. A key that no definition knows is reported at its parent and never named.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from fhir_profiles import shapes
from fhir_profiles.shapes import Report, Shape
from fhir_profiles.validation import primitives, references
from fhir_profiles.validation.invariants import NATIVE, Invariant
from fhir_profiles.validation.slices import Piece, Slicing, holds_fixed, holds_pattern

Json = dict[str, Any]
DATA = Path(__file__).parent / "definitions.json"
# ele-1 is added to every object; a narrative is checked by its type; ppc-2 to ppc-5 cannot be broken (see ``NATIVE``).
_SAID_ELSEWHERE = frozenset({"ele-1", "txt-1", "txt-2", "ppc-2", "ppc-3", "ppc-4", "ppc-5"})
NOT_KNOWN = "An element that is not allowed here is present."
MISSING = "This element is required."


@dataclass(slots=True)
class Scope:
    """Where a walk stands: the resource, the outermost one, the Bundle's entries, and what is found."""

    report: Report
    resource: Json
    root: Json
    entries: Mapping[str, str]


Check = Callable[[Any, str, Scope], None]


@dataclass(slots=True)
class Child:
    """One JSON key of an object: its FHIRPath name, its count and the check of one item."""

    name: str
    is_list: bool
    low: int
    high: int
    check: Check
    is_primitive: bool
    slicing: Slicing | None = None

    def look(self, parent: Json, key: str, path: str, scope: Scope) -> None:
        """Check the value at ``key``, list or not."""
        value, here, report = parent[key], f"{path}.{self.name}", scope.report
        if not self.is_list:
            self.check(value, here, scope)
            return
        if not isinstance(value, list) or not value:
            report.add("structure", here, "A list that is not empty is expected here.")
            return
        if len(value) < self.low or (0 <= self.high < len(value)):
            report.add("structure", here, "The number of items is not allowed here.")
        beside = parent.get(f"_{key}") if self.is_primitive else None
        slicing = self.slicing
        counts = slicing.counts() if slicing is not None else None
        for position, item in enumerate(value):
            if item is None and isinstance(beside, list) and position < len(beside) and beside[position] is not None:
                continue
            if len(report.issues) >= report.most:
                return
            if slicing is None or counts is None or not slicing.takes(item, f"{here}[{position}]", scope, counts):
                self.check(item, f"{here}[{position}]", scope)
        if slicing is not None and counts is not None:
            slicing.count(counts, here, scope)


@dataclass(slots=True)
class Record:
    """An object: its keys, what it must have, what may be there once, and its invariants."""

    keys: dict[str, Child] = field(default_factory=dict)
    beside: dict[str, Child] = field(default_factory=dict)
    required: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    choices: list[tuple[str, frozenset[str]]] = field(default_factory=list)
    invariants: list[tuple[str, Invariant]] = field(default_factory=list)
    is_resource: bool = False
    is_closed: bool = False

    def check(self, value: Any, path: str, scope: Scope) -> None:
        """Everything that is wrong with ``value`` and below it."""
        report = scope.report
        if type(value) is not dict or not value:
            report.add("structure", path, "An object that is not empty is expected here.")
            return
        is_unknown = False
        for key in value:
            child = self.keys.get(key)
            if child is not None:
                child.look(value, key, path, scope)
            elif key[:1] == "_" and key in self.beside:
                self.beside[key].look(value, key, path, scope)
            elif not (self.is_closed or (self.is_resource and key == "resourceType")):
                is_unknown = True
        if is_unknown:
            report.add("structure", path, NOT_KNOWN)
        for name, keys in self.required:
            if not any(key in value for key in keys):
                report.add("required", f"{path}.{name}", MISSING)
        for name, keys_of_choice in self.choices:
            if len(keys_of_choice.intersection(value)) > 1:
                report.add("structure", f"{path}.{name}", "Only one of the kinds of value may be given.")
        for key, holds in self.invariants:
            if not holds(value, scope.resource, scope.root):
                report.add("invariant", path, f"A rule of this element is broken ({key}).")


class Definitions:
    """Compact definitions and what was compiled from them."""

    def __init__(self, compact: Json) -> None:
        self.types: Json = compact["types"]
        self.expressions: dict[str, list[str]] = compact["invariants"]
        self.value_sets: dict[str, dict[str, list[str]] | None] = compact["value_sets"]
        self.resources = frozenset(compact["resources"])
        self._records: dict[str, Record] = {}
        self._by_url = {item["url"]: name for name, item in self.types.items()}
        self.unchecked_invariants = frozenset(self.expressions) - NATIVE.keys()
        self.more_invariants: dict[str, Invariant] = {}

    def record(self, name: str) -> Record:
        """The compiled check of a type or profile, by name or canonical URL. KeyError when there is none."""
        name = self._by_url.get(name.partition("|")[0], name)
        found = self._records.get(name)
        if found is None:
            definition = self.types[name]
            found = self._records[name] = Record(is_resource=definition["kind"] == "resource")
            self._fill(found, definition["tree"], definition["tree"])
            if found.is_resource and "id" in found.keys:
                found.keys["id"].check = self._primitive("id", {})
        return found

    def closed(self, name: str, shape: shapes.Record) -> Record:
        """The check of a type or profile inside a closed shape: what the shape does not list is not looked at."""
        name = self._by_url.get(name.partition("|")[0], name)
        definition = self.types[name]
        made = Record(is_resource=definition["kind"] == "resource", is_closed=True)
        self._fill(made, definition["tree"], definition["tree"], shape)
        if made.is_resource and "id" in made.keys:
            made.keys["id"].check = self._primitive("id", {})
        return made

    def has(self, name: str) -> bool:
        """True when a type or profile of this name or URL is known."""
        return name in self.types or name.partition("|")[0] in self._by_url

    def _fill(self, record: Record, node: Json, root: Json, shape: shapes.Record | None = None) -> None:
        for key in node.get("c", ()):
            holds = NATIVE.get(key) or self.more_invariants.get(key)
            if holds is not None and key not in _SAID_ELSEWHERE:
                record.invariants.append((key, holds))
        record.invariants.append(("ele-1", NATIVE["ele-1"]))
        for child in node.get("k", {}).values():
            self._add(record, child, root, shape)

    def _add(self, record: Record, node: Json, root: Json, shape: shapes.Record | None) -> None:
        high = node.get("max", 1)
        if high == 0:
            return
        name = node["n"]
        if node.get("x"):
            kinds = {f"{name}{code[:1].upper()}{code[1:]}": [[code, targets]] for code, targets in node["t"]}
            record.choices.append((name, frozenset(kinds)))
        else:
            kinds = {name: node.get("t", [])}
        slices = {} if not node.get("x") else node.get("s", {}).get("slices", {})
        for key, types in kinds.items():
            if shape is not None and key not in shape.fields:
                continue
            inner = shape.fields[key] if shape is not None else None
            own = next((item for item in slices.values() if item.get("t") and [item["t"][0][0]] == [types[0][0]]), None)
            self._add_key(record, key, {**(own or node), "t": types} if node.get("x") else node, node, root, inner)
        if node.get("min"):
            record.required.append((name, (*kinds, *(f"_{key}" for key in kinds))))

    def _add_key(
        self, record: Record, key: str, node: Json, outer: Json, root: Json, shape: Shape | None = None
    ) -> None:
        is_list, high = outer.get("list", False), outer.get("max", 1)
        code = node["t"][0][0] if node.get("t") else ""
        is_primitive = code in primitives.PRIMITIVES
        if isinstance(shape, shapes.Many):
            high = shape.high if high < 0 else min(high, shape.high)
            shape = shape.shape
        check = self._check_of(node, root, shape)
        child = Child(outer["n"], is_list, outer.get("min", 0), high, check, is_primitive)
        if is_list and "s" in outer and not outer.get("x") and outer["s"].get("slices"):
            child.slicing = self._slicing(outer, root, shape)
        record.keys[key] = child
        if is_primitive and shape is None:
            element = self.record("Element").check
            record.beside[f"_{key}"] = Child(
                outer["n"], is_list, 0, high, _or_null(element) if is_list else element, False
            )

    def _check_of(self, node: Json, root: Json, shape: Shape | None = None) -> Check:
        """The check of one item of an element."""
        closed = shape if isinstance(shape, shapes.Record) else None
        if "r" in node:
            return self._referred(node["r"], root)
        checks: list[Check] = []
        code, profiles = node["t"][0] if node.get("t") else ("", [])
        if code in primitives.PRIMITIVES:
            checks.append(self._primitive(code, node))
        elif code == "Resource":
            checks.append(self._entry(shape) if isinstance(shape, shapes.ByType) else self._resource(node["n"]))
        elif "k" in node:
            record = Record(is_closed=closed is not None)
            self._fill(record, node, root, closed)
            if code in self.types and "tree" in self.types[code]:
                kept = {key for key, _ in record.invariants}
                record.invariants += [pair for pair in self.record(code).invariants if pair[0] not in kept]
            checks.append(record.check)
        elif self.types.get(code, {}).get("kind") == "resource":
            by_type = shape.shapes[code] if isinstance(shape, shapes.ByType) and code in shape.shapes else None
            checks.append(self._typed_resource(code, profiles, by_type))
        else:
            url = next((url for url in profiles if self.has(url)), None) if code == "Extension" else None
            if isinstance(shape, shapes.Extensions):
                checks.append(self._extensions(shape))
            elif closed is not None:
                checks.append(self.closed(url or code, closed).check)
            else:
                checks.append(self.record(url or code).check)
            checks += self._own_invariants(node, code)
        if code == "Reference" and profiles:
            checks.append(_target_check(frozenset(self._type_named(url) for url in profiles)))
        if "b" in node and code not in ("code", "Extension"):
            checks += self._binding(node["b"], code)
        if "f" in node:
            checks.append(_value_check(holds_fixed, node["f"]))
        if "p" in node:
            checks.append(_value_check(holds_pattern, node["p"]))
        return checks[0] if len(checks) == 1 else _in_turn(tuple(checks))

    def _own_invariants(self, node: Json, code: str) -> list[Check]:
        known = {key for key, _ in self.record(code).invariants} | {"txt-1", "txt-2", "ele-1"}
        natives = {**NATIVE, **self.more_invariants}
        return [_invariant_check(key, natives[key]) for key in node.get("c", ()) if key not in known and key in natives]

    def _referred(self, place: str, root: Json) -> Check:
        target = root
        for name in place.split(".")[1:]:
            target = target["k"][name]
        made: list[Record] = []

        def check(value: Any, path: str, scope: Scope) -> None:
            if not made:  # on first use, because a content reference may lead to an element that encloses it
                record = Record()
                self._fill(record, target, root)
                made.append(record)
            made[0].check(value, path, scope)

        return check

    def _type_named(self, url: str) -> str:
        known = self._by_url.get(url.partition("|")[0])
        return str(self.types[known]["type"]) if known is not None else url.rpartition("/")[2]

    def _primitive(self, code: str, node: Json) -> Check:
        kind, accepts = primitives.PRIMITIVES[code]
        words, is_kind = primitives.WORDS[kind], primitives.is_kind
        codes = self._codes(node["b"]) if "b" in node and code == "code" else None

        def check(value: Any, path: str, scope: Scope) -> None:
            if not is_kind(kind, value):
                scope.report.add("structure", path, words)
            elif not accepts(value):
                scope.report.add("value", path, f"This is not a valid value of the type {code}.")
            elif codes is not None and value not in codes:
                scope.report.add("code-invalid", path, "This code is not one of those allowed here.")

        return check

    def _codes(self, url: str) -> frozenset[str] | None:
        expanded = self.value_sets.get(url)
        return None if expanded is None else frozenset(code for codes in expanded.values() for code in codes)

    def _binding(self, url: str, code: str) -> list[Check]:
        expanded = self.value_sets.get(url)
        if expanded is None:
            return []
        pairs = frozenset((system, item) for system, codes in expanded.items() for item in codes)
        return [_coded_check(pairs, code)]

    def _extensions(self, shape: shapes.Extensions) -> Check:
        """Only what has a known URL is looked at; the shape refuses the rest."""
        checks = {url: self.closed(url if self.has(url) else "Extension", item) for url, item in shape.records.items()}

        def check(value: Any, path: str, scope: Scope) -> None:
            url = value.get("url") if isinstance(value, dict) else None
            if isinstance(url, str) and url in checks:
                checks[url].check(value, path, scope)

        return check

    def _entry(self, shape: shapes.ByType) -> Check:
        checks = {kind: self.closed(_profile_in(item, self.has) or kind, item) for kind, item in shape.shapes.items()}

        def check(value: Any, path: str, scope: Scope) -> None:
            kind = value.get("resourceType") if isinstance(value, dict) else None
            if isinstance(kind, str) and kind in checks:
                checks[kind].check(value, path, Scope(scope.report, value, value, scope.entries))

        return check

    def _resource(self, name: str) -> Check:
        """Any resource. A contained one keeps its container as %rootResource; an entry of a Bundle is its own."""
        is_contained = name == "contained"

        def check(value: Any, path: str, scope: Scope) -> None:
            kind = value.get("resourceType") if isinstance(value, dict) else None
            if not isinstance(kind, str) or kind not in self.resources:
                scope.report.add("structure", path, "A FHIR R4 resource is expected here.")
            elif self.types.get(kind, {}).get("kind") == "resource":
                root = scope.root if is_contained else value
                self.record(kind).check(value, path, Scope(scope.report, value, root, scope.entries))
            else:
                scope.report.note(path, "This resource type is not known here and was not checked.")

        return check

    def _typed_resource(self, code: str, profiles: Iterable[str], shape: shapes.Record | None) -> Check:
        name = next((url for url in profiles if self.has(url)), code)
        record = self.closed(name, shape) if shape is not None else self.record(name)

        def check(value: Any, path: str, scope: Scope) -> None:
            if not isinstance(value, dict) or value.get("resourceType") != code:
                scope.report.add("structure", path, "A resource of another type is expected here.")
            else:
                record.check(value, path, Scope(scope.report, value, value, scope.entries))

        return check

    def _slicing(self, node: Json, root: Json, shape: Shape | None) -> Slicing:
        slices = {}
        for name, item in node["s"]["slices"].items():
            inner, url = shape, self._url_of(item)
            if isinstance(shape, shapes.Extensions):
                if url not in shape.records:
                    continue
                inner = shape.records[url]
            slices[name] = Piece(item, self._check_of(item, root, inner), url)
        return Slicing(node["s"], slices, self.value_sets)

    @staticmethod
    def _url_of(node: Json) -> str:
        """The URL of an extension slice, said by its profile or fixed inside it; empty for any other slice."""
        code, profiles = node["t"][0] if node.get("t") else ("", [])
        if code != "Extension":
            return ""
        return str(profiles[0] if profiles else node.get("k", {}).get("url", {}).get("f", ""))

    def check(self, payload: Json, name: str, report: Report, path: str) -> None:
        """Report what is wrong with a resource as this type or profile."""
        self.record(name).check(payload, path, Scope(report, payload, payload, references.entries_of(payload)))


def _profile_in(shape: shapes.Record, has: Callable[[str], bool]) -> str | None:
    """The first profile a shape's ``meta`` lets a resource claim, when its snapshot is known."""
    meta = shape.fields.get("meta")
    claims = meta.fields.get("profile") if isinstance(meta, shapes.Record) else None
    allowed = claims.shape.codes if isinstance(claims, shapes.Many) and isinstance(claims.shape, shapes.Text) else ()
    return next((url for url in allowed if has(url)), None)


def _or_null(check: Check) -> Check:
    return lambda value, path, scope: None if value is None else check(value, path, scope)


def _in_turn(checks: tuple[Check, ...]) -> Check:
    def run(value: Any, path: str, scope: Scope) -> None:
        for check in checks:
            check(value, path, scope)

    return run


def _invariant_check(key: str, holds: Invariant) -> Check:
    def check(value: Any, path: str, scope: Scope) -> None:
        if isinstance(value, dict) and not holds(value, scope.resource, scope.root):
            scope.report.add("invariant", path, f"A rule of this element is broken ({key}).")

    return check


def _value_check(holds: Callable[[Any, Any], bool], wanted: Any) -> Check:
    def check(value: Any, path: str, scope: Scope) -> None:
        if not holds(value, wanted):
            scope.report.add("value", path, "This is not the value that the profile fixes.")

    return check


def _target_check(types: frozenset[str]) -> Check:
    is_any = "Resource" in types

    def check(value: Any, path: str, scope: Scope) -> None:
        reference = value.get("reference") if isinstance(value, dict) else None
        if is_any or not isinstance(reference, str):
            return
        found = references.type_of(reference, scope.resource, scope.entries)
        if found is not None and found not in types:
            scope.report.add("value", f"{path}.reference", "A reference of an allowed kind is expected here.")

    return check


def _coded_check(pairs: frozenset[tuple[str, str]], code: str) -> Check:
    codes = frozenset(item for _, item in pairs)

    def codings(value: Any) -> list[Any]:
        found = value.get("coding") if code == "CodeableConcept" else [value]
        return found if isinstance(found, list) else []

    def check(value: Any, path: str, scope: Scope) -> None:
        if isinstance(value, str):
            is_member = value in codes
        elif isinstance(value, dict):
            found = [(item.get("system"), item.get("code")) for item in codings(value) if isinstance(item, dict)]
            is_member = any(
                isinstance(system, str) and isinstance(one, str) and (system, one) in pairs for system, one in found
            )
        else:
            return
        if not is_member:
            scope.report.add("code-invalid", path, "This code is not one of those allowed here.")

    return check


@cache
def definitions() -> Definitions:
    """The committed definitions, read once."""
    return Definitions(json.loads(DATA.read_bytes()))

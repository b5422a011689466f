"""The compact definitions, compiled once into checks that walk a payload and report every problem.

A check takes a value, its FHIRPath and a ``Scope``. Types are compiled on first use; recursive ones (an Extension in an
Extension) refer to the same compiled object. A key that no definition knows is reported at its parent and never named.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from functools import cache, cached_property
from typing import Any

from fhir_profiles import shapes
from fhir_profiles.shapes import Report, Shape
from fhir_profiles.validation import primitives, references
from fhir_profiles.validation.checks import (
    ByKind,
    ByUrl,
    Check,
    Child,
    CodedCheck,
    Combined,
    InvariantCheck,
    Primitive,
    Record,
    Scope,
    TargetCheck,
    ValueCheck,
    not_among,
)
from fhir_profiles.validation.invariants import NATIVE, Invariant
from fhir_profiles.validation.own_invariants import BY_RULES, OURS
from fhir_profiles.validation.slices import Piece, Slicing, holds_fixed, holds_pattern
from fhir_profiles.validation.tree import DATA, nodes

Json = dict[str, Any]
# ele-1 is added to every object; a narrative is checked by its type.
_SAID_ELSEWHERE = frozenset({"ele-1", "txt-1", "txt-2"})


class Definitions:
    """Compact definitions and what was compiled from them."""

    def __init__(self, compact: Json) -> None:
        self.types: Json = compact["types"]
        self.expressions: dict[str, list[str]] = compact["invariants"]
        self.value_sets: dict[str, dict[str, list[str]] | None] = compact["value_sets"]
        self.resources = frozenset(compact["resources"])
        self._records: dict[str, Record] = {}
        self._by_url = {item["url"]: name for name, item in self.types.items()}
        self.more_invariants: dict[str, Invariant] = dict(OURS)
        self.human = {key: human for key, (human, *_) in self.expressions.items()}

    def unchecked(self) -> frozenset[str]:
        """The keys of the invariants that nothing here can read."""
        return frozenset(self.expressions) - NATIVE.keys() - self.more_invariants.keys() - BY_RULES.keys()

    def read_more(self, can_read: Callable[[str], bool], reader: Callable[[str, str], Invariant]) -> None:
        """Give what has no Python form to an engine. Call it before the first type is compiled."""
        for key in self.unchecked():
            _, expression, element = self.expressions[key]
            if can_read(expression):
                self.more_invariants[key] = reader(expression, element)

    @cached_property
    def names(self) -> dict[str, str]:
        """Every JSON key that some element has, with its FHIRPath name: ``{"valueCode": "value"}``."""
        found: dict[str, str] = {}
        for definition in self.types.values():
            for node in nodes(definition.get("tree", {})):
                name = node.get("n", "")
                kinds = (
                    [f"{name}{code[:1].upper()}{code[1:]}" for code, _ in node.get("t", ())]
                    if node.get("x")
                    else [name]
                )
                found.update(dict.fromkeys(kinds, name))
        found.pop("", None)  # of the root, which has no key
        return found

    def record(self, name: str) -> Record:
        """The compiled check of a type or profile, by name or canonical URL. KeyError when there is none."""
        name = self._by_url.get(name.partition("|")[0], name)
        found = self._records.get(name)
        if found is None:
            definition = self.types[name]
            # Known before it is filled: a recursive type leads back to it.
            found = self._records[name] = Record(human=self.human, is_resource=definition["kind"] == "resource")
            self._fill_type(found, definition["tree"])
        return found

    def closed(self, name: str, shape: shapes.Record) -> Record:
        """The check of a type or profile inside a closed shape: what the shape does not list is not looked at."""
        name = self._by_url.get(name.partition("|")[0], name)
        definition = self.types[name]
        made = Record(human=self.human, is_resource=definition["kind"] == "resource", is_closed=True)
        self._fill_type(made, definition["tree"], shape)
        return made

    def has(self, name: str) -> bool:
        """True when a type or profile of this name or URL is known."""
        return name in self.types or name.partition("|")[0] in self._by_url

    def _fill_type(self, record: Record, tree: Json, shape: shapes.Record | None = None) -> None:
        self._fill(record, tree, tree, shape)
        if record.is_resource and "id" in record.keys:
            record.keys["id"].check = self._primitive("id", {})

    def _invariant(self, key: str) -> Invariant | None:
        return NATIVE.get(key) or self.more_invariants.get(key)

    def _fill(self, record: Record, node: Json, root: Json, shape: shapes.Record | None = None) -> None:
        for key in node.get("c", ()):
            holds = self._invariant(key)
            if holds is not None and key not in _SAID_ELSEWHERE:
                record.invariants.append((key, holds))
        record.invariants.append(("ele-1", NATIVE["ele-1"]))
        for child in node.get("k", {}).values():
            self._add(record, child, root, shape)

    def _add(self, record: Record, node: Json, root: Json, shape: shapes.Record | None) -> None:
        name = node["n"]
        if node.get("x"):
            kinds = {f"{name}{code[:1].upper()}{code[1:]}": [[code, targets]] for code, targets in node["t"]}
        else:
            kinds = {name: node.get("t", [])}
        if node.get("max", 1) == 0:
            record.forbidden.update(kinds.keys() & shape.fields.keys() if shape is not None else ())
            return
        if node.get("x"):
            record.choices.append((name, frozenset(kinds)))
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
            record.beside[f"_{key}"] = Child(outer["n"], is_list, 0, high, self._element(), False)

    def _element(self) -> Record:
        """What may be said about a primitive value: an id and extensions. Its ele-1 needs the value: see ``Child``."""
        if "Element without ele-1" not in self._records:
            element = self.record("Element")
            self._records["Element without ele-1"] = Record(keys=element.keys, beside=element.beside)
        return self._records["Element without ele-1"]

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
            record = Record(human=self.human, is_closed=closed is not None)
            self._fill(record, node, root, closed)
            if code in self.types and "tree" in self.types[code]:
                kept = {key for key, _ in record.invariants}
                record.invariants += [pair for pair in self.record(code).invariants if pair[0] not in kept]
            checks.append(record)
        elif self.types.get(code, {}).get("kind") == "resource":
            by_type = shape.shapes[code] if isinstance(shape, shapes.ByType) and code in shape.shapes else None
            checks.append(self._typed_resource(code, profiles, by_type))
        else:
            url = next((url for url in profiles if self.has(url)), None) if code == "Extension" else None
            if isinstance(shape, shapes.Extensions):
                checks.append(self._extensions(shape))
            elif closed is not None:
                checks.append(self.closed(url or code, closed))
            else:
                checks.append(self.record(url or code))
            checks += self._own_invariants(node, code)
        if code == "Reference" and profiles:
            types = frozenset(self._type_named(url) for url in profiles)
            checks += [] if "Resource" in types else [TargetCheck(types)]
        if "b" in node and code not in ("code", "Extension"):
            checks += self._binding(node["b"], code)
        if "f" in node:
            checks.append(ValueCheck(holds_fixed, node["f"]))
        if "p" in node:
            checks.append(ValueCheck(holds_pattern, node["p"]))
        return checks[0] if len(checks) == 1 else Combined(tuple(checks))

    def _own_invariants(self, node: Json, code: str) -> list[Check]:
        known = {key for key, _ in self.record(code).invariants} | {"txt-1", "txt-2", "ele-1"}
        return [
            InvariantCheck(key, holds, self.human[key])
            for key in node.get("c", ())
            if key not in known and (holds := self._invariant(key)) is not None
        ]

    def _referred(self, place: str, root: Json) -> Check:
        target = root
        for name in place.split(".")[1:]:
            target = target["k"][name]
        made: list[Record] = []

        def check(value: Any, path: str, scope: Scope) -> None:
            if not made:  # on first use, because a content reference may lead to an element that encloses it
                record = Record(human=self.human)
                self._fill(record, target, root)
                made.append(record)
            made[0](value, path, scope)

        return check

    def _type_named(self, url: str) -> str:
        known = self._by_url.get(url.partition("|")[0])
        return str(self.types[known]["type"]) if known is not None else url.rpartition("/")[2]

    def _primitive(self, code: str, node: Json) -> Primitive:
        codes = self._codes(node["b"]) if "b" in node and code == "code" else None
        return Primitive(code, codes, "" if codes is None else not_among(codes, node["b"]))

    def _codes(self, url: str) -> frozenset[str] | None:
        expanded = self.value_sets.get(url)
        return None if expanded is None else frozenset(code for codes in expanded.values() for code in codes)

    def _binding(self, url: str, code: str) -> list[Check]:
        expanded = self.value_sets.get(url)
        if expanded is None:
            return []
        pairs = frozenset((system, item) for system, codes in expanded.items() for item in codes)
        return [CodedCheck(pairs, frozenset(item for _, item in pairs), code == "CodeableConcept", url)]

    def _extensions(self, shape: shapes.Extensions) -> ByUrl:
        records = shape.records.items()
        return ByUrl({url: self.closed(url if self.has(url) else "Extension", item) for url, item in records})

    def _entry(self, shape: shapes.ByType) -> ByKind:
        return ByKind(
            {kind: self.closed(_profile_in(item, self.has) or kind, item) for kind, item in shape.shapes.items()}
        )

    def _resource(self, name: str) -> Check:
        """Any resource. A contained one keeps its container as %rootResource; an entry of a Bundle is its own."""
        is_contained = name == "contained"

        def check(value: Any, path: str, scope: Scope) -> None:
            kind = value.get("resourceType") if isinstance(value, dict) else None
            if not isinstance(kind, str) or kind not in self.resources:
                scope.report.add("structure", path, "A FHIR R4 resource is expected here.")
            elif self.types.get(kind, {}).get("kind") == "resource":
                inner = references.container(value)
                root = scope.root if is_contained else inner
                self.record(kind)(value, path, Scope(scope.report, inner, root, scope.entries))
            else:
                scope.report.note(path, "This resource type is not known here and was not checked.")

        return check

    def _typed_resource(self, code: str, profiles: Iterable[str], shape: shapes.Record | None) -> ByKind:
        name = next((url for url in profiles if self.has(url)), code)
        return ByKind({code: self.closed(name, shape) if shape is not None else self.record(name)}, is_strict=True)

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
        known = references.container(payload)
        self.record(name)(payload, path, Scope(report, known, known, references.entries_of(payload)))


def _profile_in(shape: shapes.Record, has: Callable[[str], bool]) -> str | None:
    """The first profile a shape's ``meta`` lets a resource claim, when its snapshot is known."""
    meta = shape.fields.get("meta")
    claims = meta.fields.get("profile") if isinstance(meta, shapes.Record) else None
    allowed = claims.shape.codes if isinstance(claims, shapes.Many) and isinstance(claims.shape, shapes.Text) else ()
    return next((url for url in allowed if has(url)), None)


@cache
def definitions() -> Definitions:
    """The committed definitions, read once."""
    return Definitions(json.loads(DATA.read_bytes()))

"""The compiled checks. Each takes a value, its FHIRPath and a ``Scope`` and reports every problem it finds.

A check that can also answer without words has ``holds(value, scope)``, for the quick look; both answers come from the
same test. A key that no definition knows is reported at its parent and never named.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from fhir_profiles.shapes import Report, items_expected, one_of, reference_expected
from fhir_profiles.validation import primitives, references
from fhir_profiles.validation.invariants import Invariant
from fhir_profiles.validation.slices import Slicing

Json = dict[str, Any]
NOT_KNOWN = "An element that FHIR R4 or the profile does not allow here is present."
NO_LIST = "A list that is not empty is expected here."
_MOST_OF_TOO_MANY = 50  # items of a list that has more than it may have: the others are not looked at
_FEW = 16  # as many codes are named; of more, only the value set


def not_among(codes: Collection[str], value_set: str) -> str:
    """The words of a code outside a required value set."""
    if len(codes) <= _FEW:
        return one_of(sorted(codes))
    return f"A code of the value set {value_set} is expected here."


def broken(key: str, human: str) -> str:
    """The words of a broken invariant: what it asks for, as whoever published it says it. They end in its key."""
    return f"A rule is broken: {human.strip().rstrip('.')} ({key})."


def spelled(wanted: Any) -> str:
    """A fixed value or a pattern of a profile, as it would stand in JSON."""
    return wanted if isinstance(wanted, str) else json.dumps(wanted, ensure_ascii=False)


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

    def look_beside(self, parent: Json, key: str, path: str, scope: Scope) -> None:
        """Check ``_key``, what is said about primitive values: each object; an id alone needs a value (ele-1)."""
        values, about = parent.get(key[1:]), parent[key]
        if self.is_list and (not isinstance(about, list) or not about):
            scope.report.add("structure", f"{path}.{self.name}", NO_LIST)
            return
        for position, item in enumerate(about if self.is_list else [about]):
            here = f"{path}.{self.name}[{position}]" if self.is_list else f"{path}.{self.name}"
            if self.is_list and isinstance(values, list):
                value = values[position] if position < len(values) else None
            else:
                value = values
            if item is None and self.is_list:
                continue
            if value is None and isinstance(item, dict) and item.keys() == {"id"}:
                scope.report.add("invariant", here, broken("ele-1", "an element has a value or children"))
            self.check(item, here, scope)

    def look(self, parent: Json, key: str, path: str, scope: Scope) -> None:
        """Check the value at ``key``, list or not."""
        value, here, report = parent[key], f"{path}.{self.name}", scope.report
        if not self.is_list:
            self.check(value, here, scope)
            return
        if not isinstance(value, list) or not value:
            report.add("structure", here, NO_LIST)
            return
        if len(value) < self.low or (0 <= self.high < len(value)):
            report.add("structure", here, items_expected(self.low, self.high))
            value = value[:_MOST_OF_TOO_MANY]
        beside = parent.get(f"_{key}") if self.is_primitive else None
        slicing = self.slicing
        counts = slicing.counts() if slicing is not None else []
        for position, item in enumerate(value):
            if item is None and isinstance(beside, list) and position < len(beside) and beside[position] is not None:
                continue
            if len(report.issues) >= report.most:
                return
            if slicing is None or not slicing.takes(item, f"{here}[{position}]", scope, counts):
                self.check(item, f"{here}[{position}]", scope)
        if slicing is not None:
            slicing.count(counts, here, scope)


@dataclass(slots=True)
class Record:
    """An object: its keys, what it must have, what may be there once, and its invariants."""

    keys: dict[str, Child] = field(default_factory=dict)
    beside: dict[str, Child] = field(default_factory=dict)
    required: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    choices: list[tuple[str, frozenset[str]]] = field(default_factory=list)
    invariants: list[tuple[str, Invariant]] = field(default_factory=list)
    forbidden: set[str] = field(default_factory=set)  # what a closed shape would allow and the profile does not
    human: Mapping[str, str] = field(default_factory=dict)
    is_resource: bool = False
    is_closed: bool = False

    def __call__(self, value: Any, path: str, scope: Scope) -> None:
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
                self.beside[key].look_beside(value, key, path, scope)
            elif key in self.forbidden or not (self.is_closed or (self.is_resource and key == "resourceType")):
                is_unknown = True
        if is_unknown:
            report.add("structure", path, NOT_KNOWN)
        for name, keys in self.required:
            if not any(key in value for key in keys):
                report.add("required", f"{path}.{name}", f"The element {name} is required.")
        for name, keys_of_choice in self.choices:
            if len(keys_of_choice.intersection(value)) > 1:
                report.add("structure", f"{path}.{name}", f"Only one kind of {name}[x] may be given.")
        for key, holds in self.invariants:
            if not holds(value, scope.resource, scope.root):
                report.add("invariant", path, broken(key, self.human.get(key, "see its definition")))


@dataclass(slots=True)
class Combined:
    """Several checks of one value, the record first where there is one."""

    checks: tuple[Check, ...]

    def __call__(self, value: Any, path: str, scope: Scope) -> None:
        """One after the other."""
        for check in self.checks:
            check(value, path, scope)


@dataclass(slots=True)
class Primitive:
    """A value of a primitive type, perhaps with a required binding."""

    code: str
    codes: frozenset[str] | None
    words: str = ""

    def __call__(self, value: Any, path: str, scope: Scope) -> None:
        """Its JSON kind, its form, its value set."""
        kind, accepts = primitives.PRIMITIVES[self.code]
        if not primitives.is_kind(kind, value):
            scope.report.add("structure", path, primitives.WORDS[kind])
        elif not accepts(value):
            scope.report.add("value", path, f"A valid {self.code} is expected here.")
        elif self.codes is not None and value not in self.codes:
            scope.report.add("code-invalid", path, self.words)

    def holds(self, value: Any, _: Scope) -> bool:
        """The same, in short."""
        kind, accepts = primitives.PRIMITIVES[self.code]
        return primitives.is_kind(kind, value) and accepts(value) and (self.codes is None or value in self.codes)


@dataclass(slots=True)
class InvariantCheck:
    """An invariant that a profile hangs on one element."""

    key: str
    invariant: Invariant
    human: str

    def __call__(self, value: Any, path: str, scope: Scope) -> None:
        """A value that is no object is reported by its type."""
        if not self.holds(value, scope):
            scope.report.add("invariant", path, broken(self.key, self.human))

    def holds(self, value: Any, scope: Scope) -> bool:
        """The same, in short."""
        return not isinstance(value, dict) or self.invariant(value, scope.resource, scope.root)


@dataclass(slots=True)
class ValueCheck:
    """A fixed value or a pattern."""

    test: Callable[[Any, Any], bool]
    wanted: Any

    def __call__(self, value: Any, path: str, scope: Scope) -> None:
        """Equal, or at least what the pattern names."""
        if not self.test(value, self.wanted):
            scope.report.add(
                "value", path, f"The value that the profile fixes is expected here: {spelled(self.wanted)}."
            )

    def holds(self, value: Any, _: Scope) -> bool:
        """The same, in short."""
        return self.test(value, self.wanted)


@dataclass(slots=True)
class TargetCheck:
    """A Reference whose form tells its type: the type is one of the element's targets."""

    types: frozenset[str]

    def __call__(self, value: Any, path: str, scope: Scope) -> None:
        """Reported at the reference's own text."""
        if not self.holds(value, scope):
            scope.report.add("value", f"{path}.reference", reference_expected(sorted(self.types)))

    def holds(self, value: Any, scope: Scope) -> bool:
        """The same, in short. What names no type cannot be judged here."""
        reference = value.get("reference") if isinstance(value, dict) else None
        if not isinstance(reference, str):
            return True
        found = references.type_of(reference, scope.resource, scope.entries)
        return found is None or found in self.types


@dataclass(slots=True)
class CodedCheck:
    """A Coding, CodeableConcept, Quantity or uri of a required value set."""

    pairs: frozenset[tuple[str, str]]
    codes: frozenset[str]
    is_concept: bool
    value_set: str

    def __call__(self, value: Any, path: str, scope: Scope) -> None:
        """A concept needs one coding of the set."""
        if not self.holds(value, scope):
            scope.report.add("code-invalid", path, not_among(self.codes, self.value_set))

    def holds(self, value: Any, _: Scope) -> bool:
        """The same, in short. Another JSON kind is reported by its type."""
        if isinstance(value, str):
            return value in self.codes
        if not isinstance(value, dict):
            return True
        codings = value.get("coding") if self.is_concept else [value]
        for item in codings if isinstance(codings, list) else ():
            system, code = (item.get("system"), item.get("code")) if isinstance(item, dict) else (None, None)
            if isinstance(system, str) and isinstance(code, str) and (system, code) in self.pairs:
                return True
        return False


@dataclass(slots=True)
class ByUrl:
    """An extension inside a closed shape: only what has a known URL is looked at; the shape refuses the rest."""

    records: Mapping[str, Record]

    def __call__(self, value: Any, path: str, scope: Scope) -> None:
        """The record of its URL."""
        url = value.get("url") if isinstance(value, dict) else None
        if isinstance(url, str) and url in self.records:
            self.records[url](value, path, scope)


@dataclass(slots=True)
class ByKind:
    """A resource inside a closed shape, each type with its own record; the shape refuses all other types."""

    records: Mapping[str, Record]
    is_strict: bool = False

    def __call__(self, value: Any, path: str, scope: Scope) -> None:
        """The record of its type, in a scope of its own."""
        kind = value.get("resourceType") if isinstance(value, dict) else None
        record = self.records.get(kind) if isinstance(kind, str) else None
        if record is not None:
            known = references.container(value)
            record(value, path, Scope(scope.report, known, known, scope.entries))
        elif self.is_strict:
            scope.report.add("structure", path, one_of(sorted(self.records), "type"))

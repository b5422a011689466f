"""Slices: which items of a list are which, how many of each, and what each must be.

Discriminators by value, pattern, exists and type are resolved from the slice's own fixed values, patterns and required
bindings; by profile cannot be told apart without validating and is left to the slice's checks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

Json = dict[str, Any]
ValueSets = Mapping[str, Mapping[str, list[str]] | None]


class _Reporting(Protocol):
    def add(self, code: str, expression: str, text: str) -> None: ...


class _Scope(Protocol):
    @property
    def report(self) -> _Reporting: ...


def holds_fixed(value: Any, wanted: Any) -> bool:
    """Equal in every part, and of the same JSON kind: ``true`` is not ``1``."""
    if type(value) is not type(wanted):
        return False
    if isinstance(wanted, dict):
        return value.keys() == wanted.keys() and all(holds_fixed(value[key], item) for key, item in wanted.items())
    if isinstance(wanted, list):
        return len(value) == len(wanted) and all(map(holds_fixed, value, wanted))
    return bool(value == wanted)


def holds_pattern(value: Any, wanted: Any) -> bool:
    """At least what the pattern names: each key of it, and for each item of its lists one that matches."""
    if isinstance(wanted, dict):
        return isinstance(value, dict) and all(
            key in value and holds_pattern(value[key], item) for key, item in wanted.items()
        )
    if isinstance(wanted, list):
        return isinstance(value, list) and all(any(holds_pattern(one, item) for one in value) for item in wanted)
    return type(value) is type(wanted) and bool(value == wanted)


class Piece(NamedTuple):
    """One slice as compiled: its definition, the check of an item in it, and the URL of an extension."""

    node: Json
    check: Callable[[Any, str, Any], None]
    url: str = ""


@dataclass(slots=True)
class _Slice:
    name: str
    low: int
    high: int
    belongs: Callable[[Any], bool]
    check: Callable[[Any, str, Any], None]
    url: str


class Slicing:
    """The slices of one list element."""

    def __init__(self, rules: Json, slices: Mapping[str, Piece], value_sets: ValueSets) -> None:
        self.is_closed = rules["rules"] == "closed"
        self.slices = [
            _Slice(
                name,
                one.node.get("min", 0),
                one.node.get("max", 1),
                _belongs(rules["by"], one, value_sets),
                one.check,
                one.url,
            )
            for name, one in slices.items()
        ]

    def counts(self) -> list[int]:
        """A fresh count, one number for each slice."""
        return [0] * len(self.slices)

    def takes(self, item: Any, path: str, scope: _Scope, counts: list[int]) -> bool:
        """Check an item as its slice and count it; False when it belongs to none."""
        for number, one in enumerate(self.slices):
            if one.belongs(item):
                counts[number] += 1
                one.check(item, path, scope)
                return True
        if self.is_closed:
            listed = ", ".join(one.name for one in self.slices)
            scope.report.add("structure", path, f"An item of this kind is not allowed here. Allowed: {listed}.")
        return False

    def count(self, counts: list[int], path: str, scope: _Scope) -> None:
        """Too few or too many of a kind."""
        for one, count in zip(self.slices, counts, strict=True):
            if count < one.low:
                scope.report.add("required", path, f"An item of the kind {one.name} is required.")
            elif 0 <= one.high < count:
                scope.report.add("structure", path, f"There are too many items of the kind {one.name}.")


def _belongs(by: list[list[str]], piece: Piece, value_sets: ValueSets) -> Callable[[Any], bool]:
    if piece.url:
        return lambda item: isinstance(item, dict) and item.get("url") == piece.url
    tests = [_test(kind, path, piece.node, value_sets) for kind, path in by]
    return lambda item: bool(tests) and all(test(item) for test in tests)


def _test(kind: str, path: str, node: Json, value_sets: ValueSets) -> Callable[[Any], bool]:
    steps = [] if path == "$this" else path.split(".")
    if kind == "exists":
        wanted = _node_at(node, steps).get("max", 1) != 0
        return lambda item: any(True for _ in _values(item, steps)) is wanted
    if kind == "type":
        types = {code for code, _ in _node_at(node, steps).get("t", ())}
        return lambda item: _is_of_type(item, steps, types)
    if kind == "profile":
        return lambda item: True
    fixed = _node_at(node, steps)
    fixed_value = fixed.get("f", fixed.get("p"))
    if len(steps) == 2 and isinstance(fixed_value, str):
        return _two_steps(steps[0], steps[1], fixed_value)
    accepts = _acceptor(node, steps, value_sets)
    return lambda item: any(accepts(value) for value in _values(item, steps))


def _two_steps(first: str, second: str, wanted: str) -> Callable[[Any], bool]:
    """The commonest discriminator, ``coding.system``, without the general walk."""

    def belongs(item: Any) -> bool:
        found = item.get(first) if isinstance(item, dict) else None
        for one in found if isinstance(found, list) else (found,):
            if isinstance(one, dict) and one.get(second) == wanted:
                return True
        return False

    return belongs


def _is_of_type(item: Any, steps: list[str], types: set[str]) -> bool:
    for value in _values(item, steps):
        if isinstance(value, dict) and "resourceType" in value:
            return str(value["resourceType"]) in types
    *way, last = steps or [""]
    return any(
        isinstance(parent, dict) and any(f"{last}{code[:1].upper()}{code[1:]}" in parent for code in types)
        for parent in _values(item, way)
    )


def _node_at(node: Json, steps: list[str]) -> Json:
    for step in steps:
        below = node.get("k", {})
        node = below.get(step) or below.get(f"{step}[x]") or {}
    return node


def _acceptor(node: Json, steps: list[str], value_sets: ValueSets) -> Callable[[Any], bool]:
    """The test of a value at the discriminator's path; a pattern may stand at the path or anywhere above it."""
    for depth in range(len(steps) + 1):
        here = _node_at(node, steps[:depth])
        rest = steps[depth:]
        if "f" in here or "p" in here:
            wanted = list(_values(here.get("f", here.get("p")), rest))
            return lambda value: any(holds_pattern(value, one) for one in wanted)
    last = _node_at(node, steps)
    inner = {key: child["f"] for key, child in last.get("k", {}).items() if "f" in child}
    inner |= {key: child["p"] for key, child in last.get("k", {}).items() if "p" in child}
    if inner:
        return lambda value: holds_pattern(value, inner)
    expanded = value_sets.get(last.get("b", "")) or {}
    codes = {(system, code) for system, items in expanded.items() for code in items}
    return lambda value: _is_member(value, codes)


def _is_member(value: Any, codes: set[tuple[str, str]]) -> bool:
    if isinstance(value, str):
        return any(code == value for _, code in codes)
    if not isinstance(value, dict):
        return False
    found = value.get("coding", [value])
    return isinstance(found, list) and any(
        isinstance(item, dict) and (str(item.get("system")), str(item.get("code"))) in codes for item in found
    )


def _values(item: Any, steps: list[str]) -> Iterator[Any]:
    """The values at a path below an item, lists flattened, ``value`` standing for any ``value[x]``."""
    if isinstance(item, list):
        for one in item:
            yield from _values(one, steps)
    elif not steps:
        yield item
    elif isinstance(item, dict):
        step, rest = steps[0], steps[1:]
        if step in item:
            yield from _values(item[step], rest)
        else:
            for key, value in item.items():
                if key.startswith(step) and key[len(step) : len(step) + 1].isupper():
                    yield from _values(value, rest)

"""The quick look: is a payload wholly right as one of our profiles? Yes or no, without paths and without words.

It is compiled from the same closed shape and the same definitions as the full look, and only ever used to skip that
one: "no" means that the full look decides. Where a shape accepts a finite list of values (codes, concepts), each of
them is shown to the full check once, while compiling; what passes there needs no definition at run time. Nothing is
kept between two payloads. A test compares quick and full look on every valid, broken and generated resource.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice, product
from typing import Any

from fhir_profiles import shapes
from fhir_profiles.security_labels import KNOWN
from fhir_profiles.shapes import Report, Shape
from fhir_profiles.validation import primitives
from fhir_profiles.validation.checks import (
    NOT_KNOWN,
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
)
from fhir_profiles.validation.invariants import HOLDS_WITHOUT, Invariant
from fhir_profiles.validation.slices import Slicing

Accept = Callable[[Any, Scope], bool]
_MOST_EXTENSIONS = 24  # as ``shapes.Extensions`` has it
_MOST_VALUES = 400  # a shape with more values than this is not tried out value by value


def values_of(shape: Shape) -> list[Any] | None:
    """Every value a shape accepts, None when they are too many to list."""
    if isinstance(shape, shapes.Text):
        return list(shape.codes) or None
    if isinstance(shape, shapes.Flag):
        return [True, False] if shape.only is None else [shape.only]
    if isinstance(shape, shapes.Coded):
        return [{"system": system, "code": code} for system, code in sorted(shape.allowed)]
    if isinstance(shape, shapes.Many):
        inner = values_of(shape.shape) if (shape.low, shape.high) == (1, 1) else None
        return None if inner is None else [[value] for value in inner]
    if type(shape) is shapes.Record and set(shape.required) == set(shape.fields):
        parts = [values_of(inner) for inner in shape.fields.values()]
        if any(part is None for part in parts):
            return None
        made = list(islice(product(*(part or () for part in parts)), _MOST_VALUES + 1))
        return [dict(zip(shape.fields, values, strict=True)) for values in made] if len(made) <= _MOST_VALUES else None
    return None


def is_proven(shape: Shape, check: Check) -> bool:
    """True when the full check finds nothing wrong with any value that the shape accepts."""
    values = values_of(shape)
    if values is None:
        return False
    report = Report()
    scope = Scope(report, {}, {}, {})
    for value in values:
        check(value, "", scope)
    return not report.issues


def accepts(shape: Shape, check: Check) -> Accept:
    """The quick look at one item that has this shape and this full check."""
    if is_proven(shape, check):
        return _by_shape(shape)
    first, *rest = check.checks if isinstance(check, Combined) else (check,)
    if type(shape) is shapes.Reference and isinstance(first, Record):
        return _reference(shape, check, rest)
    if shape is shapes.LABEL:
        return _label(shape, check)
    if isinstance(shape, shapes.Record) and isinstance(first, Record):
        return _all([_record(shape, first), *map(_quick, rest)])
    if isinstance(shape, shapes.Text) and isinstance(first, Primitive) and not rest:
        return _text(shape, first)
    if isinstance(shape, shapes.Text | shapes.Flag | shapes.Whole):
        return _all([_by_shape(shape), *map(_quick, [first, *rest])])
    if isinstance(shape, shapes.ByType) and isinstance(first, ByKind) and not rest:
        return _resource(shape, first)
    return _slow(shape, check)


def _reference(shape: shapes.Reference, check: Check, rest: list[Check]) -> Accept:
    """A relative reference to a type that both the shape and the profile allow, or one to an entry of that type.

    Such a reference is right for every check of a Reference: it is a string, no fragment, of a target's type.
    """
    if any(not isinstance(one, TargetCheck) for one in rest):
        return _slow(shape, check)
    types = shape.types.intersection(*(one.types for one in rest if isinstance(one, TargetCheck)))
    full, text = _slow(shape, check), shape.fields["reference"]
    is_text = text.accepts if isinstance(text, shapes.Text) else _never

    def accept(value: Any, scope: Scope) -> bool:
        if type(value) is not dict or len(value) != 1:
            return False
        target = value.get("reference")
        if type(target) is not str:
            return False
        kind = shapes.relative_type(target) or scope.entries.get(target)
        if kind is not None:
            return kind in types and (target[:4] != "urn:" or is_text(target))
        return target[:4] == "http" and full(value, scope)

    return accept


def _label(shape: shapes.Record, check: Check) -> Accept:
    """A security label. Each of the closed set was shown to the full look while compiling; any other is shown now."""
    full = _slow(shape, check)
    scope = Scope(Report(), {}, {}, {})
    known = frozenset(one for one in KNOWN if full({"system": one.system, "code": one.code}, scope))

    def accept(value: Any, scope: Scope) -> bool:
        if type(value) is dict and len(value) == 2:
            system, code = value.get("system"), value.get("code")
            if type(system) is str and type(code) is str and (system, code) in known:
                return True
        return full(value, scope)

    return accept


def _never(_: str) -> bool:
    return False


def _all(tests: list[Accept]) -> Accept:
    if len(tests) == 1:
        return tests[0]
    if len(tests) == 2:
        first, second = tests
        return lambda value, scope: first(value, scope) and second(value, scope)
    return lambda value, scope: all(test(value, scope) for test in tests)


def _quick(check: Check) -> Accept:
    """A check in short; one that has no short form is run in full."""
    if isinstance(check, Primitive):
        return _primitive(check)
    if isinstance(check, InvariantCheck | ValueCheck | TargetCheck | CodedCheck):
        return check.holds
    return lambda value, scope: _finds_nothing(check, value, scope)


# What each of these shapes accepts is right for these types; a test tries it. Other pairs are both asked.
IMPLIES: dict[Shape, frozenset[str]] = {
    shapes.ID: frozenset({"id", "string", "code", "uri"}),
    shapes.URI: frozenset({"uri", "url", "canonical", "string", "code"}),
    shapes.TOKEN: frozenset({"code", "string", "uri"}),
    shapes.DATE: frozenset({"date", "dateTime", "string"}),
    shapes.FULL_URL: frozenset({"uri", "string"}),
}


def _text(shape: shapes.Text, check: Primitive) -> Accept:
    """A string: the shape's test and the type's form in one step."""
    if check.codes is not None:
        return _all([_by_shape(shape), check.holds])
    kind, form = primitives.PRIMITIVES[check.code]
    test = shape.accepts
    if kind != primitives.TEXT:
        return _slow(shape, check)
    if check.code in IMPLIES.get(shape, ()):
        return lambda value, scope: type(value) is str and test(value)
    return lambda value, scope: type(value) is str and test(value) and form(value)


def _primitive(check: Primitive) -> Accept:
    """The shape has already looked at the JSON kind of plain values, so the form is left."""
    kind, form = primitives.PRIMITIVES[check.code]
    codes = check.codes
    if kind != primitives.TEXT:
        return check.holds
    if codes is not None:
        return lambda value, scope: value in codes and form(value)
    return lambda value, scope: form(value)


def _resource(shape: shapes.ByType, check: ByKind) -> Accept:
    tests = {kind: _record(shape.shapes[kind], record) for kind, record in check.records.items()}

    def accept(value: Any, scope: Scope) -> bool:
        kind = value.get("resourceType") if type(value) is dict else None
        test = tests.get(kind) if type(kind) is str else None
        return test is not None and test(value, Scope(scope.report, value, value, scope.entries))

    return accept


def _by_shape(shape: Shape) -> Accept:
    """What the shape alone says, for a shape whose definition is proven or a plain value."""
    if isinstance(shape, shapes.Text):
        test = frozenset(shape.codes).__contains__ if shape.codes else shape.accepts
        return lambda value, scope: type(value) is str and test(value)
    if isinstance(shape, shapes.Flag):
        only = shape.only
        return lambda value, scope: (value is True or value is False) and (only is None or value is only)
    if isinstance(shape, shapes.Whole):
        low, high = shape.low, shape.high
        return lambda value, scope: type(value) is int and low <= value <= high
    if isinstance(shape, shapes.Coded):
        return _coding(shape.allowed)
    if isinstance(shape, shapes.Many) and (shape.low, shape.high) == (1, 1):
        inner = _by_shape(shape.shape)
        return lambda value, scope: type(value) is list and len(value) == 1 and inner(value[0], scope)
    if type(shape) is shapes.Record and set(shape.required) == set(shape.fields):
        return _object([(key, _by_shape(item)) for key, item in shape.fields.items()], [], [])
    return _slow(shape, None)


def _coding(allowed: frozenset[tuple[str, str]]) -> Accept:
    def accept(value: Any, scope: Scope) -> bool:
        if type(value) is not dict or len(value) != 2:
            return False
        system, code = value.get("system"), value.get("code")
        return type(system) is str and type(code) is str and (system, code) in allowed

    return accept


def _finds_nothing(check: Check, value: Any, scope: Scope) -> bool:
    report = Report()
    check(value, "", Scope(report, scope.resource, scope.root, scope.entries))
    return not report.issues


def _slow(shape: Shape, check: Check | None) -> Accept:
    """What no quick form is written for is looked at in full."""

    def accept(value: Any, scope: Scope) -> bool:
        report = Report()
        shape.check(value, "", report)
        return not report.issues and (check is None or _finds_nothing(check, value, scope))

    return accept


def _object(required: list[tuple[str, Accept]], optional: list[tuple[str, Accept]], more: list[Invariant]) -> Accept:
    """An object with exactly these keys. Keys are counted, so one that is unknown, or null, is noticed."""
    least = len(required)
    must, may, rules = tuple(required), tuple(optional), tuple(more)

    def accept(value: Any, scope: Scope) -> bool:
        if type(value) is not dict or not value:
            return False
        find = value.get
        for key, test in must:
            item = find(key)
            if item is None or not test(item, scope):
                return False
        count = least
        if len(value) != count:
            for key, test in may:
                item = find(key)
                if item is not None:
                    if not test(item, scope):
                        return False
                    count += 1
            if len(value) != count:
                return False
        for holds in rules:  # noqa: SIM110 - a loop is twice as fast as all() here, and this is the inner loop
            if not holds(value, scope.resource, scope.root):
                return False
        return True

    return accept


def _record(shape: shapes.Record, record: Record) -> Accept:
    """An object: each key in its shape and its definition, then what the definition asks of the whole."""
    if type(shape) is not shapes.Record:  # a shape that looks at more than its keys
        return _slow(shape, record)
    required: list[tuple[str, Accept]] = []
    optional: list[tuple[str, Accept]] = []
    for key, inner in shape.fields.items():
        (required if key in shape.required else optional).append((key, _key(inner, record, key)))
    needs = [keys for _, keys in record.required if not set(keys) & set(shape.required)]
    groups = [keys for _, keys in record.choices if len(keys & shape.fields.keys()) > 1]
    rules = [holds for key, holds in record.invariants if not _is_trivial(key, shape)]
    accept = _object(required, optional, rules)
    if not needs and not groups:
        return accept
    return lambda value, scope: (
        accept(value, scope) and _has_all(needs, value) and all(len(keys & value.keys()) < 2 for keys in groups)
    )


def _has_all(needs: Iterable[tuple[str, ...]], value: Any) -> bool:
    return all(any(key in value for key in keys) for keys in needs)


def _is_trivial(key: str, shape: shapes.Record) -> bool:
    """True when the invariant cannot be broken by what the shape accepts."""
    if key == "ele-1":
        return bool(set(shape.required) - {"id"})
    if key == "ext-1":
        values = [name for name in shape.fields if name.startswith("value")]
        if "extension" in shape.fields:
            return not values and "extension" in shape.required
        return any(name in shape.required for name in values)
    needed = HOLDS_WITHOUT.get(key)
    return needed is not None and not set(needed) & shape.fields.keys()


def _key(shape: Shape, record: Record, key: str) -> Accept:
    if record.is_resource and key == "resourceType":
        return _by_shape(shape)
    child = record.keys.get(key)
    if child is None:
        return _slow(shape, _refuse)
    if not child.is_list:
        return accepts(shape, child.check)
    return _list(shape, child)


def _refuse(value: Any, path: str, scope: Scope) -> None:
    scope.report.add("structure", path, NOT_KNOWN)


def _list(shape: Shape, child: Child) -> Accept:
    if isinstance(shape, shapes.Extensions):
        return _extensions(shape, child)
    if not isinstance(shape, shapes.Many):
        return _slow(shape, None)
    low, high = max(shape.low, child.low, 1), shape.high if child.high < 0 else min(shape.high, child.high)
    one = accepts(shape.shape, child.check)
    if child.slicing is not None:
        return _sliced(shape.shape, child.slicing, one, low, high)
    if (low, high) == (1, 1):
        return lambda value, scope: type(value) is list and len(value) == 1 and one(value[0], scope)

    def accept(value: Any, scope: Scope) -> bool:
        if type(value) is not list or not low <= len(value) <= high:
            return False
        for item in value:  # noqa: SIM110
            if not one(item, scope):
                return False
        return True

    return accept


def _sliced(shape: Shape, slicing: Slicing, other: Accept, low: int, high: int) -> Accept:
    """Each item in the first slice it belongs to, and the count of each."""
    pieces = tuple((piece.belongs, accepts(shape, piece.check)) for piece in slicing.slices)
    bounds = tuple((piece.low, piece.high) for piece in slicing.slices)
    is_closed = slicing.is_closed

    def accept(value: Any, scope: Scope) -> bool:
        if type(value) is not list or not low <= len(value) <= high:
            return False
        counts = [0] * len(pieces)
        for item in value:
            for number, (belongs, test) in enumerate(pieces):
                if belongs(item):
                    if not test(item, scope):
                        return False
                    counts[number] += 1
                    break
            else:
                if is_closed or not other(item, scope):
                    return False
        return all(least <= n and (most < 0 or n <= most) for n, (least, most) in zip(counts, bounds, strict=True))

    return accept


def _of_url(check: Check, url: str) -> Check:
    return check.records[url] if isinstance(check, ByUrl) else check


def _extensions(shape: shapes.Extensions, child: Child) -> Accept:
    """Known URLs only, each in its own shape; counts as the shape and the slices have them."""
    tests = {url: accepts(item, _of_url(child.check, url)) for url, item in shape.records.items()}
    most = dict.fromkeys(shape.records, 1) | dict.fromkeys(shape.repeats, _MOST_EXTENSIONS)
    required = set(shape.required)
    if child.slicing is not None:
        for piece in child.slicing.slices:
            tests[piece.url] = accepts(shape.records[piece.url], piece.check)
            required |= {piece.url} if piece.low else set()
            most[piece.url] = min(most[piece.url], piece.high) if piece.high >= 0 else most[piece.url]
    must = frozenset(required)

    def accept(value: Any, scope: Scope) -> bool:
        if type(value) is not list or not 0 < len(value) <= _MOST_EXTENSIONS:
            return False
        seen: dict[str, int] = {}
        for item in value:
            url = item.get("url") if type(item) is dict else None
            test = tests.get(url) if isinstance(url, str) else None
            if not isinstance(url, str) or test is None or not test(item, scope):
                return False
            seen[url] = seen.get(url, 0) + 1
            if seen[url] > most[url]:
                return False
        return must <= seen.keys()

    return accept

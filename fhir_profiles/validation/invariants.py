"""R4's invariants in plain Python: the ones that our resources and their datatypes carry.

Each takes the element's JSON, the resource it stands in (%resource) and the outermost one (%rootResource), and answers
whether the invariant holds. They meet hostile JSON: a value of a wrong type is reported by the structure, so here it
may count either way, but nothing may be raised. A test holds each against fhirpathpy on generated elements.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from fhir_profiles.validation import references

Node = Mapping[str, Any]
Invariant = Callable[[Node, Node, Node], bool]
UCUM = "http://unitsofmeasure.org"


def _items(node: Any, key: str) -> list[Any]:
    """The values at a key as a list, as FHIRPath sees them."""
    found = node.get(key) if isinstance(node, dict) else None
    if found is None:
        return []
    return [item for item in found if item is not None] if isinstance(found, list) else [found]


def _objects(node: Any, *keys: str) -> Iterator[dict[str, Any]]:
    """The objects at the end of a path of keys."""
    found = [node]
    for key in keys:
        found = [item for parent in found for item in _items(parent, key)]
    return (item for item in found if isinstance(item, dict))


def _has(node: Node, *keys: str) -> bool:
    return any(key in node or f"_{key}" in node for key in keys)


def _has_choice(node: Node, name: str) -> bool:
    start = len(name)
    return any(
        key.removeprefix("_").startswith(name) and key.removeprefix("_")[start : start + 1].isupper() for key in node
    )


_DAY = len("2026-10-01")
# A bare day or month has no zone. It begins somewhere 14 hours before UTC's and ends somewhere 12 hours after.
_EARLIEST, _LATEST = timedelta(hours=14), timedelta(hours=12)


def _span(text: Any) -> tuple[datetime, datetime, bool] | None:
    """First and last moment a FHIR date of any precision may mean, and whether it has a zone; None for no date."""
    if not isinstance(text, str):
        return None
    try:
        if len(text) == len("2026"):
            start = datetime(int(text), 1, 1, tzinfo=UTC)
            return start, datetime(int(text), 12, 31, 23, 59, 59, 999999, tzinfo=UTC), False
        if len(text) == len("2026-10"):
            start = datetime(int(text[:4]), int(text[5:]), 1, tzinfo=UTC)
            return start, (start + timedelta(days=31)).replace(day=1) - timedelta(microseconds=1), False
        moment = datetime.fromisoformat(text)
        if len(text) == _DAY:
            start = moment.replace(tzinfo=UTC)
            return start, start + timedelta(days=1) - timedelta(microseconds=1), False
        moment = moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return moment, moment, True


def is_certainly_before(first: Any, last: Any, days: int = 0) -> bool:
    """True when ``first`` cannot be ``last`` plus these days, nor later: a bare day that holds the other moment is not.

    What is no date is never before: its form is reported where it stands.
    """
    if days == 0 and type(first) is str and type(last) is str and len(first) == len(last) == _DAY:
        return first < last
    one, two = _span(first), _span(last)
    if one is None or two is None:
        return False
    try:
        end = one[1] + (_LATEST if two[2] and not one[2] else timedelta())
        start = two[0] - (_EARLIEST if one[2] and not two[2] else timedelta())
        return end < start + timedelta(days=days)
    except OverflowError:
        return False


def _number(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    return Decimal(str(value))


def _at_least_zero(node: Node, key: str) -> bool:
    number = _number(node.get(key))
    return number is None or number >= 0


def _is_ucum(node: Node) -> bool:
    return not _has(node, "system") or node.get("system") == UCUM


def _distinct(values: list[Any]) -> bool:
    return len(values) == len({repr(value) for value in values})


def _ele_1(node: Node, _: Node, __: Node) -> bool:
    return any(key != "id" for key in node)


def _ext_1(node: Node, _: Node, __: Node) -> bool:
    return _has(node, "extension") != _has_choice(node, "value")


def _per_1(node: Node, _: Node, __: Node) -> bool:
    return "start" not in node or "end" not in node or not is_certainly_before(node["end"], node["start"])


def _rng_2(node: Node, _: Node, __: Node) -> bool:
    low, high = node.get("low"), node.get("high")
    if not isinstance(low, dict) or not isinstance(high, dict):
        return True
    if low.get("code") != high.get("code") or low.get("system") != high.get("system"):
        return True  # two units have no order here
    one, two = _number(low.get("value")), _number(high.get("value"))
    return one is None or two is None or one <= two


def _rat_1(node: Node, _: Node, __: Node) -> bool:
    has_both = _has(node, "numerator") == _has(node, "denominator")
    return has_both and _has(node, "numerator", "extension")


def _age_1(node: Node, _: Node, __: Node) -> bool:
    number = _number(node.get("value"))
    return _dis_1(node, _, __) and (number is None or number > 0)


def _dis_1(node: Node, _: Node, __: Node) -> bool:
    return (_has(node, "code") or not _has(node, "value")) and _is_ucum(node)


def _drt_1(node: Node, _: Node, __: Node) -> bool:
    return not _has(node, "code") or (node.get("system") == UCUM and _has(node, "value"))


def _cnt_3(node: Node, _: Node, __: Node) -> bool:
    is_one = not _has(node, "code") or node.get("code") == "1"
    return _dis_1(node, _, __) and is_one and "." not in str(node.get("value", ""))


def _ref_1(node: Node, resource: Node, root: Node) -> bool:
    reference = node.get("reference")
    if not isinstance(reference, str) or not reference.startswith("#"):
        return True
    if reference == "#":  # what is contained refers to its container
        return resource is not root
    return reference[1:] in references.types_contained(root)


def _tim_9(node: Node, _: Node, __: Node) -> bool:
    meals = {"C", "CM", "CD", "CV"}
    return not _has(node, "offset") or (_has(node, "when") and not meals.intersection(map(str, _items(node, "when"))))


def _trd_3(node: Node, _: Node, __: Node) -> bool:
    kind = node.get("type")
    if kind == "named-event":
        return _has(node, "name")
    if kind == "periodic":
        return _has_choice(node, "timing")
    return not (isinstance(kind, str) and kind.startswith("data-")) or _has(node, "data")


def _dom_3(node: Node, _: Node, __: Node) -> bool:
    """Each contained resource is referred to from its container, or refers to it. Any text that could be the link
    counts as one: here no types are known."""
    contained = [item for item in _objects(node, "contained") if "id" in item]
    if not contained:
        return True
    named = set(_texts(node))
    return all(f"#{item.get('id')}" in named or "#" in set(_texts(item)) for item in contained)


def _texts(value: Any) -> Iterator[str]:
    need = [value]
    while need:
        item = need.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            need += item.values()
        elif isinstance(item, list):
            need += item


def _bdl_3(node: Node, resource: Node, _: Node) -> bool:
    wanted = resource.get("type") in ("batch", "transaction", "history")
    return all(_has(entry, "request") == wanted for entry in _objects(node, "entry"))


def _bdl_4(node: Node, resource: Node, _: Node) -> bool:
    wanted = resource.get("type") in ("batch-response", "transaction-response", "history")
    return all(_has(entry, "response") == wanted for entry in _objects(node, "entry"))


def _bdl_7(node: Node, _: Node, __: Node) -> bool:
    if node.get("type") == "history":
        return True
    seen = []
    for entry in _objects(node, "entry"):
        if _has(entry, "fullUrl"):
            versions = [meta.get("versionId", "") for meta in _objects(entry, "resource", "meta")]
            seen.append(f"{entry.get('fullUrl', '')}{versions[0] if versions else ''}")
    return _distinct(seen)


def _bdl_8(node: Node, _: Node, __: Node) -> bool:
    url = node.get("fullUrl")
    return not isinstance(url, str) or "/_history/" not in url


def _bdl_9(node: Node, _: Node, __: Node) -> bool:
    is_named = any(_has(item, "system") and _has(item, "value") for item in _objects(node, "identifier"))
    return node.get("type") != "document" or is_named


def _first_is(kind: str, bundle_type: str) -> Invariant:
    def holds(node: Node, _: Node, __: Node) -> bool:
        if node.get("type") != bundle_type:
            return True
        entries = _items(node, "entry")
        first = entries[0].get("resource") if entries and isinstance(entries[0], dict) else None
        return isinstance(first, dict) and first.get("resourceType") == kind

    return holds


def _obs_7(node: Node, resource: Node, _: Node) -> bool:
    if not _has_choice(node, "value"):
        return True
    ours = {_code_key(item) for item in _objects(resource, "code", "coding")}
    return not any(_code_key(item) in ours for item in _objects(node, "component", "code", "coding"))


def _code_key(item: Node) -> str:
    return repr(sorted(item.items(), key=lambda pair: pair[0]))


def _app_3(node: Node, _: Node, __: Node) -> bool:
    return (_has(node, "start") and _has(node, "end")) or node.get("status") in ("proposed", "cancelled", "waitlist")


def _app_4(node: Node, _: Node, __: Node) -> bool:
    return not _has(node, "cancelationReason") or node.get("status") in ("noshow", "cancelled")


def _inv_1(node: Node, _: Node, __: Node) -> bool:
    return (
        "lastModified" not in node
        or "authoredOn" not in node
        or not is_certainly_before(node["lastModified"], node["authoredOn"])
    )


def _org_home(node: Node, _: Node, __: Node) -> bool:
    return node.get("use") != "home"


def _cpb_7(node: Node, _: Node, __: Node) -> bool:
    return _distinct([f"{item.get('profile', '')}{item.get('mode', '')}" for item in _objects(node, "document")])


def _mrp_2(node: Node, _: Node, __: Node) -> bool:
    strata = _objects(node, "group", "stratifier", "stratum")
    return all(_has(item, "value") != _has(item, "component") for item in strata)


def _needs(key: str, *needed: str) -> Invariant:
    """The invariant "no ``key`` without one of ``needed``"."""
    return lambda node, _, __: not _has(node, key) or _has(node, *needed)


def _one_of(*keys: str) -> Invariant:
    return lambda node, _, __: _has(node, *keys)


def _exactly_one(first: str, second: str) -> Invariant:
    return lambda node, _, __: _has(node, first) != _has(node, second)


def _not_both(first: str, second: str) -> Invariant:
    return lambda node, _, __: not (_has(node, first) and _has(node, second))


def _unique(key: str, inner: str) -> Invariant:
    return lambda node, _, __: _distinct([value for item in _objects(node, key) for value in _items(item, inner)])


def _contained_lacks(*path: str) -> Invariant:
    *way, last = path
    return lambda node, _, __: not any(_has(item, last) for item in _objects(node, "contained", *way))


def _needs_patient(scope: str) -> Invariant:
    """A Consent of this scope names its patient; R4 asks for a code system called "something"."""
    return lambda node, _, __: (
        _has(node, "patient")
        or not any(
            item.get("system") == "something" and item.get("code") == scope
            for item in _objects(node, "scope", "coding")
        )
    )


def _always(_: Node, __: Node, ___: Node) -> bool:
    return True


NATIVE: dict[str, Invariant] = {
    "age-1": _age_1,
    "app-1": _one_of("type", "actor"),
    "app-2": lambda node, _, __: _has(node, "start") == _has(node, "end"),
    "app-3": _app_3,
    "app-4": _app_4,
    "att-1": _needs("data", "contentType"),
    "bdl-1": lambda node, _, __: not _has(node, "total") or node.get("type") in ("searchset", "history"),
    "bdl-2": lambda node, _, __: (
        node.get("type") == "searchset" or not any(_has(entry, "search") for entry in _objects(node, "entry"))
    ),
    "bdl-3": _bdl_3,
    "bdl-4": _bdl_4,
    "bdl-5": _one_of("resource", "request", "response"),
    "bdl-7": _bdl_7,
    "bdl-8": _bdl_8,
    "bdl-9": _bdl_9,
    "bdl-10": lambda node, _, __: node.get("type") != "document" or "timestamp" in node,
    "bdl-11": _first_is("Composition", "document"),
    "bdl-12": _first_is("MessageHeader", "message"),
    "cnt-3": _cnt_3,
    "cpb-1": _one_of("rest", "messaging", "document"),
    "cpb-2": _one_of("description", "software", "implementation"),
    "cpb-3": lambda node, _, __: (
        node.get("kind") == "instance" or not any(_has(item, "endpoint") for item in _objects(node, "messaging"))
    ),
    "cpb-7": _cpb_7,
    "cpb-9": _unique("resource", "type"),
    "cpb-12": _unique("searchParam", "name"),
    "cpb-14": lambda node, _, __: node.get("kind") != "instance" or _has(node, "implementation"),
    "cpb-15": lambda node, _, __: (
        node.get("kind") != "capability" or (not _has(node, "implementation") and _has(node, "software"))
    ),
    "cpb-16": lambda node, _, __: node.get("kind") != "requirements" or not _has(node, "implementation", "software"),
    "cpt-2": _needs("value", "system"),
    "dis-1": _dis_1,
    "dom-2": _contained_lacks("contained"),
    "dom-3": _dom_3,
    "dom-4": lambda node, _, __: (
        not any(_has(item, "versionId", "lastUpdated") for item in _objects(node, "contained", "meta"))
    ),
    "dom-5": _contained_lacks("meta", "security"),
    "drq-1": _exactly_one("path", "searchParam"),
    "drq-2": _exactly_one("path", "searchParam"),
    "drt-1": _drt_1,
    "ele-1": _ele_1,
    "exp-1": _one_of("expression", "reference"),
    "ext-1": _ext_1,
    "inv-1": _inv_1,
    "mrp-1": lambda node, _, __: node.get("type") != "data-collection" or not _has(node, "group"),
    "mrp-2": _mrp_2,
    "obs-3": _one_of("low", "high", "text"),
    "obs-6": lambda node, _, __: not (_has(node, "dataAbsentReason") and _has_choice(node, "value")),
    "obs-7": _obs_7,
    "org-1": _one_of("identifier", "name"),
    "org-2": _org_home,
    "org-3": _org_home,
    "pat-1": _one_of("name", "telecom", "address", "organization"),
    "per-1": _per_1,
    "ppc-1": _one_of("policy", "policyRule"),
    "ppc-2": _needs_patient("patient-privacy"),
    "ppc-3": _needs_patient("research"),
    "ppc-4": _needs_patient("adr"),
    "ppc-5": _needs_patient("treatment"),
    "prr-1": _needs("orderDetail", "code"),
    "qty-3": _needs("code", "system"),
    "rat-1": _rat_1,
    "ref-1": _ref_1,
    "rng-2": _rng_2,
    "sev-1": _not_both("name", "query"),
    "tim-1": _needs("duration", "durationUnit"),
    "tim-2": _needs("period", "periodUnit"),
    "tim-4": lambda node, _, __: _at_least_zero(node, "duration"),
    "tim-5": lambda node, _, __: _at_least_zero(node, "period"),
    "tim-6": _needs("periodMax", "period"),
    "tim-7": _needs("durationMax", "duration"),
    "tim-8": _needs("countMax", "count"),
    "tim-9": _tim_9,
    "tim-10": _not_both("timeOfDay", "when"),
    "trd-1": lambda node, _, __: not (_has(node, "data") and _has_choice(node, "timing")),
    "trd-2": _needs("condition", "data"),
    "trd-3": _trd_3,
    # The narrative's content is checked where its type is: see ``narrative``.
    "txt-1": _always,
    "txt-2": _always,
}

# An invariant that cannot be broken where none of these keys is allowed: the quick look leaves it out there.
HOLDS_WITHOUT: dict[str, tuple[str, ...]] = {
    "app-4": ("cancelationReason",),
    "att-1": ("data",),
    "bdl-1": ("total",),
    "cpt-2": ("value",),
    "dom-2": ("contained",),
    "dom-3": ("contained",),
    "dom-4": ("contained",),
    "dom-5": ("contained",),
    "drt-1": ("code",),
    "inv-1": ("lastModified",),
    "obs-6": ("dataAbsentReason",),
    "obs-7": ("component",),
    "prr-1": ("orderDetail",),
    "qty-3": ("code",),
}

"""Every element of our profiles broken once in each way it can be: each mistake is told at its place, never repeated.

The mistakes come from the published snapshots, which are read here and not by the gate's own reader, so that what the
compiler of the gate forgets is seen. One break for each place in a definition and each kind of mistake.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import pytest

from fhir_profiles.terminology import profile
from fhir_profiles.validation import PROFILES, gate, validate
from fhir_profiles.validation.examine import examine

Payload = dict[str, Any]
Way = tuple[Any, ...]
CANARY = "CANARY-12-Hidden-Lane"
NO_TEXTS = ("boolean", "integer", "positiveInt", "unsignedInt", "decimal")
OURS = profile("")
DATES = ("date", "dateTime", "instant")
# Codes of an open list: any language may be spoken.
OPEN = re.compile(r".*#Extension\.extension:language\.value\[x\]|.*Task\.statusReason.*|.*purposeOfUse.*")


@dataclass(frozen=True)
class Mistake:
    """One thing wrong: its kind, the element's place in its definition, where it may be told, and how it is made."""

    kind: str
    place: str
    told_at: tuple[str, ...]
    way: Way
    change: Callable[[Any, Any], None]

    def made_in(self, payload: Payload) -> Payload:
        broken = deepcopy(payload)
        target: Any = broken
        for step in self.way[:-1]:
            target = target[step]
        self.change(target, self.way[-1])
        return broken


def put(value: Any) -> Callable[[Any, Any], None]:
    def change(target: Any, step: Any) -> None:
        target[step] = value

    return change


def remove(target: Any, step: Any) -> None:
    del target[step]


def at(payload: Any, way: Way) -> Any:
    for step in way:
        payload = payload[step]
    return payload


def is_text(kind: str) -> bool:
    return kind == "String" or (kind[:1].islower() and kind not in NO_TEXTS)


def wrong_kinds(slot: Any) -> list[Any]:
    """Values of another JSON kind than this element has."""
    if isinstance(slot.value, list) or (slot.value is None and slot.element["max"] not in ("0", "1")):
        return [CANARY, [], {CANARY: 1}]
    if slot.kind[:1].isupper() and slot.kind != "String":
        return [CANARY, {}, [{}], 7]
    if is_text(slot.kind):
        return [7, True, {CANARY: CANARY}, [CANARY]]
    return ["true", {CANARY: 1}, None]


def parent_of(expression: str) -> str:
    return expression.rpartition(".")[0] or expression


def slice_mistakes(payload: Payload, slot: Any) -> Iterator[Mistake]:
    way, value = (*slot.parent, slot.key), slot.value
    if slot.element.get("min") and slot.items:
        rest = [item for n, item in enumerate(value) if n not in slot.items]
        yield Mistake("slice missing", slot.place, (slot.expression,), way, put(rest) if rest else remove)
    if slot.element["max"] != "*" and slot.items:
        position = len(value)
        more = [*value, *(deepcopy(value[slot.items[0]]) for _ in range(int(slot.element["max"])))]
        told_at = (slot.expression, *(f"{slot.expression}[{n}]" for n in range(position, len(more))))
        yield Mistake("slice too many", slot.place, told_at, way, put(more))


def present_mistakes(payload: Payload, slot: Any) -> Iterator[Mistake]:
    way, here, above = (*slot.parent, slot.key), slot.expression, parent_of(slot.expression)
    many = isinstance(slot.value, list)
    item, place = ((*way, 0), f"{here}[0]") if many else (way, here)
    first = slot.value[0] if many else slot.value
    if slot.element.get("min"):
        is_only = len(at(payload, slot.parent)) == 1
        gone = (above,) if is_only or slot.key == "url" else (here,)
        yield Mistake("missing", slot.place, gone, way, remove)
    if many and slot.element["max"] != "*":
        more = [deepcopy(first) for _ in range(int(slot.element["max"]) + 1)]
        yield Mistake("too many", slot.place, (here,), way, put(more))
    strange = (here, above) if slot.key == "url" else (here,)  # told as an extension that nobody knows
    for number, other in enumerate(wrong_kinds(slot)):
        yield Mistake(f"type {number}", slot.place, strange, way, put(other))
    if many:
        other = {CANARY: 1} if isinstance(first, str) else CANARY
        yield Mistake("type of item", slot.place, (place,), item, put(other))
    if isinstance(first, dict):
        yield Mistake("unknown element", slot.place, (place,), (*item, CANARY), put(CANARY))
    yield from value_mistakes(payload, slot, item, place, first)


def value_mistakes(payload: Payload, slot: Any, item: Way, place: str, first: Any) -> Iterator[Mistake]:
    above = parent_of(slot.expression)
    if slot.kind in DATES and isinstance(first, str):
        yield Mistake("date", slot.place, (place,), item, put("2026-02-30"))
    if is_text(slot.kind) and isinstance(first, str):
        yield Mistake("form", slot.place, (place, above), item, put("" if slot.kind in ("string", "markdown") else " "))
    if slot.element.get("binding", {}).get("strength") == "required" and not OPEN.fullmatch(slot.place):
        for where, told_at, change in wrong_codes(slot, item, place, first):
            yield Mistake("binding", slot.place, told_at, where, change)
    if any(key.startswith(("fixed", "pattern")) for key in slot.element):
        other = not first if isinstance(first, bool) else "no-such-value" if isinstance(first, str) else {"x": 1}
        if isinstance(first, dict):
            other = {key: value for key, value in first.items() if key != next(iter(first))} or {"id": "x"}
        above_too = (place, above, parent_of(above), above.rpartition("[")[0] or above)
        yield Mistake("fixed value", slot.place, above_too, item, put(other))
    if slot.kind == "Reference" and isinstance(first, dict) and "reference" in first:
        told_at = (f"{place}.reference",)
        yield Mistake("target", slot.place, told_at, (*item, "reference"), put("Binary/1"))


def wrong_codes(slot: Any, item: Way, place: str, first: Any) -> Iterator[tuple[Way, tuple[str, ...], Any]]:
    """A code outside the value set, in a code, a Coding or every coding of a concept."""
    if isinstance(first, str):
        yield item, (place, parent_of(place)), put("no-such-code")
    elif "code" in first:
        yield (*item, "code"), (place, f"{place}.code"), put("no-such-code")
    elif "coding" in first:
        codings = [{**coding, "code": "no-such-code"} for coding in first["coding"]]
        yield (*item, "coding"), (place,), put(codings)


def absent_mistakes(slot: Any) -> Iterator[Mistake]:
    """An element that is not there, put in wrongly: told at its place, or where the profile has no room for it."""
    above = parent_of(slot.expression)
    told_at = (slot.expression, above)
    kind = "forbidden" if slot.element["max"] == "0" else "type of absent"
    yield Mistake(kind, slot.place, told_at, (*slot.parent, slot.key), put(wrong_kinds(slot)[0]))


def mistakes(payload: Payload, slots: list[Any]) -> Iterator[Mistake]:
    for slot in slots:
        parent = at(payload, slot.parent)
        if slot.key == "resourceType" or isinstance(parent, str):
            continue
        if slot.items is not None:
            yield from slice_mistakes(payload, slot)
        elif slot.value is None:
            yield from absent_mistakes(slot)
        else:
            yield from present_mistakes(payload, slot)


def is_told(mistake: Mistake, told: list[str]) -> bool:
    """At one of the places, or inside the first of them."""
    first = mistake.told_at[0]
    return any(one in mistake.told_at or one.startswith((f"{first}.", f"{first}[")) for one in told)


@dataclass
class Told:
    """What became of every mistake: how many of each kind, which element has which, and those the gate missed."""

    counts: Counter[str]
    kinds_at: dict[str, set[str]]
    missed: list[Any]


@pytest.fixture
def told(every_example: list[Any], slots: Callable[..., list[Any]]) -> Told:
    """Every mistake that can be made, each once, shown to the gate."""
    made = Told(Counter(), {}, [])
    seen: set[tuple[str, ...]] = set()
    for example in sorted(every_example, key=lambda one: one.profile == "referral-bundle"):
        for mistake in mistakes(example.payload, slots(example)):
            # R4's own datatypes stand in many profiles, and each profile compiles them anew.
            key = (mistake.kind, mistake.place, "" if mistake.place.startswith(OURS) else example.profile)
            if key not in seen:
                seen.add(key)
                kind = mistake.kind.rstrip(" 0123")
                made.counts[kind] += 1
                made.kinds_at.setdefault(mistake.place, set()).add(kind)
                show(example, mistake, made)
    return made


def show(example: Any, mistake: Mistake, made: Told) -> None:
    """To the gate, and where there is a quick look, to both looks."""
    broken = mistake.made_in(example.payload)
    is_guarded = example.profile in PROFILES
    issues = [i for i in (validate if is_guarded else examine)(broken, example.profile) if i.severity == "error"]
    expressions = [issue.expression for issue in issues]
    if not is_told(mistake, expressions):
        made.missed.append((example.name, mistake.kind, mistake.place, expressions))
    assert "CANARY" not in repr(issues)
    if is_guarded:
        assert issues == gate.look_in_full(broken, example.profile, "V", str(example.payload["resourceType"]))


# As many of each kind as there are at least: a kind that is no longer made is noticed.
LEAST = {
    "missing": 300,
    "too many": 80,
    "slice missing": 15,
    "slice too many": 25,
    "binding": 40,
    "fixed value": 90,
    "target": 25,
    "date": 15,
    "form": 200,
    "type": 1500,
    "type of item": 80,
    "type of absent": 80,
    "forbidden": 800,
    "unknown element": 150,
}


def test_each_element_of_our_profiles_broken_in_each_way_is_told_at_its_place(
    told: Told, published: Callable[[], dict[str, Any]]
) -> None:
    """What is left out, doubled, of a wrong kind, a wrong code, a day that does not exist, a strange element: thousands
    of mistakes, one for each element and way, each told where it is, and none of the sender's words with it."""
    assert told.missed == []
    assert {kind: count for kind, count in told.counts.items() if count < LEAST[kind]} == {}
    assert told.counts.keys() == LEAST.keys()
    assert sum(told.counts.values()) >= 4500
    elements = [one for url, item in published().items() if url.startswith(OURS) for one in elements_of(item)]
    assert len(elements) > 1500
    assert [place for place, element in elements if missing_kinds(element, told.kinds_at.get(place, set()))] == []


def elements_of(definition: Payload) -> Iterator[tuple[str, Payload]]:
    """The elements a sender can get wrong: not those inside what is forbidden, of a primitive, or beside the slices."""
    by_id = {element["id"]: element for element in definition["snapshot"]["element"]}
    for name, element in by_id.items():
        above = [name[: dot.start()] for dot in re.finditer(r"\.", name)]
        if above and not any(
            by_id[one]["max"] == "0" or is_simple(by_id[one]) or is_closed(by_id, one) for one in above[1:]
        ):
            yield f"{definition['url']}#{name}", element


def is_simple(element: Payload) -> bool:
    return any(one["code"][:1].islower() for one in element.get("type", ()))


def is_closed(by_id: dict[str, Payload], name: str) -> bool:
    """Every item of a closed list is of a slice, so what is said of items in general is said of no other."""
    return by_id[name].get("slicing", {}).get("rules") == "closed"


def missing_kinds(element: Payload, kinds: set[str]) -> set[str]:
    """What can be broken in this element, and was not."""
    name = element["id"].rpartition(".")[2]
    if "contentReference" in element:
        return set()  # it says "as that other element", and that one is broken where it stands
    if ":" in name and "[x]:" not in name:
        return ({"slice missing"} if element["min"] else set()) - kinds
    if element["max"] == "0":
        return {"forbidden"} - kinds
    wanted = {"missing"} if element["min"] else set()
    if element.get("binding", {}).get("strength") == "required" and not OPEN.fullmatch(f"#{element['id']}"):
        wanted |= {"binding"}
    if any(key.startswith(("fixed", "pattern")) for key in element):
        wanted |= {"fixed value"}
    return wanted - kinds if kinds & {"type", "type of absent"} else wanted | {"type"}

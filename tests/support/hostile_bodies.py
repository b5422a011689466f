"""Hostile bodies, each told by a recipe of a few bytes: which right example to begin with, and what to do to it.

Hypothesis draws recipes and shrinks them: fewer steps, smaller numbers. The same recipe makes the same body every time.
Half of the work is done on the JSON tree, so that most bodies still get past the first look; the rest on raw bytes. A
canary stands in the values and keys that a recipe plants, and, where it does no harm, in those of the examples.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from hostile_values import (
    ABOUT,
    CANARY,
    CLAIMS,
    DATES,
    KINDS,
    LABELS,
    NARRATIVES,
    NUMBERS,
    ODD,
    REFERENCES,
    SNIPPETS,
    TYPES,
    UNKNOWN_KEYS,
)

Payload = dict[str, Any]
HEAD, STEP, MOST_STEPS = 4, 5, 6
LENGTH = HEAD + STEP * MOST_STEPS  # bytes of a recipe
_MOST_PLACES = 1000
_LARGE = 1_200_000  # characters; no step grows a body by much more
_TIMES = (*(2, 3, 1, 2, 3, 7, 2, 30) * 4, 300, 2, 3000, 12_000)
_DEPTHS = (1, 2, 3, 8, 30, 38, 41, 45, 90)
Place = tuple[Any, Any]  # a dict or list, and a key or position of it


@dataclass(frozen=True)
class Base:
    """A right example: its name, the profile it is right as, and its text."""

    name: str
    profile: str
    text: str


class Recipe:
    """What to do to which example. Equal bytes make equal bodies."""

    def __init__(self, told: bytes) -> None:
        self.told = told
        self.base, self.profile, self.count, self.mode = told[:HEAD]

    def __repr__(self) -> str:
        return f"Recipe(bytes.fromhex({self.told.hex()!r}))"

    @property
    def steps(self) -> Iterator[tuple[int, int, int]]:
        """Of each step: the operation, the place, and with what."""
        for start in range(HEAD, HEAD + STEP * (self.count % (MOST_STEPS + 1)), STEP):
            one = self.told[start : start + STEP]
            yield one[0], int.from_bytes(one[1:3], "big"), int.from_bytes(one[3:5], "big")


class Kitchen:
    """The examples and what is known of them: makes the body of a recipe."""

    def __init__(self, bases: Sequence[Base], names: Iterable[str]) -> None:
        self.bases = bases
        self.names = sorted(names)

    @cached_property
    def pool(self) -> dict[str, list[Any]]:
        """Key -> what stands there in any example."""
        found: dict[str, dict[str, Any]] = {}
        for base in self.bases:
            for parent, key in _places(json.loads(base.text)):
                if isinstance(key, str):
                    found.setdefault(key, {}).setdefault(json.dumps(parent[key]), parent[key])
        return {key: list(values.values()) for key, values in found.items()}

    def base(self, recipe: Recipe) -> Base:
        """The example that a recipe begins with."""
        return self.bases[recipe.base % len(self.bases)]

    def body(self, recipe: Recipe) -> bytes:
        """The body, JSON or what is left of it."""
        payload: Any = json.loads(self.base(recipe).text)
        steps = list(recipe.steps)
        try:
            for number, where, what in steps:
                if not _is_raw(recipe, number):
                    payload = TREE[number % len(TREE)](self, payload, where, what)
            text = json.dumps(payload, ensure_ascii=recipe.mode % 8 < 4, separators=(",", ":"))
            body = text.encode("utf-8", "surrogatepass")
        except RecursionError:  # deeper than Python writes
            body = b"[" * 2000
        for number, where, what in steps:
            if _is_raw(recipe, number):
                body = RAW[number // 2 % len(RAW)](self, body, where, what)
        return body


def _is_raw(recipe: Recipe, number: int) -> bool:
    """Whether a step works on bytes: some do, in every fourth recipe."""
    return recipe.mode % 4 == 3 and number % 2 == 1


def _copy(value: Any) -> Any:
    return json.loads(json.dumps(value))


def _places(payload: Any) -> list[Place]:
    """The first thousand values inside, each by its parent and its key there."""
    found: list[Place] = []
    need = [payload]
    while need and len(found) < _MOST_PLACES:
        item = need.pop()
        keys: Iterable[Any] = item if isinstance(item, dict) else range(len(item)) if isinstance(item, list) else ()
        for key in keys:
            found.append((item, key))
            if isinstance(item[key], dict | list):
                need.append(item[key])
    return found


def _pick(payload: Any, where: int, is_fit: Callable[[Any, Any], bool] | None = None) -> Place | None:
    """One place of those that fit."""
    fit = _places(payload)
    if is_fit is not None:
        fit = [(parent, key) for parent, key in fit if is_fit(parent[key], key)]
    return fit[where % len(fit)] if fit else None


def _one(values: Sequence[Any], what: int) -> Any:
    """One of the values; of a list or an object a copy, for later steps change what they meet."""
    value = values[what % len(values)]
    return _copy(value) if isinstance(value, dict | list) else value


def _resources(payload: Any) -> list[Payload]:
    inside = [parent[key] for parent, key in _places(payload)]
    return [one for one in (payload, *inside) if isinstance(one, dict) and "resourceType" in one]


def _objects(payload: Any) -> list[Payload]:
    inside = [parent[key] for parent, key in _places(payload)]
    return [one for one in (payload, *inside) if isinstance(one, dict)]


def _some_of(found: list[Payload], where: int) -> Payload:
    return found[where % len(found)] if found else {}


def _put(into: Payload, key: str, value: Any) -> None:
    """Put an item into the list at a key, whatever stands there now."""
    there = into.get(key)
    into[key] = [*there, value] if isinstance(there, list) else [value]


# Steps on the tree. Each gets the payload and two numbers, and gives the payload back.


def _leave(_: Kitchen, payload: Any, where: int, what: int) -> Any:
    return payload


def _delete(_: Kitchen, payload: Any, where: int, what: int) -> Any:
    place = _pick(payload, where)
    if place is not None:
        del place[0][place[1]]
    return payload


def _retype(_: Kitchen, payload: Any, where: int, what: int) -> Any:
    place = _pick(payload, where)
    if place is not None:
        place[0][place[1]] = _one(KINDS, what)(place[0][place[1]])
    return payload


def _odd(_: Kitchen, payload: Any, where: int, what: int) -> Any:
    place = _pick(payload, where)
    if place is not None:
        place[0][place[1]] = _one(ODD, what)
    return payload


def _odd_text(_: Kitchen, payload: Any, where: int, what: int) -> Any:
    place = _pick(payload, where, lambda value, key: isinstance(value, str))
    if place is not None:
        place[0][place[1]] = _one([one for one in ODD if isinstance(one, str)], what)
    return payload


def _same_key(kitchen: Kitchen, payload: Any, where: int, what: int) -> Any:
    """What stands at this key in another example: often right as well."""
    place = _pick(payload, where, lambda value, key: key in kitchen.pool)
    if place is not None:
        place[0][place[1]] = _one(kitchen.pool[place[1]], what)
    return payload


def _rename(kitchen: Kitchen, payload: Any, where: int, what: int) -> Any:
    place = _pick(payload, where, lambda value, key: isinstance(key, str))
    if place is not None:
        parent, key = place
        makers = (
            f"_{key}",
            key.upper(),
            f"{key} ",
            f"{key}\u200d",
            CANARY,
            f"{key}{CANARY}",
            key.replace("e", "\u0435"),  # Cyrillic
            _one(kitchen.names, what),
            "",
        )
        parent[_one(makers, what)] = parent.pop(key)
    return payload


def _move(_: Kitchen, payload: Any, where: int, what: int) -> Any:
    source, target = _pick(payload, where), _pick(payload, what)
    if source is not None and target is not None:
        value = _copy(source[0][source[1]])
        target[0][target[1]] = value
        if where % 2 and source[1] in source[0]:
            source[0].pop(source[1])
    return payload


def _swap(_: Kitchen, payload: Any, where: int, what: int) -> Any:
    one, other = _pick(payload, where), _pick(payload, what)
    if one is not None and other is not None:
        first, second = _copy(one[0][one[1]]), _copy(other[0][other[1]])
        one[0][one[1]], other[0][other[1]] = second, first
    return payload


def _times(item: Any, what: int) -> int:
    return max(1, min(_one(_TIMES, what), _LARGE // max(1, len(json.dumps(item)))))


def _repeat(_: Kitchen, payload: Any, where: int, what: int) -> Any:
    place = _pick(payload, where, lambda value, key: isinstance(value, list) and bool(value))
    if place is not None:
        parent, key = place
        items = parent[key]
        parent[key] = items + [_one(items, what // 36)] * _times(items[0], what)
    return payload


def _reorder(_: Kitchen, payload: Any, where: int, what: int) -> Any:
    place = _pick(payload, where, lambda value, key: isinstance(value, list) and len(value) > 1)
    if place is not None:
        random.Random(what).shuffle(place[0][place[1]])
    return payload


def _grow(_: Kitchen, payload: Any, where: int, what: int) -> Any:
    place = _pick(payload, where, lambda value, key: isinstance(value, str))
    if place is not None:
        piece = (CANARY, place[0][place[1]], " ", "a/", "=", "<b>", "a\u0301", "\U0001f600", "9", ".1", "\\", '"')
        text = str(_one(piece, what // 36)) or " "
        place[0][place[1]] = text * (_times(text, what) * (5 if what % 16 == 0 else 1))
    return payload


def _unknown_key(_: Kitchen, payload: Any, where: int, what: int) -> Any:
    into = _some_of(_objects(payload), where)
    into[_one(UNKNOWN_KEYS, what)] = _one(ODD, what // len(UNKNOWN_KEYS))
    return payload


def _known_key(kitchen: Kitchen, payload: Any, where: int, what: int) -> Any:
    """An element that R4 or a profile has somewhere, with a value that it may have or an odd one."""
    into = _some_of(_objects(payload), where)
    if what % 2:
        key = _one(sorted(kitchen.pool), what)
        into[key] = _one(kitchen.pool[key], where)
    else:
        into[_one(kitchen.names, what)] = _one(ODD, where)
    return payload


def _label(_: Kitchen, payload: Any, where: int, what: int) -> Any:
    resource = _some_of(_resources(payload), where)
    meta = resource.get("meta")
    meta = dict(meta) if isinstance(meta, dict) else {}
    _put(meta, "security", _one(LABELS, what))
    resource["meta"] = meta
    return payload


def _reference(_: Kitchen, payload: Any, where: int, what: int) -> Any:
    place = _pick(payload, where, lambda value, key: key in ("reference", "fullUrl"))
    if place is not None:
        place[0][place[1]] = _one(REFERENCES, what)
    return payload


def _extension(_: Kitchen, payload: Any, where: int, what: int) -> Any:
    inner: Payload = {"url": _one(CLAIMS, what), "valueString": CANARY}
    for _level in range(_one(_DEPTHS, what // 16)):
        inner = {"url": _one(CLAIMS, what), "extension": [inner]}
    _put(_some_of(_objects(payload), where), _one(("extension", "modifierExtension"), what // 7), inner)
    return payload


def _contained(kitchen: Kitchen, payload: Any, where: int, what: int) -> Any:
    inner: Payload = {"resourceType": _one(TYPES, what), "id": _one(("a", CANARY, "", 7), what)}
    if what % 3 == 0:
        inner = json.loads(_one(kitchen.bases, what).text)
    for _level in range(_one((0, 0, 0, 1, 3, 17), what // 8)):
        inner = {"resourceType": _one(TYPES, what // 2), "id": CANARY, "contained": [inner]}
    _put(_some_of(_resources(payload), where), "contained", inner)
    return payload


def _claim(_: Kitchen, payload: Any, where: int, what: int) -> Any:
    meta = _some_of(_resources(payload), where).setdefault("meta", {})
    if isinstance(meta, dict):
        _put(meta, "profile", _one(CLAIMS, what))
    return payload


def _date(_: Kitchen, payload: Any, where: int, what: int) -> Any:
    place = _pick(payload, where, lambda value, key: isinstance(value, str) and value[:2] in ("19", "20"))
    if place is not None:
        place[0][place[1]] = _one(DATES, what)
    return payload


def _beside(_: Kitchen, payload: Any, where: int, what: int) -> Any:
    place = _pick(payload, where, lambda value, key: isinstance(key, str))
    if place is not None:
        place[0][f"_{place[1]}"] = _one(ABOUT, what)
        if what % 4 == 0:
            del place[0][place[1]]
    return payload


def _nest(_: Kitchen, payload: Any, where: int, what: int) -> Any:
    place = _pick(payload, where)
    if place is not None:
        value = _copy(place[0][place[1]])
        for _level in range(_one(_DEPTHS, what)):
            value = [value] if what % 2 else {place[1] if isinstance(place[1], str) else "item": value}
        place[0][place[1]] = value
    return payload


def _entries(_: Kitchen, payload: Any, where: int, what: int) -> Any:
    """Entries of a Bundle twice, with another's address, or with another's resource."""
    entries = payload.get("entry") if isinstance(payload, dict) else None
    if isinstance(entries, list) and entries:
        one, other = _one(entries, where), _one(entries, where // 64)
        if isinstance(one, dict) and isinstance(other, dict):
            changed = _one(("", "fullUrl", "resource"), what)
            one |= {changed: other.get(changed)} if changed else {}
        if what % 5:
            entries.append(one)
        else:
            entries[where % len(entries)] = one
    return payload


def _type(_: Kitchen, payload: Any, where: int, what: int) -> Any:
    _some_of(_resources(payload), where)["resourceType"] = _one(TYPES, what)
    return payload


def _narrative(_: Kitchen, payload: Any, where: int, what: int) -> Any:
    text = {"status": _one(("generated", "additional", CANARY), what), "div": _one(NARRATIVES, what)}
    _some_of(_resources(payload), where)["text"] = text
    return payload


def _number(_: Kitchen, payload: Any, where: int, what: int) -> Any:
    place = _pick(payload, where, lambda value, key: isinstance(value, int | float))
    if place is not None:
        place[0][place[1]] = _one(NUMBERS, what)
    return payload


TreeStep = Callable[[Kitchen, Any, int, int], Any]
TREE: tuple[TreeStep, ...] = (
    _leave, _delete, _retype, _odd, _odd_text, _same_key, _rename, _move, _swap, _repeat, _reorder, _grow, _unknown_key,
    _known_key, _label, _reference, _extension, _contained, _claim, _date, _beside, _nest, _entries, _type, _narrative,
    _number, _same_key, _same_key, _reorder, _date, _label, _delete,
)  # fmt: skip


# Steps on bytes.


def _flip(_: Kitchen, body: bytes, where: int, what: int) -> bytes:
    if not body:
        return body
    position = _spread(where, body)
    return body[:position] + bytes([body[position] ^ (1 << what % 8)]) + body[position + 1 :]


def _spread(number: int, body: bytes) -> int:
    """A position in a body of any length."""
    return number * 15_485_863 % max(1, len(body))


def _cut(_: Kitchen, body: bytes, where: int, what: int) -> bytes:
    position = _spread(where, body)
    return body[position:] if what % 2 else body[:position]


def _splice(kitchen: Kitchen, body: bytes, where: int, what: int) -> bytes:
    other = _one(kitchen.bases, what).text.encode()
    start = _spread(what, other)
    position = _spread(where, body)
    return body[:position] + other[start : start + where % 200] + body[position + where % 7 :]


def _insert(_: Kitchen, body: bytes, where: int, what: int) -> bytes:
    position = _spread(where, body)
    return body[:position] + _one(SNIPPETS, what) + body[position:]


def _drop(_: Kitchen, body: bytes, where: int, what: int) -> bytes:
    position = _spread(where, body)
    return body[:position] + body[position + 1 + what % 64 :]


def _again(_: Kitchen, body: bytes, where: int, what: int) -> bytes:
    position = _spread(where, body)
    piece = body[position : position + 1 + what // 16 % 80]
    return body[:position] + piece * _one(_TIMES, what) + body[position:]


def _encode(_: Kitchen, body: bytes, where: int, what: int) -> bytes:
    into = _one(("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig", "latin-1", "cp037", "utf-7"), what)
    return body.decode("utf-8", "replace").encode(into, "replace")


def _double_key(_: Kitchen, body: bytes, where: int, what: int) -> bytes:
    """One of the objects gets a key that it has, perhaps spelled with an escape."""
    starts = [at for at in range(len(body)) if body.startswith(b'{"', at)][:200]
    if not starts:
        return body
    at = _one(starts, where)
    key = body[at + 1 : body.find(b'"', at + 2) + 1]
    if what % 2 and len(key) > 2:
        key = b'"\\u00%02x' % key[1] + key[2:]
    return body[: at + 1] + key + b":" + _one((b"1", b"null", b'"a"', b"[]"), what) + b"," + body[at + 1 :]


def _escape(_: Kitchen, body: bytes, where: int, what: int) -> bytes:
    """A letter written as an escape: another spelling of the same text, or of none."""
    position = _spread(where, body)
    return body[:position] + b"\\u%04x" % body[position] + body[position + 1 :] if body else body


def _spaces(_: Kitchen, body: bytes, where: int, what: int) -> bytes:
    space = _one((b" ", b"\n", b"\t", b"\r\n", b"\x0b", "\u00a0".encode(), b"\x00"), what)
    position = (0, len(body), _spread(where, body))[where % 3]
    return body[:position] + space * _one((*_TIMES, 400_000), what // 8) + body[position:]


def _noise(_: Kitchen, body: bytes, where: int, what: int) -> bytes:
    return random.Random(where << 16 | what).randbytes(_one((0, 1, 2, 16, 200, 4000), what))


def _big_number(_: Kitchen, body: bytes, where: int, what: int) -> bytes:
    """A number where a value stands."""
    position = body.find(b":", _spread(where, body)) + 1
    number = _one((b"1e999", b"-0", b"1E-400", b"9" * 70, b"0.1e-5", b"NaN", b"-Infinity", b"1" * 5000, b"01", b"1.",
                   b"1e400000000", b"0." + b"3" * 60), what)  # fmt: skip
    return body[:position] + number + b',"a":' + body[position:]


RawStep = Callable[[Kitchen, bytes, int, int], bytes]
RAW: tuple[RawStep, ...] = (
    _flip, _cut, _splice, _insert, _drop, _again, _encode, _double_key, _escape, _spaces, _noise, _big_number, _flip,
)  # fmt: skip


def with_canaries(text: str, is_right: Callable[[Any], bool]) -> str:
    """The example with the canary in every value that may be any word; it stays right."""
    payload = json.loads(text)
    for parent, key in _places(payload):
        value = parent[key]
        if isinstance(value, str):
            parent[key] = CANARY
            if not is_right(payload):
                parent[key] = value
    return json.dumps(payload)

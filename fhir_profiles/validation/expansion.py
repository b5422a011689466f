"""Required value sets, expanded from the definitions at hand. What cannot be expanded here is said, never guessed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Json = dict[str, Any]
Pairs = set[tuple[str, str]]


class _CannotExpandError(Exception):
    """The code system is not among the definitions (BCP-13, BCP-47, UCUM, LOINC, SNOMED) or a filter is foreign."""


def expand(definitions: Mapping[str, Json], url: str) -> dict[str, list[str]] | None:
    """``{system: [codes]}`` of a value set, None when it cannot be expanded from these definitions."""
    try:
        pairs = _of_value_set(definitions, url, frozenset())
    except _CannotExpandError:
        return None
    found: dict[str, list[str]] = {}
    for system, code in sorted(pairs):
        found.setdefault(system, []).append(code)
    return found


def _of_value_set(definitions: Mapping[str, Json], url: str, above: frozenset[str]) -> Pairs:
    url = url.partition("|")[0]
    value_set = definitions.get(url)
    if value_set is None or value_set["resourceType"] != "ValueSet" or url in above:
        raise _CannotExpandError
    compose = value_set.get("compose")
    if compose is None:
        raise _CannotExpandError
    pairs: Pairs = set()
    for part in compose["include"]:
        pairs |= _of_part(definitions, part, above | {url})
    for part in compose.get("exclude", ()):
        pairs -= _of_part(definitions, part, above | {url})
    return pairs


def _of_part(definitions: Mapping[str, Json], part: Json, above: frozenset[str]) -> Pairs:
    sets = [_of_value_set(definitions, url, above) for url in part.get("valueSet", ())]
    if "system" in part:
        sets.append(_of_system(definitions, part))
    if not sets:
        raise _CannotExpandError
    return set.intersection(*sets)


def _of_system(definitions: Mapping[str, Json], part: Json) -> Pairs:
    system = part["system"]
    if "concept" in part:
        return {(system, item["code"]) for item in part["concept"]}
    code_system = definitions.get(system)
    if code_system is None or code_system.get("content") != "complete":
        raise _CannotExpandError
    concepts = list(_concepts(code_system.get("concept", ()), ()))
    filters = part.get("filter", ())
    if any(item["op"] not in ("is-a", "descendent-of") or item["property"] != "concept" for item in filters):
        raise _CannotExpandError
    parents = {code: set(above) for code, above in concepts}
    for concept in _flat(code_system.get("concept", ())):
        more = [item["valueCode"] for item in concept.get("property", ()) if item["code"] == "subsumedBy"]
        parents[concept["code"]].update(more)
    codes = {code for code in parents if all(_passes(code, item, parents) for item in filters)}
    return {(system, code) for code in codes}


def _passes(code: str, wanted: Json, parents: Mapping[str, set[str]]) -> bool:
    if code == wanted["value"]:
        return bool(wanted["op"] == "is-a")
    return wanted["value"] in _ancestors(code, parents)


def _ancestors(code: str, parents: Mapping[str, set[str]]) -> set[str]:
    found: set[str] = set()
    need = list(parents.get(code, ()))
    while need:
        parent = need.pop()
        if parent not in found:
            found.add(parent)
            need += parents.get(parent, ())
    return found


def _flat(concepts: Iterable[Json]) -> Iterator[Json]:
    for concept in concepts:
        yield concept
        yield from _flat(concept.get("concept", ()))


def _concepts(concepts: Iterable[Json], above: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...]]]:
    for concept in concepts:
        yield concept["code"], above
        yield from _concepts(concept.get("concept", ()), (*above, concept["code"]))

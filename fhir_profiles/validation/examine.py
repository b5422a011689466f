"""A look for a person at a desk or for ``$validate``: any resource, any profile known here, and what was not checked.

The doors use ``validate`` with a profile of ours. Here a resource may also be held to base R4 or to the profile that it
claims, and information issues say what stayed open: codes of LOINC, SNOMED CT and UCUM, media types and languages,
whose lists are not ours to carry. They are never errors.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from functools import cache
from typing import Any

from fhir_profiles.operation_outcome import operation_outcome
from fhir_profiles.security_labels import label_problems
from fhir_profiles.shapes import Issue, Report
from fhir_profiles.terminology import B, Payload, profile
from fhir_profiles.validation import compiler, fhirpath, gate, snapshots
from fhir_profiles.validation.limits import LimitError, parse

_OPEN_SYSTEMS = {
    "http://loinc.org": "The code is of LOINC, whose codes are not checked here.",
    "http://snomed.info/sct": "The code is of SNOMED CT, whose codes are not checked here.",
    "http://unitsofmeasure.org": "The code is of UCUM, whose units are not checked here.",
}
_OPEN_KEYS = {
    "contentType": "Media types (BCP 13) are not checked against a list.",
    "language": "Languages (BCP 47) are not checked against a list.",
}
_MOST = 50


class UnknownProfileError(ValueError):
    """Nobody here knows this profile."""


def profiles() -> tuple[str, ...]:
    """The ids of all profiles a resource can be held to."""
    types = compiler.definitions().types
    known = {
        name.rpartition("/")[2]
        for name, item in types.items()
        if name.startswith(f"{B}/") and item["kind"] == "resource"
    }
    return tuple(sorted(known | gate.PROFILES.keys()))


def profile_id(name: str) -> str:
    """The id of a profile given by id or canonical URL. ``UnknownProfileError``."""
    url = name.partition("|")[0]
    found = url.removeprefix(profile(""))
    if found in profiles() or found in compiler.definitions().resources:
        return found
    base = url.removeprefix(snapshots.CANONICAL)
    if base in compiler.definitions().resources:
        return base
    raise UnknownProfileError


def examine(payload: Payload, name: str | None = None, *, confidentiality: str = "V") -> list[Issue]:
    """Errors first, then what was not checked. ``name``: a profile's id or URL; None: what it claims, else base R4."""
    kind = payload.get("resourceType")
    if not isinstance(kind, str) or kind not in compiler.definitions().resources:
        return [Issue("error", "structure", "Resource", "A FHIR R4 resource is expected here.")]
    chosen = profile_id(name) if name is not None else _claimed(payload) or kind
    if chosen in gate.PROFILES:
        found = gate.validate(payload, chosen, confidentiality=confidentiality)
        return [*found, *_open_codes(payload, kind, {}, {})]  # our profiles name every code they allow, but languages
    report = Report()
    definitions = _definitions_for(payload)
    if definitions is None or not definitions.has(chosen if chosen in definitions.types else profile(chosen)):
        return [Issue("error", "not-supported", kind, "The definition of this type is not installed here.")]
    definitions.check(payload, chosen if chosen in definitions.types else profile(chosen), report, kind)
    for problem in label_problems(payload, ()) if chosen not in definitions.resources else ():
        report.add("business-rule", f"{kind}.meta.security", problem)
    for key in sorted(definitions.unchecked()):
        report.note(kind, f"The invariant {key} was not checked.")
    return [*report.issues, *report.notes, *_open_codes(payload, kind, _OPEN_SYSTEMS, _OPEN_KEYS)][: 2 * _MOST]


def examine_bytes(body: bytes, name: str | None = None) -> list[Issue]:
    """``examine`` for bytes; a body outside the limits is one issue."""
    try:
        payload = parse(body)
    except LimitError as error:
        return [Issue("error", error.code, "", error.text)]
    return examine(payload, name)


def as_text(file: str, issues: list[Issue], form: str) -> str:
    """The issues of one file: "text" for a person, "outcome" an OperationOutcome, "jsonl" one line of JSON."""
    if form == "outcome":
        shown = issues or [Issue("information", "informational", "", "No problem was found.")]
        return json.dumps(operation_outcome(shown), ensure_ascii=False)
    if form == "jsonl":
        return json.dumps({"file": file, "issues": [asdict(issue) for issue in issues]}, ensure_ascii=False)
    lines = [_line(file, issue) for issue in issues]
    is_valid = not any(issue.severity in ("error", "fatal") for issue in issues)
    return "\n".join([*lines, *([f"{file}: valid"] if is_valid else [])])


def _line(file: str, issue: Issue) -> str:
    place = f" at {issue.expression}" if issue.expression else ""
    return f"{file}: {issue.severity} {issue.code}{place}: {issue.text}"


def _claimed(payload: Payload) -> str | None:
    meta = payload.get("meta")
    claims = meta.get("profile") if isinstance(meta, dict) else None
    for url in claims if isinstance(claims, list) else ():
        if isinstance(url, str) and url.removeprefix(profile("")) in gate.PROFILES:
            return url.removeprefix(profile(""))
    return None


def _definitions_for(payload: Payload) -> compiler.Definitions | None:
    """The committed definitions, or, for a type that they lack, HL7's core package where the source tree has it."""
    kinds = frozenset(_kinds(payload)) & compiler.definitions().resources
    if kinds <= compiler.definitions().types.keys():
        return compiler.definitions()
    return _from_core(kinds) if snapshots.core_sources() else None


@cache
def _package() -> snapshots.Package:
    return snapshots.Package(snapshots.core_sources())


@cache
def _from_core(kinds: frozenset[str]) -> compiler.Definitions:
    made = compiler.Definitions(snapshots.compact(_package(), sorted(kinds)))
    if fhirpath.is_here():
        made.read_more(fhirpath.can_read, fhirpath.invariant)
    return made


def _kinds(payload: Payload) -> Iterator[str]:
    """The types of a resource, of what it contains, and of a Bundle's entries."""
    need: list[Any] = [payload]
    while need:
        item = need.pop()
        if isinstance(item, dict):
            if isinstance(item.get("resourceType"), str):
                yield item["resourceType"]
            need += (value for value in item.values() if isinstance(value, dict | list))
        elif isinstance(item, list):
            need += (value for value in item if isinstance(value, dict | list))


def _open_codes(payload: Payload, path: str, systems: dict[str, str], keys: dict[str, str]) -> list[Issue]:
    """What stayed open, and where. Only keys that are FHIR elements are followed, so no path holds a sender's word."""
    found: list[Issue] = []
    names = _names()
    need: list[tuple[Any, str]] = [(payload, path)]
    while need and len(found) < _MOST:
        value, here = need.pop()
        if isinstance(value, list):
            need += [(item, f"{here}[{position}]") for position, item in reversed(list(enumerate(value)))]
        elif isinstance(value, dict):
            system = value.get("system")
            if isinstance(system, str) and system in systems and "code" in value:
                found.append(Issue("information", "not-supported", f"{here}.code", systems[system]))
            if value.get("url") == "language" and "valueCode" in value:
                found.append(Issue("information", "not-supported", f"{here}.value", _OPEN_KEYS["language"]))
            for key, item in value.items():
                if key in keys and isinstance(item, str):
                    found.append(Issue("information", "not-supported", f"{here}.{key}", keys[key]))
                elif isinstance(item, dict | list) and key in names:
                    need.append((item, f"{here}.{names[key]}"))
    return found


@cache
def _names() -> dict[str, str]:
    return compiler.definitions().names()

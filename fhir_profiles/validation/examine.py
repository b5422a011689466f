"""A look for a person at a desk or for ``$validate``: any resource, any profile known here, and what was not checked.

The doors use ``validate`` with a profile of ours. Here a resource may also be held to base R4 or to the profile that it
claims, and information issues say what stayed open: codes of LOINC, SNOMED CT and UCUM, media types and languages,
whose lists are not ours to carry, and claims of profiles that nobody here knows. They are never errors.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from fhir_profiles.security_labels import label_problems
from fhir_profiles.shapes import MAX_ISSUES, ONLY_THE_FIRST, Issue, Report
from fhir_profiles.terminology import B, Payload, profile
from fhir_profiles.validation import compiler, fhirpath, gate, references, snapshots, unreadable
from fhir_profiles.validation.limits import LimitError, parse

_OPEN_SYSTEMS = {
    "http://loinc.org": "The code is of LOINC, whose codes are not checked here.",
    "http://snomed.info/sct": "The code is of SNOMED CT, whose codes are not checked here.",
    "http://unitsofmeasure.org": "The code is of UCUM, whose units are not checked here.",
    "http://www.nlm.nih.gov/research/umls/rxnorm": "The code is of RxNorm, whose codes are not checked here.",
    "http://hl7.org/fhir/sid/cvx": "The code is of CVX, whose codes are not checked here.",
    "http://hl7.org/fhir/sid/icd-10-cm": "The code is of ICD-10-CM, whose codes are not checked here.",
}
_MEDIA = "Media types (BCP 13) are not checked against a list."
_OPEN_KEYS = {
    **dict.fromkeys(("contentType", "format", "patchFormat", "payloadMimeType", "targetFormat", "sigFormat"), _MEDIA),
    **dict.fromkeys(("accept", "payload"), _MEDIA),
    "currency": "Currencies (ISO 4217) are not checked against a list.",
    "language": "Languages (BCP 47) are not checked against a list.",
}
NO_RESOURCE = "No FHIR resource: the element resourceType is required."
NOT_R4 = "This resource type is not one of FHIR R4 (4.0.1)."
NOT_HERE = "The definition of this type is not installed here."
LOOKS_LIKE_R5 = "Some elements here are of FHIR R5; what is read is R4 (4.0.1)."
CLAIM_UNKNOWN = "The profile claimed here is not known and was not checked."
_MOST = 50
# Elements that R5 has at the root of these types and R4 has not.
_OF_R5 = {
    "Appointment": "account cancellationDate cancellationReason class note previousAppointment reason recurrenceId "
    "recurrenceTemplate subject virtualService",
    "AuditEvent": "authorization basedOn category code encounter patient severity",
    "Bundle": "issues",
    "Consent": "controller date decision grantee grantor manager period policyBasis policyText regulatoryBasis subject",
    "Endpoint": "environmentType payload",
    "HealthcareService": "availability contact offeredIn",
    "Observation": "bodyStructure instantiatesCanonical instantiatesReference triggeredBy",
    "Organization": "description qualification",
    "OrganizationAffiliation": "contact",
    "Provenance": "authorization basedOn encounter patient",
    "ServiceRequest": "bodyStructure focus reason",
    "Task": "doNotPerform requestedPerformer requestedPeriod",
}


class UnknownProfileError(ValueError):
    """Nobody here knows this profile."""


@dataclass(frozen=True)
class Looked:
    """What was found, errors first, and the id of what it was held to; "" where nothing could be read."""

    issues: tuple[Issue, ...]
    held_to: str

    @property
    def is_right(self) -> bool:
        """True without an error."""
        return not any(issue.severity in ("error", "fatal") for issue in self.issues)


@cache
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
    return list(look(payload, name, confidentiality=confidentiality).issues)


def look(payload: Payload, name: str | None = None, *, confidentiality: str = "V") -> Looked:
    """``examine``, and what the resource was held to."""
    kind, asked = payload.get("resourceType"), "" if name is None else profile_id(name)
    if not isinstance(kind, str) or kind not in compiler.definitions().resources:
        text = NO_RESOURCE if kind is None else NOT_R4
        return Looked((Issue("error", "structure", "Resource", text),), asked)
    chosen = asked or _claimed(payload) or kind
    wanted = _type_of(chosen)
    if wanted != kind:
        text = f"{chosen} describes a resource of the type {wanted}, and another type stands here."
        return Looked((Issue("error", "structure", kind, text),), chosen)
    errors, notes = _checked(payload, kind, chosen, confidentiality)
    if len(errors) >= MAX_ISSUES:
        notes.insert(0, Issue("information", "informational", kind, ONLY_THE_FIRST))
    if any(issue.expression == kind and issue.code == "structure" for issue in errors) and _has_r5(payload, kind):
        notes.insert(0, Issue("information", "informational", kind, LOOKS_LIKE_R5))
    return Looked((*errors, *notes[:_MOST]), chosen)


def look_at(body: bytes, name: str | None = None) -> Looked:
    """``look`` for bytes; a body that cannot be read is one issue, which says what it is instead."""
    try:
        payload = parse(body)
    except LimitError as error:
        return Looked((unreadable.why(body, error),), "")
    return look(payload, name)


def _checked(payload: Payload, kind: str, chosen: str, confidentiality: str) -> tuple[list[Issue], list[Issue]]:
    """Errors, and what stayed open."""
    claims = _unknown_claims(payload, kind)
    if chosen in gate.PROFILES:  # our profiles name every code they allow, but languages
        errors = gate.validate(payload, chosen, confidentiality=confidentiality)
        return errors, [*claims, *_open_codes(payload, kind, {}, {})]
    url = chosen if chosen in compiler.definitions().resources else profile(chosen)
    definitions = _definitions_for(payload)
    if definitions is None or not definitions.has(url):
        return [Issue("error", "not-supported", kind, NOT_HERE)], []
    report = Report()
    definitions.check(payload, url, report, kind)
    for problem in label_problems(payload, ()) if chosen != kind else ():
        report.add("business-rule", f"{kind}.meta.security", problem)
    notes = [*_inside(payload, confidentiality, report), *_unclaimed(kind, chosen), *claims, *report.notes]
    notes += [
        Issue("information", "not-supported", kind, f"The invariant {key} was not checked.")
        for key in sorted(definitions.unchecked())
    ]
    return report.issues, [*notes, *_open_codes(payload, kind, _OPEN_SYSTEMS, _OPEN_KEYS, definitions)]


def _unclaimed(kind: str, chosen: str) -> Iterator[Issue]:
    """Valid R4 is not yet a referral: who claims no profile is told which of ours to ask for."""
    ours = gate.profile_of(kind) if chosen == kind else None
    if ours is not None:
        text = f"FHIR R4 alone was asked: no profile is claimed here. To hold it to ours, ask for {ours}."
        yield Issue("information", "informational", kind, text)


def _inside(payload: Payload, confidentiality: str, report: Report) -> list[Issue]:
    """A resource in a Bundle of any kind is held to the profile that it claims. Errors go to ``report``."""
    notes: list[Issue] = []
    entries = payload.get("entry") if payload.get("resourceType") == "Bundle" else None
    names = {url: f"{kind}/{number}" for number, (url, kind) in enumerate(references.entries_of(payload).items())}
    for position, entry in enumerate(entries if isinstance(entries, list) else ()):
        resource = entry.get("resource") if isinstance(entry, dict) else None
        claimed = _claimed(resource) if isinstance(resource, dict) else None
        if claimed is None or len(report.issues) >= report.most:
            continue
        here = f"Bundle.entry[{position}].resource"
        for issue in look(_led(resource, names), claimed, confidentiality=confidentiality).issues:
            found = replace(issue, expression=here + issue.expression[len(issue.expression.partition(".")[0]) :])
            if issue.severity != "error":
                notes.append(found)
            elif all(other.expression != found.expression for other in report.issues):
                report.add(found.code, found.expression, found.text)
    return notes


def _led(value: Any, names: Mapping[str, str]) -> Any:
    """The same value with each reference to an entry of its Bundle written as one that stands alone."""
    if isinstance(value, list):
        return [_led(item, names) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: names.get(item, item) if key == "reference" and isinstance(item, str) else _led(item, names)
        for key, item in value.items()
    }


def _claims(payload: Payload) -> list[str]:
    meta = payload.get("meta")
    claims = meta.get("profile") if isinstance(meta, dict) else None
    return [url if isinstance(url, str) else "" for url in claims] if isinstance(claims, list) else []


def _claimed(payload: Payload) -> str | None:
    """The first profile of ours that a resource claims."""
    known = profiles()
    for url in _claims(payload):
        found = url.partition("|")[0].removeprefix(profile(""))
        if found in known and url.startswith(profile("")):
            return found
    return None


def _unknown_claims(payload: Payload, kind: str) -> list[Issue]:
    base = snapshots.CANONICAL + kind
    return [
        Issue("information", "not-supported", f"{kind}.meta.profile[{position}]", CLAIM_UNKNOWN)
        for position, url in enumerate(_claims(payload))
        if url.partition("|")[0] != base and not (url.startswith(profile("")) and _is_known(url))
    ]


def _is_known(url: str) -> bool:
    return url.partition("|")[0].removeprefix(profile("")) in profiles()


def _type_of(chosen: str) -> str:
    """The resource type of a profile or type."""
    types = compiler.definitions().types
    return chosen if chosen in compiler.definitions().resources else str(types[profile(chosen)]["type"])


def _has_r5(payload: Payload, kind: str) -> bool:
    return not payload.keys().isdisjoint(_OF_R5.get(kind, "").split())


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


def _open_codes(
    payload: Payload,
    path: str,
    systems: dict[str, str],
    keys: dict[str, str],
    definitions: compiler.Definitions | None = None,
) -> list[Issue]:
    """What stayed open, and where. Only keys that are FHIR elements are followed, so no path holds a sender's word."""
    found: list[Issue] = []
    names = (definitions or compiler.definitions()).names
    need: list[tuple[Any, str]] = [(payload, path)]
    while need and len(found) < _MOST:
        value, here = need.pop()
        if isinstance(value, list):
            items = reversed(list(enumerate(value)))
            need += [(item, f"{here}[{position}]") for position, item in items if not isinstance(item, list)]
        elif isinstance(value, dict):
            system = value.get("system")
            if isinstance(system, str) and system in systems and "code" in value:
                found.append(Issue("information", "not-supported", f"{here}.code", systems[system]))
            if value.get("url") == "language" and "valueCode" in value:
                found.append(Issue("information", "not-supported", f"{here}.value", _OPEN_KEYS["language"]))
            for key, item in value.items():
                if key in keys and _is_plain(item):
                    found.append(Issue("information", "not-supported", f"{here}.{key}", keys[key]))
                elif isinstance(item, dict | list) and key in names:
                    need.append((item, f"{here}.{names[key]}"))
    return found


def _is_plain(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and any(isinstance(item, str) for item in value))

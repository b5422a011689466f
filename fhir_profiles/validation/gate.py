"""The gate: a payload against one of our profiles, every problem found.

Four looks, each of which knows what the others cannot: the closed shape (nothing that is not listed), R4 and our
profiles as compiled from their snapshots, the rules that FHIR has no words for, and the labels. All are pure and know
no clock: whether a release is in force *now* is decided by policy. No issue repeats a value or key the sender chose.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

from fhir_profiles import (
    access_audit_event,
    appointment_ehr_copy,
    disclosure_observation,
    label_provenance,
    partner_endpoint,
    partner_organization,
    partner_service,
    partnership_mou,
    program_measure_report,
    referral_bundle,
)
from fhir_profiles.security_labels import Label, has_exactly, label_problems, labels_for
from fhir_profiles.shapes import Issue, Record, Report
from fhir_profiles.terminology import Payload, profile
from fhir_profiles.validation import compiler, fast, references
from fhir_profiles.validation.checks import Record as Compiled
from fhir_profiles.validation.checks import Scope

Rules = Callable[[Payload, str, Report], None]
Part = tuple[str, Record, Rules]
PROFILES: Mapping[str, tuple[Record, Rules]] = {
    "referral-bundle": (referral_bundle.SHAPE, referral_bundle.rules),
    "disclosure-observation": (disclosure_observation.SHAPE, disclosure_observation.rules),
    "appointment-ehr-copy": (appointment_ehr_copy.SHAPE, appointment_ehr_copy.rules),
    "label-provenance": (label_provenance.SHAPE, label_provenance.rules),
    "access-audit-event": (access_audit_event.SHAPE, access_audit_event.rules),
    "partner-organization": (partner_organization.SHAPE, partner_organization.rules),
    "partner-service": (partner_service.SHAPE, partner_service.rules),
    "partner-endpoint": (partner_endpoint.SHAPE, partner_endpoint.rules),
    "partnership-mou": (partnership_mou.SHAPE, partnership_mou.rules),
    "program-measure-report": (program_measure_report.SHAPE, program_measure_report.rules),
    **{profile_id: (shape, rules) for profile_id, shape, rules in referral_bundle.PARTS.values()},
}
_PROFILE_OF_TYPE = {"Bundle": "referral-bundle", "Observation": "disclosure-observation"} | {
    kind: part[0] for kind, part in referral_bundle.PARTS.items()
}


def profile_of(resource_type: str) -> str | None:
    """The profile by which a patient-level resource of this type is held to its shape; None for any other type."""
    return _PROFILE_OF_TYPE.get(resource_type)


def _type_of(shape: Record) -> str:
    return str(getattr(shape.fields["resourceType"], "codes", ("",))[0])


_ROOTS = frozenset(_type_of(shape) for shape, _ in PROFILES.values())
_MOST_ENTRIES = 6


def load() -> None:
    """Compile every profile now, so that the first request does not pay for it."""
    for profile_id in PROFILES:
        _quick_look(profile_id)


@cache
def compiled(profile_id: str) -> Compiled:
    """R4 and our snapshot, compiled inside the closed shape of this profile."""
    definitions = compiler.definitions()
    shape = PROFILES[profile_id][0]
    url = profile(profile_id)
    return definitions.closed(url if definitions.has(url) else _type_of(shape), shape)


@cache
def _quick_look(profile_id: str) -> fast.Accept:
    return fast.accepts(PROFILES[profile_id][0], compiled(profile_id))


def validate(payload: Payload, profile: str, *, confidentiality: str = "V") -> list[Issue]:
    """What is wrong with ``payload`` as ``profile`` (an id such as "referral-bundle"); empty when nothing is.

    A resource without labels is valid: its labels are added on import. ``confidentiality`` is the site's level, "V" or
    "R"; a label below it is an issue. KeyError for an unknown profile: that is our mistake, not the sender's.
    """
    rules = PROFILES[profile][1]
    report = Report()
    kind = payload.get("resourceType") if isinstance(payload, dict) else None
    root = kind if isinstance(kind, str) and kind in _ROOTS else "Resource"
    if isinstance(kind, str) and is_right(payload, profile):
        rules(payload, root, report)
        _check_labels(payload, profile, confidentiality, root, report)
        return report.issues
    return look_in_full(payload, profile, confidentiality, root)


def is_right(payload: Payload, profile: str) -> bool:
    """True when neither the closed shape, nor any definition, nor a reference's target is wrong: the quick look."""
    scope = Scope(Report(), payload, payload, references.entries_of(payload))
    return _quick_look(profile)(payload, scope)


def look_in_full(payload: Payload, profile: str, confidentiality: str, root: str) -> list[Issue]:
    """Every look there is, each problem with its place. ``validate`` answers the same, sooner where all is well."""
    shape, rules = PROFILES[profile]
    report = Report()
    shape.check(payload, root, report)
    if not isinstance(payload, dict):
        return report.issues
    if not report.issues:
        rules(payload, root, report)
        if profile != "referral-bundle":
            _check_references(payload, root, report)
    elif profile == "referral-bundle":
        _check_parts(payload, root, report)
    _check_labels(payload, profile, confidentiality, root, report)
    _check_definitions(payload, profile, root, report)
    return report.issues


def _parts(payload: Payload) -> Iterator[tuple[int, Payload, Part]]:
    """The entries of a Bundle that may stand in a referral: position, resource, and what it is held to."""
    entries = payload.get("entry")
    for position, entry in enumerate((entries if isinstance(entries, list) else [])[:_MOST_ENTRIES]):
        resource = entry.get("resource") if isinstance(entry, dict) else None
        part = referral_bundle.PARTS.get(str(resource.get("resourceType"))) if isinstance(resource, dict) else None
        if isinstance(resource, dict) and part is not None:
            yield position, resource, part


def _check_parts(bundle: Payload, path: str, report: Report) -> None:
    """The rules of every entry that is whole, though the Bundle around it is not."""
    for position, resource, (_, shape, rules) in _parts(bundle):
        here = f"{path}.entry[{position}]"
        if not any(issue.expression.startswith(here) for issue in report.issues) and _is_whole(shape, resource):
            rules(resource, f"{here}.resource", report)


def _is_whole(shape: Record, resource: Any) -> bool:
    report = Report()
    shape.check(resource, "", report)
    return not report.issues


def _check_definitions(payload: Payload, profile: str, root: str, report: Report) -> None:
    """What the snapshots say; a place that a shape or a rule has already named is not named twice."""
    found = Report()
    known = references.container(payload)
    scope = Scope(found, known, known, references.entries_of(payload))
    compiled(profile)(payload, root, scope)
    named = report.issues.copy()
    for issue in found.issues:
        if not named or not _is_said(issue, named):
            report.add(issue.code, issue.expression, issue.text)


def _is_said(issue: Issue, named: list[Issue]) -> bool:
    """The same place, the same invariant, or something inside that already tells why this element does not fit."""
    if any(other.expression == issue.expression for other in named):
        return True
    if issue.code == "invariant":
        key = issue.text[issue.text.rfind("(") :].rstrip(".")
        return any(key in other.text for other in named)
    return any(other.expression.startswith(f"{issue.expression}.") for other in named)


def _check_references(value: Any, path: str, report: Report) -> None:
    """``urn:uuid`` leads to an entry of the same Bundle; in a resource alone it leads nowhere."""
    if isinstance(value, list):
        for position, item in enumerate(value):
            _check_references(item, f"{path}[{position}]", report)
    elif isinstance(value, dict):
        target = value.get("reference")
        if isinstance(target, str) and target.startswith("urn:"):
            report.add("value", f"{path}.reference", "A urn:uuid leads to an entry of a Bundle, and here is no Bundle.")
        for key, item in value.items():
            if isinstance(item, dict | list):
                _check_references(item, f"{path}.{key}", report)


def _without_labels(payload: Payload, here: str, told: set[str]) -> Payload:
    """The payload without the labels that were told one by one, so that what is wrong with the rest is still found."""
    labels = enumerate(payload["meta"]["security"])
    kept = [
        label
        for number, label in labels
        if not any(one == f"{here}[{number}]" or one.startswith(f"{here}[{number}].") for one in told)
    ]
    return {**payload, "meta": {**payload["meta"], "security": kept}}


@cache
def _ours(profile_id: str, confidentiality: str) -> tuple[Label, ...]:
    # The record of a label change follows its target, which may have been lowered to R.
    return labels_for(profile_id, confidentiality="R" if profile_id == "label-provenance" else confidentiality)


def _check_labels(payload: Payload, profile: str, confidentiality: str, path: str, report: Report) -> None:
    ours = _ours(profile, confidentiality)
    if not has_exactly(payload, ours):
        here = f"{path}.meta.security"
        told = {issue.expression for issue in report.issues if issue.expression.startswith(f"{here}[")}
        for problem in label_problems(_without_labels(payload, here, told) if told else payload, ours):
            report.add("business-rule", here, problem)
    for position, resource, (part, _, _) in _parts(payload):
        _check_labels(resource, part, confidentiality, f"{path}.entry[{position}].resource", report)

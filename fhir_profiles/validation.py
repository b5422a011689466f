"""The gate: limits before any parser, then closed shapes, rules, labels and R4's structure.

``parse`` turns bytes into a payload or raises ``LimitError``. ``validate`` lists what is wrong with a payload. Both are
pure and know no clock: whether a release is in force *now* is decided by policy. No issue ever repeats a value or a key
that the sender chose.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from fhir_profiles import (
    access_audit_event,
    disclosure_observation,
    label_provenance,
    partner_endpoint,
    partner_organization,
    partner_service,
    partnership_mou,
    proposed_appointment,
    r4,
    referral_bundle,
)
from fhir_profiles.security_labels import label_problems, labels_for
from fhir_profiles.shapes import Issue, Record, Report
from fhir_profiles.terminology import Payload

__all__ = ["MAX_BYTES", "MAX_DEPTH", "PROFILES", "Issue", "LimitError", "parse", "profile_of", "validate"]

MAX_BYTES = 1_000_000
MAX_DEPTH = 40

# A string, closed or not, so that brackets inside it do not count. Possessive: linear on hostile input.
_STRING = re.compile(r'"(?:[^"\\]++|\\.?)*+(?:"|\Z)', re.DOTALL)
_NOT_BRACKETS = re.compile(r"[^\[\]{}]++")
_SURROGATE = re.compile(r"\\u[dD]")
_ONE_KIND = str.maketrans("{}", "[]")

Rules = Callable[[Payload, str, Report], None]
PROFILES: Mapping[str, tuple[Record, Rules]] = {
    "referral-bundle": (referral_bundle.SHAPE, referral_bundle.rules),
    "disclosure-observation": (disclosure_observation.SHAPE, disclosure_observation.rules),
    "appointment-ehr-copy": (proposed_appointment.EHR_COPY_SHAPE, proposed_appointment.ehr_copy_rules),
    "label-provenance": (label_provenance.SHAPE, label_provenance.rules),
    "access-audit-event": (access_audit_event.SHAPE, access_audit_event.rules),
    "partner-organization": (partner_organization.SHAPE, partner_organization.rules),
    "partner-service": (partner_service.SHAPE, partner_service.rules),
    "partner-endpoint": (partner_endpoint.SHAPE, partner_endpoint.rules),
    "partnership-mou": (partnership_mou.SHAPE, partnership_mou.rules),
    **{profile_id: (shape, rules) for profile_id, shape, rules in referral_bundle.PARTS.values()},
}
_PROFILE_OF_TYPE = {"Bundle": "referral-bundle", "Observation": "disclosure-observation"} | {
    kind: part[0] for kind, part in referral_bundle.PARTS.items()
}


@dataclass(eq=False)
class LimitError(ValueError):
    """The body is refused before it is looked at: HTTP ``status``, FHIR issue ``code`` and constant ``text``."""

    status: int
    code: str
    text: str

    def __str__(self) -> str:
        return self.text


def parse(body: bytes) -> Payload:
    """The JSON object in ``body``. Numbers with a fraction become ``Decimal``.

    Raises ``LimitError``: 413 over 1 MB; 400 for bad UTF-8 or JSON, a doubled key, nesting over 40, or no object.
    The depth is counted before the (recursive) parser sees the body.
    """
    if len(body) > MAX_BYTES:
        raise LimitError(413, "too-long", "The body is larger than 1 MB.")
    try:
        text = body.decode("utf-8", errors="strict")
    except UnicodeDecodeError:
        raise LimitError(400, "structure", "The body is not UTF-8.") from None
    if _is_too_deep(text):
        raise LimitError(400, "too-costly", "The body is nested too deeply, or its brackets do not match.")
    try:
        payload = json.loads(text, object_pairs_hook=_without_doubles, parse_float=Decimal, parse_constant=_no_constant)
    except LimitError:
        raise
    except (ValueError, ArithmeticError, RecursionError):
        raise LimitError(400, "structure", "The body is not valid JSON.") from None
    if not isinstance(payload, dict):
        raise LimitError(400, "structure", "The body is not a JSON object.")
    if _SURROGATE.search(text) is not None and _has_lone_surrogate(payload):
        raise LimitError(400, "structure", "The body holds half a character.")
    return payload


def _is_too_deep(text: str) -> bool:
    """Count nesting without recursion: each round removes the innermost pairs, so the rounds are the depth."""
    brackets = _NOT_BRACKETS.sub("", _STRING.sub("", text)).translate(_ONE_KIND)
    for _ in range(MAX_DEPTH):
        if not brackets:
            return False
        brackets = brackets.replace("[]", "")
    return bool(brackets)


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise LimitError(400, "structure", "A key stands twice in one object.")
    return made


def _no_constant(_: str) -> None:
    raise ValueError


def _has_lone_surrogate(value: Any) -> bool:
    if isinstance(value, str):
        return any("\ud800" <= character <= "\udfff" for character in value)
    if isinstance(value, dict):
        return any(_has_lone_surrogate(key) or _has_lone_surrogate(item) for key, item in value.items())
    return isinstance(value, list) and any(map(_has_lone_surrogate, value))


def profile_of(resource_type: str) -> str | None:
    """The profile by which a patient-level resource of this type is held to its shape; None for any other type."""
    return _PROFILE_OF_TYPE.get(resource_type)


def validate(payload: Payload, profile: str, *, confidentiality: str = "V") -> list[Issue]:
    """What is wrong with ``payload`` as ``profile`` (an id such as "referral-bundle"); empty when nothing is.

    A resource without labels is valid: its labels are added on import. ``confidentiality`` is the site's level, "V" or
    "R"; a label below it is an issue. KeyError for an unknown profile: that is our mistake, not the sender's.
    """
    shape, rules = PROFILES[profile]
    report = Report()
    kind = payload.get("resourceType") if isinstance(payload, dict) else None
    root = kind if isinstance(kind, str) and kind in _ROOTS else "Resource"
    shape.check(payload, root, report)
    if not report.issues:
        rules(payload, root, report)
        if profile != "referral-bundle":
            _check_references(payload, root, report)
        _check_labels(payload, profile, confidentiality, root, report)
    if not report.issues:
        for path in r4.structure_problems(payload):
            report.add("structure", path, "This does not follow FHIR R4.")
    return report.issues


_ROOTS = frozenset(
    {
        *_PROFILE_OF_TYPE,
        "AuditEvent",
        "Endpoint",
        "HealthcareService",
        "Organization",
        "OrganizationAffiliation",
        "Provenance",
    }
)


def _check_references(value: Any, path: str, report: Report) -> None:
    """``urn:uuid`` leads to an entry of the same Bundle; in a resource alone it leads nowhere."""
    if isinstance(value, list):
        for position, item in enumerate(value):
            _check_references(item, f"{path}[{position}]", report)
    elif isinstance(value, dict):
        target = value.get("reference")
        if isinstance(target, str) and target.startswith("urn:"):
            report.add("value", f"{path}.reference", "A reference of an allowed kind is expected here.")
        for key, item in value.items():
            if isinstance(item, dict | list):
                _check_references(item, f"{path}.{key}", report)


def _check_labels(payload: Payload, profile: str, confidentiality: str, path: str, report: Report) -> None:
    for problem in label_problems(payload, labels_for(profile, confidentiality=confidentiality)):
        report.add("business-rule", f"{path}.meta.security", problem)
    for position, entry in enumerate(payload.get("entry", ())):
        resource = entry["resource"]
        part = referral_bundle.PARTS[resource["resourceType"]][0]
        _check_labels(resource, part, confidentiality, f"{path}.entry[{position}].resource", report)

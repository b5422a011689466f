"""What is left of an item when the table says ``redact``: rows D2, D6 and D6s. By allow-list, never by removal.

A redacted view carries O|REDACTED, so that it can never be written back (``validate`` refuses it), and says "masked"
where FHIR requires an element. Scheduler and front desk see no sensitivity label (R4, R36).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fhir_profiles import safe_contact
from fhir_profiles.security_labels import LEVELS, REDACTED, Label, as_security, labels_of
from fhir_profiles.terminology import CONFIDENTIALITY, DATA_ABSENT_REASON

_MASKED = {"extension": [{"url": DATA_ABSENT_REASON, "valueCode": "masked"}]}
_NEUTRAL = (Label(CONFIDENTIALITY, "R"), REDACTED)

# Rule -> resource type -> elements kept. A type that is not listed shows nothing at all.
_KEPT: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "D6": {"Appointment": ("start", "end")},
    "D6s": {
        "Patient": ("name",),
        "ServiceRequest": ("status", "intent", "priority", "orderDetail", "occurrencePeriod"),
        "Task": ("status", "intent", "restriction"),
        "Appointment": ("status", "serviceType", "requestedPeriod", "start", "end", "participant"),
    },
}
# What R4 requires: primitives are masked beside themselves ("_status"), others in place.
_REQUIRED_PRIMITIVES = {
    "Appointment": ("status",),
    "Consent": ("status",),
    "Observation": ("status",),
    "ServiceRequest": ("status", "intent"),
    "Task": ("status", "intent"),
}
_REQUIRED_ELEMENTS: Mapping[str, Mapping[str, Any]] = {
    "Appointment": {"participant": [{"actor": _MASKED, "_status": _MASKED}]},
    "Consent": {"scope": _MASKED, "category": [_MASKED]},
    "Observation": {"code": _MASKED},
    "ServiceRequest": {"subject": _MASKED},
}


def shows(rule: str, resource_type: str) -> bool:
    """Does a redaction under this rule leave anything of such a resource? If not, it is denied as if absent."""
    return rule == "D2" or resource_type in _KEPT.get(rule, {})


def redact(payload: dict[str, Any], rule: str) -> dict[str, Any]:
    """A new payload with what ``rule`` ("D2", "D6", "D6s") leaves. The given payload is not changed.

    D2: metadata only. D6: start and end of an Appointment. D6s: name to use, safe contact, need codes, deadline and the
    neutral Appointment of an inbound item. An unknown rule, or a type it does not show, leaves type, id and the mark.
    """
    kind = str(payload.get("resourceType"))
    made: dict[str, Any] = {"resourceType": payload.get("resourceType")}
    if "id" in payload:
        made["id"] = payload["id"]
    made["meta"] = _meta(payload, rule)
    for element in _KEPT.get(rule, {}).get(kind, ()):
        if element in payload:
            made[element] = _neutral(element, payload[element])
    if rule == "D6s" and kind == "ServiceRequest":
        contact = safe_contact.of(payload)
        made.update({"extension": [contact]} if contact is not None else {})
    return _masked(made, kind)


def _meta(payload: dict[str, Any], rule: str) -> dict[str, Any]:
    received = payload.get("meta") or {}
    made = {key: received[key] for key in ("versionId", "lastUpdated") if key in received}
    carried = labels_of(payload)
    kept: tuple[Label, ...]
    if rule == "D2":
        kept = (*(label for label in carried if label != REDACTED), REDACTED)
    elif rule == "D6s":
        kept = (*(label for label in carried if label.system == CONFIDENTIALITY and label.code in LEVELS), REDACTED)
    else:
        kept = _NEUTRAL
    return {**made, "security": as_security(kept)}


def _neutral(element: str, value: Any) -> Any:
    """Two elements are kept in part: of a restriction the deadline, of a name the name to use."""
    if element == "restriction":
        return {"period": {"end": value["period"]["end"]}}
    if element == "name":
        return [{"use": "anonymous", "given": list(item["given"])} for item in value if item.get("use") == "anonymous"]
    return value


def _masked(made: dict[str, Any], kind: str) -> dict[str, Any]:
    for element in _REQUIRED_PRIMITIVES.get(kind, ()):
        if element not in made:
            made[f"_{element}"] = _MASKED
    for element, mask in _REQUIRED_ELEMENTS.get(kind, {}).items():
        made.setdefault(element, mask)
    return made

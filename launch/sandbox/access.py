"""What one token may do: its scopes, its compartment, its user's role, and the labels it may see past.

Written for this server alone. The order is: is the interaction supported, is the scope there, is the resource
visible, is it in the compartment. A resource hidden by its label answers exactly like one that does not exist.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from launch.sandbox.records import Payload, Record
from launch.sandbox.scopes import Scope

CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
LEVELS = ("U", "L", "M", "N", "R", "V")

TREATING_ROLES = frozenset({"physician", "nurse", "medical-assistant", "social-worker", "behavioral-health"})
ROLE_WRITES: dict[str, frozenset[str]] = {
    **dict.fromkeys(TREATING_ROLES, frozenset({"Observation", "ServiceRequest", "Appointment"})),
    "scheduler": frozenset({"Appointment"}),
    "front-desk": frozenset({"Appointment"}),
}
"""Which types a staff role may write here, whatever the scope. Patients, proxies and other apps write nothing."""


def kind_of_staff(role: str | None) -> str:
    """The kind of token a member of staff gets."""
    if role in TREATING_ROLES:
        return "clinician"
    return "scheduler" if role == "scheduler" else "unprivileged-staff"


@dataclass(frozen=True)
class Access:
    """One live token. ``kind``: clinician, scheduler, unprivileged-staff, patient, proxy or third-party."""

    base: str
    client_id: str
    kind: str
    user: str
    role: str | None
    patient: str | None
    scopes: tuple[Scope, ...]
    access_hash: str = ""

    def scopes_for(self, permission: str, resource_type: str) -> tuple[Scope, ...]:
        """The scopes that cover one of c, r, u, d, s on a type, and that the user's role does not forbid."""
        if permission in "cud" and resource_type not in ROLE_WRITES.get(self.role or "", frozenset()):
            return ()
        return tuple(scope for scope in self.scopes if scope.allows(permission, resource_type))

    def reaches(self, permission: str, payload: Payload, patient: str | None) -> bool:
        """Whether a resource, in the compartment of ``patient``, is inside one of the scopes that cover it."""
        return any(
            (scope.context == "user" or (patient is not None and patient == self.patient))
            and all(_category_matches(payload, name, value) for name, value in scope.where)
            for scope in self.scopes_for(permission, str(payload.get("resourceType")))
        )

    def may_see_level(self, level: str, resource_type: str) -> bool:
        """Whether content of a confidentiality level is shown to this token at a base that filters.

        A treating role sees all. A scheduler sees R on appointments, which they book. All others see neither R nor V.
        """
        if level not in ("R", "V"):
            return True
        if self.role in TREATING_ROLES and self.kind == "clinician":
            return True
        return self.kind == "scheduler" and resource_type == "Appointment" and level == "R"


def _category_matches(payload: Payload, name: str, value: str) -> bool:
    """A granular scope is understood for ``category`` only; any other condition matches nothing."""
    if name != "category":
        return False
    system, _, code = value.rpartition("|")
    categories = payload.get("category")
    codings = [
        coding
        for concept in (categories if isinstance(categories, list) else [categories])
        if isinstance(concept, dict)
        for coding in concept.get("coding", [])
    ]
    return any(coding.get("code") == code and system in ("", coding.get("system")) for coding in codings)


def level_of(payload: Payload) -> str:
    """The highest confidentiality code on a resource, N when it has none. System and code are matched exactly."""
    codes = [
        str(label["code"])
        for label in security_of(payload)
        if label.get("system") == CONFIDENTIALITY and label.get("code") in LEVELS
    ]
    return max(codes, key=LEVELS.index, default="N")


def level_of_versions(versions: Iterable[Record]) -> str:
    """The highest level any version ever had: what one version hides no other may tell."""
    return max((level_of(record.payload) for record in versions), key=LEVELS.index, default="N")


def security_of(payload: Payload) -> list[dict[str, Any]]:
    """The security labels of a resource as a list of codings."""
    meta = payload.get("meta")
    labels = meta.get("security") if isinstance(meta, dict) else None
    return [label for label in labels if isinstance(label, dict)] if isinstance(labels, list) else []


def with_kept_labels(new: Payload, old: Payload) -> Payload:
    """An update whose labels are at least those that were there: added ones join, none is lowered or lost."""
    merged: dict[tuple[Any, Any], dict[str, Any]] = {}
    level = max(level_of(new), level_of(old), key=LEVELS.index)
    for label in [*security_of(old), *security_of(new)]:
        key = (label.get("system"), label.get("code"))
        if label.get("system") == CONFIDENTIALITY and label.get("code") in LEVELS and label.get("code") != level:
            continue
        merged.setdefault(key, label)
    if not merged:
        return new
    return {**new, "meta": {**new.get("meta", {}), "security": list(merged.values())}}

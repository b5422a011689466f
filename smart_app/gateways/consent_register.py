"""The releases of a case, and what they say now about one item and one requester.

The register is the Consent resources of the same case: a release opens what it came with, never another case.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from fhir_profiles.security_labels import Label
from smart_app.gateways.vault import Head, labels_in
from smart_app.policy import consent
from smart_app.policy.access import ConsentState, Purpose, Requester, Role
from smart_app.ports import Payload

# What exists only as part of a referral is released with it; a disclosure has to be named itself.
PARTS = frozenset({"Patient", "Consent", "Appointment", "Communication"})
WHOLE = frozenset({"ServiceRequest", "Task"})


@dataclass(frozen=True)
class Standing:
    """What the releases say, and the one that says it ("Consent/<id>"), for the audit."""

    state: ConsentState
    consent_reference: str | None = None


@dataclass(frozen=True)
class ConsentRegister:
    """``organization_reference`` is our own; a bare date in a release is a day in ``zone``."""

    organization_reference: str
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))

    def standing(
        self, consents: Sequence[Payload], requester: Requester, head: Head, case_heads: Iterable[Head], now: datetime
    ) -> Standing:
        """For this requester and item now. The recipient is the program for a program, else the health center."""
        is_program = requester.role is Role.ADVOCATE
        recipient = requester.user_reference if is_program else self.organization_reference
        # Booking what a program asks for is how the center coordinates care: that is what release B names.
        purpose = Purpose.COC if requester.role is Role.SCHEDULER else requester.purpose
        return self._standing(consents, recipient, purpose, head, labels_in(head.labels), case_heads, now)

    def is_released_to_us(
        self, consents: Sequence[Payload], program: str, head: Head, case_heads: Iterable[Head], now: datetime
    ) -> bool:
        """Did ``program`` post the survivor's release that lets it tell us about this item (release B, R20)?"""
        theirs = [one for one in consents if _disclosers(one) == [program]]
        labels = labels_in(head.labels)
        found = self._standing(theirs, self.organization_reference, Purpose.COC, head, labels, case_heads, now)
        return found.state is ConsentState.COVERS

    def release_of(
        self,
        consents: Sequence[Payload],
        recipient: str,
        heads: Sequence[Head],
        case_heads: Iterable[Head],
        now: datetime,
    ) -> str | None:
        """The one release under which ALL of ``heads`` may go to ``recipient`` now, or None (R9)."""
        case_heads = list(case_heads)
        denies = [one for one in consents if _is_deny(one)]
        for one in consents:
            states = {
                self._standing(
                    [*denies, one], recipient, Purpose.COC, head, labels_in(head.labels), case_heads, now
                ).state
                for head in heads
            }
            if states == {ConsentState.COVERS}:
                return f"Consent/{one['id']}"
        return None

    def _standing(
        self,
        consents: Sequence[Payload],
        recipient: str,
        purpose: Purpose,
        head: Head,
        labels: tuple[Label, ...],
        case_heads: Iterable[Head],
        now: datetime,
    ) -> Standing:
        case_heads = list(case_heads)
        whole = [other.reference for other in case_heads if other.resource_type in WHOLE]
        people = {other.reference for other in case_heads if other.resource_type == "Patient"}
        asked: Mapping[str, object] = {
            "recipient": recipient,
            "purpose": purpose,
            "item_reference": head.reference,
            "labels": labels,
            "now": now,
            "belongs_to": whole if head.resource_type in PARTS else (),
            "zone": self.zone,
        }
        # Nobody releases to itself, and a release is the word of the very person this case is about. A "no" always
        # counts, whoever wrote it how.
        given = [
            one
            for one in consents
            if _is_deny(one) or (recipient not in _disclosers(one) and _patient_of(one) in people)
        ]
        state, which = consent.standing(given, **asked)  # type: ignore[arg-type]
        return Standing(state) if which is None else Standing(state, f"Consent/{which['id']}")


def recipients_of(payload: Payload) -> list[str]:
    """To whom a Consent releases: "Organization/<id>", all of them."""
    actors = payload.get("provision", {}).get("actor", [])
    return [str(actor.get("reference", {}).get("reference")) for actor in actors]


def _is_deny(payload: Payload) -> bool:
    provision = payload.get("provision")
    return isinstance(provision, dict) and provision.get("type") == "deny"


def _patient_of(payload: Payload) -> str:
    patient = payload.get("patient")
    return str(patient.get("reference")) if isinstance(patient, dict) else ""


def _disclosers(payload: Payload) -> list[str]:
    organizations = payload.get("organization")
    return [str(one.get("reference")) for one in organizations if isinstance(one, dict)] if organizations else []

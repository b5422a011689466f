"""Where a copy of an item lives: the setting x the patient's choice x the site's proof (R6).

The vault always keeps the item. A copy goes to the EHR only where every part allows it; whatever is missing, unknown or
expired means vault only, and the page says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Literal

VAULT = "vault"
EHR_AND_VAULT = "ehr-and-vault"
LONGEST_PROOF = timedelta(days=366)
_WRITABLE = frozenset({"Observation", "ServiceRequest", "Appointment"})


@dataclass(frozen=True)
class SiteProof:
    """A dated label proof of one registration (R6). ``classes``: resource type -> "A".."E". ``voided_on``: since when
    it counts for nothing, because a check-up found that the EHR is not the one that was proved. ``has_drifted``: a copy
    that was written since did not come back as it was sent. ``proof_id`` tells it from another of the same day."""

    registration_id: str
    made_on: date
    expires_on: date
    classes: Mapping[str, str] = field(default_factory=dict)
    voided_on: date | None = None
    has_drifted: bool = False
    proof_id: str = ""


@dataclass(frozen=True)
class RegistrationPlacement:
    """What one EHR registration may receive. ``by_type``: resource type -> "vault" | "ehr-and-vault"."""

    registration_id: str
    ehr_name: str
    by_type: Mapping[str, str] = field(default_factory=dict)
    proof: SiteProof | None = None
    is_test_environment: bool = False
    test_patient_ids: frozenset[str] = frozenset()


@dataclass(frozen=True)
class PlacementSettings:
    """All registrations' placements, by registration id. Unknown registration: vault only."""

    registrations: Mapping[str, RegistrationPlacement] = field(default_factory=dict)


@dataclass(frozen=True)
class PlacementDecision:
    """``places`` with the ``reason`` in plain words. ``lines_by_hand``: what a person may enter in the EHR where
    nothing is written. ``needs_officer``: a permission ran out or does not fit, so the privacy officer is told."""

    places: Literal["vault", "ehr-and-vault"]
    reason: str
    lines_by_hand: tuple[str, ...] = ()
    needs_officer: bool = False

    @property
    def has_ehr_copy(self) -> bool:
        """Is a copy to be written to the EHR?"""
        return self.places == EHR_AND_VAULT


# Neutral by design: true for every patient and every visit, so that they tell nobody who asked for help.
_LINES: Mapping[str, tuple[str, ...]] = {
    "Observation": (
        "Seen alone for part of the visit, as every patient is.",
        "Health education offered; printed information given or declined.",
    ),
    "ServiceRequest": (
        "Seen alone for part of the visit, as every patient is.",
        "Health education offered; printed information given or declined.",
    ),
    "Appointment": (
        "Visit type: Office visit",
        "Reason and comment: leave empty",
        "Reminders and portal message: off",
    ),
}


def lines_by_hand(resource_type: str) -> tuple[str, ...]:
    """Neutral lines for a person to enter where nothing was written; none for a type that no EHR holds."""
    return _LINES.get(resource_type, ())


def decide(
    settings: PlacementSettings,
    *,
    registration_id: str | None,
    resource_type: str,
    patient_id: str | None,
    patient_wants_ehr_copy: bool,
    today: date,
) -> PlacementDecision:
    """Vault only, or the vault and a copy in this EHR. Total: every input has an answer."""
    site = settings.registrations.get(registration_id or "")
    if site is None or resource_type not in _WRITABLE or site.by_type.get(resource_type) != EHR_AND_VAULT:
        name = site.ehr_name if site is not None else "This EHR"
        return _vault_only(resource_type, f"{name} is not set up to receive a copy of this.")
    if not patient_wants_ehr_copy:
        return _vault_only(resource_type, "The patient did not ask for a copy in the chart.")
    if site.is_test_environment:
        return _in_test(site, resource_type, patient_id)
    problem = _proof_problem(site, resource_type, today)
    if problem is not None:
        return _vault_only(resource_type, problem, needs_officer=True)
    words = f"A copy also goes to {site.ehr_name}, where a dated check showed that it stays protected."
    return PlacementDecision("ehr-and-vault", words)


def _vault_only(resource_type: str, why: str, *, needs_officer: bool = False) -> PlacementDecision:
    return PlacementDecision("vault", why, _LINES.get(resource_type, ()), needs_officer)


def _in_test(site: RegistrationPlacement, resource_type: str, patient_id: str | None) -> PlacementDecision:
    if patient_id is None or patient_id not in site.test_patient_ids:
        return _vault_only(resource_type, f"{site.ehr_name} is a test system, and this is not a listed test patient.")
    return PlacementDecision("ehr-and-vault", f"A copy also goes to {site.ehr_name}, a test system.")


def _proof_problem(site: RegistrationPlacement, resource_type: str, today: date) -> str | None:
    """Why the site's proof does not allow a copy today; None when it does."""
    proof = site.proof
    if proof is None or proof.registration_id != site.registration_id:
        return f"There is no dated check that {site.ehr_name} protects it."
    if proof.has_drifted:
        return f"{site.ehr_name} altered a copy, so no other is written there until it is checked again."
    if proof.voided_on is not None:
        return f"{site.ehr_name} has changed since it was checked."
    if not proof.made_on <= today <= min(proof.expires_on, proof.made_on + LONGEST_PROOF):
        return f"The dated check of {site.ehr_name} is no longer valid."
    if proof.classes.get(resource_type) != "A":
        return f"The check showed that {site.ehr_name} does not protect it."
    return None

"""Where a copy of an item lives: the setting x the patient's choice x the site's proof (R6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date


@dataclass(frozen=True)
class SiteProof:
    """A dated label proof of one registration (R6). ``classes``: resource type -> "A".."E" (fhir.md section 11)."""

    registration_id: str
    made_on: date
    expires_on: date
    classes: Mapping[str, str] = field(default_factory=dict)


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

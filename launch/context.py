"""What one EHR launch told us, after it was checked. A plain frozen value; holds no token and no name."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True)
class ContextReference:
    """One item of SMART 2.2 ``fhirContext``: a reference ("Type/id"), canonical or identifier, and its role."""

    reference: str | None = None
    canonical: str | None = None
    type: str | None = None
    role: str = "launch"


@dataclass(frozen=True)
class LaunchContext:
    """One finished launch, bound to one browser session.

    ``launch_id``: our opaque id, the path segment of ``/v/<launch_id>/``.  ``registration_id``: key of the EHR in
    configuration.  ``fhir_base``: the issuer URL the EHR launched with.  ``fhir_user``: relative reference such as
    "Practitioner/123".  ``patient_id``/``encounter_id``: bare ids or None.  ``granted_scopes``: as the EHR spelled them.
    ``needs_patient_banner``: true when ``need_patient_banner`` was absent or true.  ``expires_at``: aware UTC, end of
    the access token now held (a refresh moves it).
    """

    launch_id: str
    registration_id: str
    fhir_base: str
    fhir_user: str
    patient_id: str | None
    encounter_id: str | None
    granted_scopes: frozenset[str]
    needs_patient_banner: bool
    started_at: datetime
    expires_at: datetime
    intent: str | None = None
    tenant: str | None = None
    fhir_context: tuple[ContextReference, ...] = field(default=())

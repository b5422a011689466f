"""Who may see what: the decision table of the door, as pure functions.

Source: design paper ``fhir.md`` section 6 (rows D1-D13) and rules R3, R5, R22-R25.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """The twelve roles the table knows. A site's own job titles are mapped to these by ``guards``."""

    AUTHOR = "author"
    CARE_TEAM = "care-team"
    CLINICIAN = "clinician"
    ADVOCATE = "advocate"
    PATIENT = "patient"
    PROXY = "proxy"
    SCHEDULER = "scheduler"
    FRONT_DESK = "front-desk"
    BILLING = "billing"
    PRIVACY_OFFICER = "privacy-officer"
    LABELER = "labeler"
    RESEARCHER = "researcher"


class Purpose(StrEnum):
    """Purposes of use, codes of v3-ActReason."""

    TREAT = "TREAT"
    COC = "COC"
    ETREAT = "ETREAT"
    BTG = "BTG"
    PATRQT = "PATRQT"
    FAMRQT = "FAMRQT"
    HOPERAT = "HOPERAT"
    HPAYMT = "HPAYMT"
    HLEGAL = "HLEGAL"
    HRESCH = "HRESCH"
    HCOMPL = "HCOMPL"
    LABELING = "LABELING"


@dataclass(frozen=True)
class Requester:
    """Who asks, in which role, for what purpose. Built by ``guards`` from the launch; never holds a token.

    ``user_reference`` is "Practitioner/<id>" for staff and "Organization/<id>" for a partner's system.
    ``patient_id`` and ``encounter_id`` are the ids of the launch at the EHR ``registration_id``; None without one.
    ``launch_id`` is the opaque id of the launch in the path, by which ``gateways/ehr`` finds its session.
    ``is_treating`` is true when configuration lists the person's site role as treating (care-team source).
    """

    role: Role
    user_reference: str
    purpose: Purpose
    patient_id: str | None = None
    encounter_id: str | None = None
    registration_id: str | None = None
    launch_id: str | None = None
    site_role: str | None = None
    is_treating: bool = False

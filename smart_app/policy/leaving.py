"""What leaves is held to its profile first: to an EHR, to a program, in an answer. A body of ours that breaks it is our
own mistake: it is not sent, and somebody is told. Pure; who finds a problem raises ``ALERT``.
"""

from __future__ import annotations

from typing import Any

from fhir_profiles import validation
from fhir_profiles.validation.examine import examine

ALERT = "outbound-not-valid"
FLOOR = "R"  # a site may label R; nothing about a person leaves below it
# What a copy in an EHR is held to. Of a referral only coded order facts go there, so R4 itself is asked.
EHR_COPIES = {
    "Observation": "disclosure-observation",
    "ServiceRequest": "ServiceRequest",
    "Appointment": "appointment-ehr-copy",
}


def problems(payload: dict[str, Any], held_to: str) -> tuple[str, ...]:
    """FHIRPath expressions of what is wrong with ``payload`` as ``held_to``: one of our profiles, or an R4 type."""
    if held_to in validation.PROFILES:
        found = validation.validate(payload, held_to, confidentiality=FLOOR)
    else:
        found = examine(payload, held_to)
    return tuple(issue.expression for issue in found if issue.severity == "error")

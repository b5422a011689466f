"""The CapabilityStatement of the partner API: what a partner's system may do, and by omission what it may not.

Only what is listed here is answered; any other interaction, parameter or operation is refused before a look-up. The
guide's ``partner-server`` says the same in the same words, as the requirements that this one instantiates.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from fhir_profiles import dates, r4
from fhir_profiles.terminology import THO, B, Payload, concept, profile

DESCRIPTION = (
    "The partner API of a health center. Only what is listed is answered: any other interaction, parameter or "
    "operation is refused with constant bytes before any look-up. A program sees its own items only; another's is not "
    "there. One referral is one transaction Bundle (profile referral-bundle): 202 and a Location, the same bytes "
    "whether the person is known or not."
)
SECURITY = (
    "Backend services of SMART App Launch 2.2; keys are registered by hand, and the agreement must be in force. "
    "The token endpoint stands in .well-known/smart-configuration."
)
TRANSACTION = (
    "One Bundle of profile referral-bundle, nothing else. The same body again is answered 200 with the same Location."
)
# Resource type -> interactions, each with a word about it; of all of them only what is the partner's own. A Bundle is
# only checked.
WORDS: Mapping[str, Mapping[str, str]] = {
    "Appointment": {"read": "Booked day and time, only inside release A with tier appointment."},
    "Bundle": {},
    "Consent": {"create": "Release B for one Task, before the first update of it."},
    "HealthcareService": {
        "read": "The program's own entry; its id is the program's.",
        "update": "Whether there is room, nothing else; If-Match is required.",
    },
    "ServiceRequest": {"read": "One that the program sent or was sent; a safe contact is hidden from its end on."},
    "Task": {
        "read": "As far as a release goes; else that it was received.",
        "update": "Status back, as far as the tier of release B goes; If-Match is required.",
        "patch": "The same by JSON Patch of what a read shows; If-Match is required.",
        "search-type": (
            "The program's own Tasks, filtered by what it may see of them. The Bundle's timestamp is where the next "
            "search begins; the next link is followed as it stands."
        ),
    },
}
INTERACTIONS: Mapping[str, tuple[str, ...]] = {kind: tuple(words) for kind, words in WORDS.items()}
OPERATIONS: Mapping[str, Mapping[str, str]] = {
    "Bundle": {"validate": f"{B}/OperationDefinition/bundle-validate"},
    "Task": {"status": f"{B}/OperationDefinition/task-status"},
}
# Parameter -> type and a word about it. _count and the paging of the next link are results' parameters: not listed.
SEARCHES: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "Task": {
        "_lastUpdated": ("date", "ge, gt, le or lt, at most two: since when the Task reads as it reads now."),
        "status": ("token", "One or more codes, with commas."),
    }
}
PROFILES = {
    "Appointment": "proposed-appointment",
    "Bundle": "referral-bundle",
    "Consent": "release-consent",
    "HealthcareService": "partner-service",
    "ServiceRequest": "referral-service-request",
    "Task": "referral-task",
}


def capability_statement(
    *, public_base_url: str, software_name: str, software_version: str, published_on: date
) -> Payload:
    """The CapabilityStatement of ``<public_base_url>/fhir``. ``software_name`` is the neutral product name (R27)."""
    return r4.checked(
        {
            "resourceType": "CapabilityStatement",
            "status": "active",
            "date": dates.as_text(published_on),
            "description": DESCRIPTION,
            "kind": "instance",
            "instantiates": [f"{B}/CapabilityStatement/partner-server"],
            "software": {"name": software_name, "version": software_version},
            "implementation": {"description": software_name, "url": f"{public_base_url.rstrip('/')}/fhir"},
            "fhirVersion": "4.0.1",
            "format": ["json"],
            "rest": [
                {
                    "mode": "server",
                    "security": {
                        "cors": False,
                        "service": [concept(f"{THO}/restful-security-service", "SMART-on-FHIR")],
                        "description": SECURITY,
                    },
                    "resource": [_resource(kind, words) for kind, words in WORDS.items()],
                    "interaction": [{"code": "transaction", "documentation": TRANSACTION}],
                }
            ],
        }
    )


def _resource(kind: str, words: Mapping[str, str]) -> Payload:
    made: Payload = {"type": kind, "supportedProfile": [profile(PROFILES[kind])]}
    if words:
        made["interaction"] = [{"code": code, "documentation": text} for code, text in words.items()]
        made["versioning"] = "versioned-update" if "update" in words else "versioned"
        made |= {"readHistory": False, "updateCreate": False}
    searches = SEARCHES.get(kind, {}).items()
    if searches:
        made["searchParam"] = [{"name": name, "type": form, "documentation": text} for name, (form, text) in searches]
    operations = [{"name": name, "definition": url} for name, url in OPERATIONS.get(kind, {}).items()]
    return {**made, **({"operation": operations} if operations else {})}

"""The CapabilityStatement of the partner API: what a partner's system may do, and by omission what it may not.

Only what is listed here is answered; any other interaction, parameter or operation is refused before a look-up.
"""

from __future__ import annotations

from datetime import date

from fhir_profiles import dates, r4
from fhir_profiles.terminology import THO, Payload, concept, profile

# Resource type -> interactions. Appointment and ServiceRequest can be read only, and only the partner's own.
INTERACTIONS = {
    "Appointment": ("read",),
    "Consent": ("create",),
    "ServiceRequest": ("read",),
    "Task": ("read", "update"),
}
_PROFILES = {
    "Appointment": "proposed-appointment",
    "Consent": "release-consent",
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
            "kind": "instance",
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
                    },
                    "resource": [_resource(kind, interactions) for kind, interactions in INTERACTIONS.items()],
                    "interaction": [{"code": "transaction"}],
                }
            ],
        }
    )


def _resource(kind: str, interactions: tuple[str, ...]) -> Payload:
    return {
        "type": kind,
        "supportedProfile": [profile(_PROFILES[kind])],
        "interaction": [{"code": code} for code in interactions],
        "versioning": "versioned-update" if "update" in interactions else "versioned",
        "readHistory": False,
        "updateCreate": False,
    }

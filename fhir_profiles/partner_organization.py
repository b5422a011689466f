"""Profile ``partner-organization``: a program as the public knows it. Never an address: a location can kill."""

from __future__ import annotations

from fhir_profiles import safe_contact, shapes
from fhir_profiles.construction import built
from fhir_profiles.shapes import Many, Record, Report
from fhir_profiles.terminology import ID_PARTNER, Payload, profile

PROFILE = profile("partner-organization")
PUBLIC_LINE = Record(
    {"system!": shapes.code("phone"), "value!": shapes.matching(safe_contact.PHONE, "A phone number is expected here.")}
)
SHAPE = Record(
    {
        "resourceType!": shapes.code("Organization"),
        "id": shapes.ID,
        "meta": shapes.meta(PROFILE),
        "identifier!": Many(shapes.IDENTIFIER),
        "active!": shapes.Flag(),
        "name!": shapes.line(80),
        "telecom!": Many(PUBLIC_LINE, 1, 3),
    }
)


def partner_organization(*, id: str, identifier_value: str, name: str, phone: str, is_active: bool = True) -> Payload:
    """The Organization. ``phone`` is its public line. Public data: no label. ValueError for anything that this profile
    does not allow."""
    return built(
        {
            "resourceType": "Organization",
            "id": id,
            "meta": {"profile": [PROFILE]},
            "identifier": [{"system": ID_PARTNER, "value": identifier_value}],
            "active": is_active,
            "name": name,
            "telecom": [{"system": "phone", "value": phone}],
        },
        SHAPE,
        rules,
    )


def rules(payload: Payload, path: str, report: Report) -> None:
    """The shape says it all."""

"""Profile ``partner-endpoint``: where a program with a FHIR system takes referrals (shape of NDH's Endpoint).

A program without one has no Endpoint; it works by web inbox, phone or a printed sheet.
"""

from __future__ import annotations

from fhir_profiles import shapes
from fhir_profiles.construction import built
from fhir_profiles.shapes import Many, Record, Report, Text
from fhir_profiles.terminology import (
    ENDPOINT_CONNECTION_TYPE,
    ENDPOINT_PAYLOAD_TYPE,
    Payload,
    coding,
    concept,
    profile,
    reference,
)

PROFILE = profile("partner-endpoint")
_REST = (ENDPOINT_CONNECTION_TYPE, "hl7-fhir-rest")
_ANY = (ENDPOINT_PAYLOAD_TYPE, "any")
SHAPE = Record(
    {
        "resourceType!": shapes.code("Endpoint"),
        "id": shapes.ID,
        "meta": shapes.meta(PROFILE),
        "status!": shapes.code("active"),
        "connectionType!": shapes.coding(_REST),
        "managingOrganization!": shapes.reference("Organization", urn=False),
        "payloadType!": Many(shapes.concept(_ANY)),
        "address!": Text(
            lambda value: (
                value.startswith("https://") and len(value) <= 200 and value.isascii() and value.isprintable()
            ),
            "An https address is expected here.",
        ),
    }
)


def partner_endpoint(*, id: str, organization_reference: str, address: str) -> Payload:
    """The Endpoint of "Organization/<id>". Public data: no label. ValueError unless the address is https, and for
    anything else that this profile does not allow."""
    return built(
        {
            "resourceType": "Endpoint",
            "id": id,
            "meta": {"profile": [PROFILE]},
            "status": "active",
            "connectionType": coding(*_REST),
            "managingOrganization": reference(organization_reference),
            "payloadType": [concept(*_ANY)],
            "address": address,
        },
        SHAPE,
        rules,
    )


def rules(payload: Payload, path: str, report: Report) -> None:
    """The shape says it all."""

"""Profile ``partner-service``: what a program offers and whether it has room; room is a program fact, not a client's.

Gravity fixes ``active`` to true: a suspended partner is unpublished instead of described falsely.
"""

from __future__ import annotations

from fhir_profiles import shapes
from fhir_profiles.construction import built
from fhir_profiles.shapes import Extensions, Many, Record, Report
from fhir_profiles.terminology import (
    CAPACITY_STATUS,
    GRAVITY_CODES,
    SERVICE_TYPE,
    US_CORE_CATEGORY,
    Payload,
    coding,
    concept,
    profile,
    reference,
)

PROFILE = profile("partner-service")
CAPACITIES = ("capacity", "no-capacity")
_SDOH = (US_CORE_CATEGORY, "sdoh")
KINDS = ("intimate-partner-violence", "elder-abuse", "sdoh-category-unspecified")
_KINDS = tuple((GRAVITY_CODES, kind) for kind in KINDS)
_TYPE = (SERVICE_TYPE, "224")
_CAPACITY = Record(
    {
        "extension!": Extensions(
            {
                "capacityStatus!": Record(
                    {"valueCodeableConcept!": shapes.concept(*((GRAVITY_CODES, code) for code in CAPACITIES))}
                )
            }
        )
    }
)
SHAPE = Record(
    {
        "resourceType!": shapes.code("HealthcareService"),
        "id": shapes.ID,
        "meta": shapes.meta(PROFILE),
        "extension!": Extensions({f"{CAPACITY_STATUS}!": _CAPACITY}),
        "active!": shapes.Flag(only=True),
        "providedBy!": shapes.reference("Organization", urn=False),
        "category!": Many(Record({"coding!": Many(shapes.coding(_SDOH, *_KINDS), 1, 3)})),
        "type!": Many(shapes.concept(_TYPE)),
        "name!": shapes.line(80),
    }
)


def partner_service(
    *, id: str, organization_reference: str, name: str, has_capacity: bool, kind: str = "intimate-partner-violence"
) -> Payload:
    """The HealthcareService of "Organization/<id>". ``kind`` is one of ``KINDS``. Public data: no label. ValueError for
    anything that this profile does not allow."""
    capacity = concept(GRAVITY_CODES, CAPACITIES[0] if has_capacity else CAPACITIES[1])
    return built(
        {
            "resourceType": "HealthcareService",
            "id": id,
            "meta": {"profile": [PROFILE]},
            "extension": [
                {
                    "url": CAPACITY_STATUS,
                    "extension": [{"url": "capacityStatus", "valueCodeableConcept": capacity}],
                }
            ],
            "active": True,
            "providedBy": reference(organization_reference),
            "category": [{"coding": [coding(*_SDOH), coding(GRAVITY_CODES, kind)]}],
            "type": [concept(*_TYPE)],
            "name": name,
        },
        SHAPE,
        rules,
    )


def has_room(payload: Payload) -> bool:
    """Whether a checked HealthcareService says that there is capacity."""
    told = payload["extension"][0]["extension"][0]["valueCodeableConcept"]["coding"][0]["code"]
    return bool(told == CAPACITIES[0])


def rules(payload: Payload, path: str, report: Report) -> None:
    """The category names the domain and, beside it, a kind."""
    codings = [(item["system"], item["code"]) for item in payload["category"][0]["coding"]]
    if _SDOH not in codings or len(set(codings)) != len(codings):
        report.add("code-invalid", f"{path}.category[0].coding", "The category names sdoh once.")

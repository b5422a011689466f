"""Profile ``partnership-mou``: the agreement between health center and program. It opens the channel, never a person's
data: a release is needed for each (R9, L8)."""

from __future__ import annotations

from datetime import date

from fhir_profiles import dates, r4, shapes
from fhir_profiles.shapes import Extensions, Many, Record, Report
from fhir_profiles.terminology import MOU, UNITS, Payload, profile, reference

PROFILE = profile("partnership-mou")
_DOCUMENT = Record({"valueReference!": shapes.reference("DocumentReference", urn=False)})
_PROMISE = Record({"value!": shapes.Whole(1, 10_080), "system!": shapes.code(UNITS), "code!": shapes.code("min")})
SHAPE = Record(
    {
        "resourceType!": shapes.code("OrganizationAffiliation"),
        "id": shapes.ID,
        "meta": shapes.meta(PROFILE),
        "extension!": Extensions(
            {
                f"{MOU}!": Record(
                    {
                        "extension!": Extensions(
                            {
                                "document!": _DOCUMENT,
                                "acknowledgeWithin!": Record({"valueDuration!": _PROMISE}),
                            }
                        )
                    }
                )
            }
        ),
        "active!": shapes.Flag(),
        "period!": shapes.PERIOD,
        "organization!": shapes.reference("Organization", urn=False),
        "participatingOrganization!": shapes.reference("Organization", urn=False),
        "endpoint": Many(shapes.reference("Endpoint", urn=False)),
    }
)


def partnership_mou(
    *,
    id: str,
    organization_reference: str,
    participating_reference: str,
    document_reference: str,
    acknowledge_minutes: int,
    starts_on: date,
    ends_on: date,
    endpoint_reference: str | None = None,
    is_active: bool = True,
) -> Payload:
    """The OrganizationAffiliation. ``acknowledge_minutes`` is the program's promise. Public data: no label."""
    promise = {"value": acknowledge_minutes, "system": UNITS, "code": "min"}
    return r4.checked(
        {
            "resourceType": "OrganizationAffiliation",
            "id": id,
            "meta": {"profile": [PROFILE]},
            "extension": [
                {
                    "url": MOU,
                    "extension": [
                        {"url": "document", "valueReference": reference(document_reference)},
                        {"url": "acknowledgeWithin", "valueDuration": promise},
                    ],
                }
            ],
            "active": is_active,
            "period": {"start": dates.as_text(starts_on), "end": dates.as_text(ends_on)},
            "organization": reference(organization_reference),
            "participatingOrganization": reference(participating_reference),
            **({"endpoint": [reference(endpoint_reference)]} if endpoint_reference else {}),
        }
    )


def rules(payload: Payload, path: str, report: Report) -> None:
    """Two organizations, and a period that runs forward."""
    shapes.check_period(payload["period"], f"{path}.period", report)
    if payload["organization"] == payload["participatingOrganization"]:
        report.add("invariant", f"{path}.participatingOrganization", "An agreement has two parties.")

"""Profile ``partnership-mou``: the agreement between health center and program. It opens the channel, never a person's
data: a release is needed for each (R9, L8)."""

from __future__ import annotations

from datetime import date

from fhir_profiles import dates, shapes
from fhir_profiles import mou as agreement
from fhir_profiles.construction import built
from fhir_profiles.shapes import Extensions, Many, Record, Report
from fhir_profiles.terminology import MOU, Payload, profile, reference

PROFILE = profile("partnership-mou")
SHAPE = Record(
    {
        "resourceType!": shapes.code("OrganizationAffiliation"),
        "id": shapes.ID,
        "meta": shapes.meta(PROFILE),
        "extension!": Extensions({f"{MOU}!": agreement.RECORD}),
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
    """The OrganizationAffiliation. ``acknowledge_minutes`` is the program's promise. Public data: no label. ValueError
    for anything that this profile does not allow."""
    return built(
        {
            "resourceType": "OrganizationAffiliation",
            "id": id,
            "meta": {"profile": [PROFILE]},
            "extension": [
                agreement.mou(document_reference=document_reference, acknowledge_minutes=acknowledge_minutes)
            ],
            "active": is_active,
            "period": {"start": dates.as_text(starts_on), "end": dates.as_text(ends_on)},
            "organization": reference(organization_reference),
            "participatingOrganization": reference(participating_reference),
            **({"endpoint": [reference(endpoint_reference)]} if endpoint_reference else {}),
        },
        SHAPE,
        rules,
    )


def rules(payload: Payload, path: str, report: Report) -> None:
    """Two organizations, and a period that runs forward."""
    shapes.check_period(payload["period"], f"{path}.period", report)
    if payload["organization"] == payload["participatingOrganization"]:
        report.add(
            "invariant",
            f"{path}.participatingOrganization",
            "An agreement has two parties: organization and participatingOrganization are not the same.",
        )

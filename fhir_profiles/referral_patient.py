"""The Patient of a referral: an opaque identifier and the name to use, nothing else (R12). It still meets US Core."""

from __future__ import annotations

from collections.abc import Sequence

from fhir_profiles import shapes
from fhir_profiles.construction import built
from fhir_profiles.security_labels import Label, own_security
from fhir_profiles.shapes import Many, Record, Report
from fhir_profiles.terminology import US_CORE_PATIENT, Payload, profile

PROFILE = profile("referral-patient")
LONGEST_ALIAS = 40

SHAPE = Record(
    {
        "resourceType!": shapes.code("Patient"),
        "id": shapes.ID,
        "meta": shapes.meta(PROFILE, US_CORE_PATIENT),
        "identifier!": Many(shapes.IDENTIFIER),
        "name!": Many(Record({"use!": shapes.code("anonymous"), "given!": Many(shapes.line(LONGEST_ALIAS))})),
        "gender!": shapes.code("unknown"),
    }
)


def referral_patient(
    *, labels: Sequence[Label], id: str | None, identifier_system: str, identifier_value: str, alias: str
) -> Payload:
    """The Patient under the name she wants to be called by. The identifier is made for this referral, never the EHR's.

    ValueError when the alias is empty, longer than 40 characters, or not one printable line.
    """
    if not is_alias(alias):
        raise ValueError("the name to use is one printable line of at most 40 characters")
    return built(
        {
            "resourceType": "Patient",
            **({"id": id} if id is not None else {}),
            "meta": {"security": own_security("referral-patient", labels)},
            "identifier": [{"system": identifier_system, "value": identifier_value}],
            "name": [{"use": "anonymous", "given": [alias]}],
            "gender": "unknown",
        },
        SHAPE,
        rules,
    )


def is_alias(text: str) -> bool:
    """Is this a name to use: one printable line of at most 40 characters, without blanks around it?"""
    report = Report()
    shapes.line(LONGEST_ALIAS).check(text, "alias", report)
    return not report.issues


def alias_of(payload: Payload) -> str:
    """The name to use."""
    return str(payload["name"][0]["given"][0])


def rules(payload: Payload, path: str, report: Report) -> None:
    """The shape says it all."""

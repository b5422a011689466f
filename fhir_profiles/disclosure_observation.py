"""Profile ``disclosure-observation``: what a patient told in talk, as one coded fact without narrative.

Parent: Gravity SDOHCC ObservationAssessment. No kind is ever required, asked twice or guessed; the labels are the same
for every kind, so a label does not tell which. Intimate partner abuse is the only kind with a confirmed SNOMED code.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from fhir_profiles import dates, shapes
from fhir_profiles.construction import built
from fhir_profiles.security_labels import Label, own_security
from fhir_profiles.shapes import Many, Record, Report
from fhir_profiles.terminology import (
    DISCLOSURE_KIND,
    GRAVITY,
    GRAVITY_CODES,
    ID_OBSERVATION,
    SNOMED,
    US_CORE_CATEGORY,
    Payload,
    concept,
    profile,
    reference,
)

PROFILE = profile("disclosure-observation")
KINDS = (
    "violence-disclosed",
    "intimate-partner-abuse",
    "sexual-violence",
    "stalking",
    "trafficking",
    "elder-abuse",
)
_UNSPECIFIED = "sdoh-category-unspecified"
# Kind -> (coding emitted, Gravity category). Z63.0 is not abuse, and IPV codes are true for partner violence only.
_CODES = {kind: ((DISCLOSURE_KIND, kind), _UNSPECIFIED) for kind in KINDS} | {
    "intimate-partner-abuse": ((SNOMED, "706893006"), "intimate-partner-violence"),
    "elder-abuse": ((DISCLOSURE_KIND, "elder-abuse"), "elder-abuse"),
}
_SDOH = (US_CORE_CATEGORY, "sdoh")
_CATEGORIES = tuple((GRAVITY_CODES, code) for code in sorted({category for _, category in _CODES.values()}))

SHAPE = Record(
    {
        "resourceType!": shapes.code("Observation"),
        "id": shapes.ID,
        "meta": shapes.meta(PROFILE, f"{GRAVITY}/SDOHCC-ObservationAssessment"),
        "identifier": Many(shapes.IDENTIFIER),
        "status!": shapes.code("final", "corrected", "entered-in-error"),
        "category!": Many(shapes.concept(_SDOH, *_CATEGORIES), 2, 2),
        "code!": shapes.concept(*(coding for coding, _ in _CODES.values())),
        "subject!": shapes.reference("Patient", urn=False),
        "effectiveDateTime!": shapes.DATE_TIME,
        "performer!": Many(shapes.reference("Practitioner", "PractitionerRole", urn=False)),
        "valueBoolean!": shapes.Flag(only=True),
    }
)


def disclosure_observation(
    *,
    labels: Sequence[Label],
    patient_reference: str,
    performer_reference: str,
    recorded_at: date,
    kind: str = KINDS[0],
    identifier: str | None = None,
) -> Payload:
    """The Observation. ``recorded_at`` is a date or an aware datetime; ``performer_reference`` is what ``fhirUser``
    gives ("Practitioner/<id>"). ``identifier`` is an opaque value in our own system. The labels are the same for every
    kind. ValueError for an unknown kind and for anything that this profile does not allow."""
    if kind not in _CODES:
        raise ValueError("the kind is one of those of this profile")
    (system, code), category = _CODES[kind]
    payload: Payload = {
        "resourceType": "Observation",
        "meta": {"profile": [PROFILE], "security": own_security("disclosure-observation", labels)},
        "status": "final",
        "category": [concept(*_SDOH), concept(GRAVITY_CODES, category)],
        "code": concept(system, code),
        "subject": reference(patient_reference),
        "effectiveDateTime": dates.as_text(recorded_at),
        "performer": [reference(performer_reference)],
        "valueBoolean": True,
    }
    if identifier is not None:
        payload["identifier"] = [{"system": ID_OBSERVATION, "value": identifier}]
    return built(payload, SHAPE, rules)


def kind_of(payload: Payload) -> str:
    """The kind an Observation of ours says, one of ``KINDS``; the default when it says none we know."""
    codings = payload.get("code", {}).get("coding") or [{}]
    pair = (codings[0].get("system"), codings[0].get("code"))
    return next((kind for kind, (coding, _) in _CODES.items() if coding == pair), KINDS[0])


def rules(payload: Payload, path: str, report: Report) -> None:
    """Two categories: sdoh, and the Gravity one that follows the kind."""
    pairs = {(item["coding"][0]["system"], item["coding"][0]["code"]) for item in payload["category"]}
    _, category = _CODES[kind_of(payload)]
    if pairs != {_SDOH, (GRAVITY_CODES, category)}:
        report.add(
            "code-invalid",
            f"{path}.category",
            "The categories are sdoh and the one that follows the kind in code: see the profile.",
        )

"""Profile ``release-consent``: the survivor's own release, one direction, one recipient, named items, dated (R9, R10).

Parent: Gravity SDOHCC Consent; it also fits PCF Advanced, which is why ``action``, ``class``, ``code`` and
``verification`` are absent. A: health center to program. B: program to health center. Never one "mutual" release.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from fhir_profiles import dates, shapes
from fhir_profiles.construction import built
from fhir_profiles.release_signer import RECORD as SIGNER_RECORD
from fhir_profiles.release_signer import release_signer
from fhir_profiles.release_tier import RECORD as TIER_RECORD
from fhir_profiles.release_tier import TIERS, release_tier
from fhir_profiles.security_labels import LEVELS, SENSITIVITIES, Label, own_security
from fhir_profiles.shapes import Extensions, Many, Record, Report
from fhir_profiles.terminology import (
    ACT_CODE,
    ACT_REASON,
    CONFIDENTIALITY,
    CONSENT_SCOPE,
    GRAVITY,
    ID_RELEASE,
    LOINC,
    PARTICIPATION_TYPE,
    RELEASE_SIGNER,
    RELEASE_TIER,
    Payload,
    coding,
    concept,
    profile,
    reference,
)

PROFILE = profile("release-consent")
LONGEST_DAYS = 90
DEFAULT_DAYS = 30
STATUSES = ("active", "inactive", "entered-in-error")
_CATEGORIES = ((ACT_CODE, "IDSCL"), (LOINC, "59284-0"))
_RECIPIENT = (PARTICIPATION_TYPE, "IRCP")
_LABELS = tuple((CONFIDENTIALITY, level) for level in LEVELS) + tuple((ACT_CODE, code) for code in SENSITIVITIES)

_ITEM = shapes.reference("ServiceRequest", "Task", "Appointment", absolute=True)
_PROVISION = Record(
    {
        "extension": Extensions({RELEASE_TIER: TIER_RECORD}),
        "type!": shapes.code("permit"),
        "period!": shapes.PERIOD,
        "actor!": Many(
            Record({"role!": shapes.concept(_RECIPIENT), "reference!": shapes.reference("Organization", urn=False)})
        ),
        "securityLabel!": Many(shapes.coding(*_LABELS), 1, 8),
        "purpose!": Many(shapes.coding((ACT_REASON, "COC"), (ACT_REASON, "TREAT")), 1, 2),
        "data!": Many(Record({"meaning!": shapes.code("instance"), "reference!": _ITEM}), 1, 8),
    }
)
SHAPE = Record(
    {
        "resourceType!": shapes.code("Consent"),
        "id": shapes.ID,
        "meta": shapes.meta(PROFILE, f"{GRAVITY}/SDOHCC-Consent"),
        "extension!": Extensions({f"{RELEASE_SIGNER}!": SIGNER_RECORD}),
        "status!": shapes.code(*STATUSES),
        "scope!": shapes.concept((CONSENT_SCOPE, "patient-privacy")),
        "category!": Many(shapes.concept(*_CATEGORIES), 2, 2),
        "patient!": shapes.reference("Patient"),
        "dateTime!": shapes.DATE_TIME,
        "performer!": Many(shapes.reference("Patient")),
        "organization!": Many(shapes.reference("Organization", urn=False)),
        "sourceReference!": Record({"type!": shapes.code("DocumentReference"), "identifier!": shapes.IDENTIFIER}),
        "policy!": Many(Record({"uri!": shapes.PLAIN_URI})),
        "provision!": _PROVISION,
    }
)


def release_consent(
    *,
    labels: Sequence[Label],
    id: str | None,
    patient_reference: str,
    from_organization: str,
    to_organization: str,
    item_references: Sequence[str],
    signed_on: date,
    starts_on: date,
    ends_on: date,
    signer: str,
    source_identifier: str,
    policy_uri: str,
    tier: str | None = None,
) -> Payload:
    """The release of ``item_references`` from one Organization to one other.

    ``signer`` is one of ``release_signer.SIGNERS``: the alleged abuser may never sign (28 CFR 94.115).
    ``source_identifier`` names the signed form in our own system. ``tier`` is one of ``TIERS``.
    Raises ValueError for more than 90 days, for an end
    before the start, for no item, and for anything else that this profile does not allow.
    """
    if any(isinstance(day, datetime) for day in (signed_on, starts_on, ends_on)):
        raise ValueError("a release is dated in whole days")
    if not 0 <= (ends_on - min(starts_on, signed_on)).days <= LONGEST_DAYS or ends_on < starts_on:
        raise ValueError("a release lasts from 0 to 90 days (R10)")
    if not item_references or from_organization == to_organization:
        raise ValueError("a release names its items and two organizations")
    payload: Payload = {
        "resourceType": "Consent",
        **({"id": id} if id is not None else {}),
        "meta": {"profile": [PROFILE], "security": own_security("release-consent", labels)},
        "extension": [release_signer(signer=signer)],
        "status": "active",
        "scope": concept(CONSENT_SCOPE, "patient-privacy"),
        "category": [concept(*pair) for pair in _CATEGORIES],
        "patient": reference(patient_reference),
        "dateTime": dates.as_text(signed_on),
        "performer": [reference(patient_reference)],
        "organization": [reference(from_organization)],
        "sourceReference": {
            "type": "DocumentReference",
            "identifier": {"system": ID_RELEASE, "value": source_identifier},
        },
        "policy": [{"uri": policy_uri}],
        "provision": {
            **({"extension": [release_tier(tier=tier)]} if tier is not None else {}),
            "type": "permit",
            "period": {"start": dates.as_text(starts_on), "end": dates.as_text(ends_on)},
            "actor": [{"role": concept(*_RECIPIENT), "reference": reference(to_organization)}],
            "securityLabel": [coding(CONFIDENTIALITY, "V"), coding(ACT_CODE, "SDV")],
            "purpose": [coding(ACT_REASON, "COC")],
            "data": [{"meaning": "instance", "reference": reference(item)} for item in item_references],
        },
    }
    return built(payload, SHAPE, rules)


def discloser_of(payload: Payload) -> str:
    """The organization that releases, "Organization/<id>"."""
    return str(payload["organization"][0]["reference"])


def recipient_of(payload: Payload) -> str:
    """The organization that receives, "Organization/<id>"."""
    return str(payload["provision"]["actor"][0]["reference"]["reference"])


def items_of(payload: Payload) -> tuple[str, ...]:
    """The references released."""
    return tuple(str(item["reference"]["reference"]) for item in payload["provision"]["data"])


def tier_of(payload: Payload) -> str:
    """What the partner may write back under this release, one of ``TIERS``; "none" when it does not say."""
    for extension in payload.get("provision", {}).get("extension") or []:
        if extension.get("url") == RELEASE_TIER and extension.get("valueCode") in TIERS:
            return str(extension["valueCode"])
    return "none"


def rules(payload: Payload, path: str, report: Report) -> None:
    """Dates, direction, signer, items: what makes a release informed, dated and one-way (R10, R16)."""
    period = payload["provision"]["period"]
    shapes.check_period(period, f"{path}.provision.period", report)
    signed, start = dates.first_moment(payload["dateTime"]), dates.first_moment(period["start"])
    end = dates.last_moment(period["end"])
    if signed > end:
        report.add("business-rule", f"{path}.dateTime", "The release is signed before it ends.")
    if (dates.first_moment(period["end"]) - min(signed, start)).days > LONGEST_DAYS:
        report.add("business-rule", f"{path}.provision.period", "A release lasts 90 days at most (R10).")
    if discloser_of(payload) == recipient_of(payload):
        report.add(
            "business-rule",
            f"{path}.provision.actor[0].reference",
            "A release goes from one organization to another: the recipient is not the discloser.",
        )
    if payload["performer"][0] != payload["patient"]:
        report.add(
            "business-rule",
            f"{path}.performer[0]",
            "The release is the patient's own: performer is the reference in patient.",
        )
    items = items_of(payload)
    if len(set(items)) != len(items):
        report.add("invariant", f"{path}.provision.data", "Each item may be named once.")
    _check_labels(payload, path, report)


def _check_labels(payload: Payload, path: str, report: Report) -> None:
    categories = {(item["coding"][0]["system"], item["coding"][0]["code"]) for item in payload["category"]}
    if categories != set(_CATEGORIES):
        report.add(
            "code-invalid",
            f"{path}.category",
            f"Both categories are required: {' and '.join(shapes.codings(_CATEGORIES))}.",
        )
    named = [(item["system"], item["code"]) for item in payload["provision"]["securityLabel"]]
    if (ACT_CODE, "SDV") not in named:
        report.add(
            "business-rule",
            f"{path}.provision.securityLabel",
            "The release names what it opens: SDV of http://terminology.hl7.org/CodeSystem/v3-ActCode.",
        )
    if sum(system == CONFIDENTIALITY for system, _ in named) != 1 or len(set(named)) != len(named):
        report.add(
            "business-rule",
            f"{path}.provision.securityLabel",
            "The release names exactly one confidentiality level, and each label once.",
        )

"""Profile ``referral-service-request``: what is asked of the other side. It needs no disclosure (R1).

Parent: Gravity SDOHCC ServiceRequest. The requester is the organization, never a person; there is no reason, no
insurance and no encounter. Ticked needs stand as codes in ``orderDetail``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

from fhir_profiles import dates, safe_contact, shapes
from fhir_profiles.construction import built
from fhir_profiles.security_labels import Label, own_security
from fhir_profiles.shapes import Extensions, Many, Record, Report
from fhir_profiles.terminology import (
    GRAVITY,
    GRAVITY_CODES,
    REFERRAL_NEED,
    SAFE_CONTACT,
    SNOMED,
    Payload,
    concept,
    profile,
    reference,
)

PROFILE = profile("referral-service-request")
# Needs a person may tick, with the words shown for each. None of them says why.
NEEDS: Mapping[str, str] = {
    "housing": "A place to stay",
    "legal": "Legal help",
    "food": "Food",
    "enrollment": "Benefits and enrollment",
    "transport": "Getting there",
    "counseling": "Someone to talk to",
    "medical-visit": "A medical visit",
}
PRIORITIES = ("routine", "urgent", "asap", "stat")
CONTACT_PROHIBITED = (GRAVITY_CODES, "contacting-subject-prohibited")
_SDOH_CATEGORY = (SNOMED, "410606002")
_CATEGORY = (GRAVITY_CODES, "sdoh-category-unspecified")
_CODE = (SNOMED, "308440001")  # referral to social worker: neutral, and a standard code as Gravity's binding asks

SHAPE = Record(
    {
        "resourceType!": shapes.code("ServiceRequest"),
        "id": shapes.ID,
        "meta": shapes.meta(PROFILE, f"{GRAVITY}/SDOHCC-ServiceRequest"),
        "extension!": Extensions({f"{SAFE_CONTACT}!": safe_contact.RECORD}),
        "status!": shapes.code("active", "on-hold", "completed", "revoked", "entered-in-error"),
        "intent!": shapes.code("order"),
        "priority": shapes.code(*PRIORITIES),
        "category!": Many(shapes.concept(_SDOH_CATEGORY, _CATEGORY), 2, 2),
        "code!": shapes.concept(_CODE),
        "orderDetail": Many(
            shapes.concept(CONTACT_PROHIBITED, *((REFERRAL_NEED, need) for need in NEEDS)), 1, len(NEEDS) + 1
        ),
        "subject!": shapes.reference("Patient"),
        "occurrencePeriod": shapes.PERIOD,
        "authoredOn!": shapes.DATE_TIME,
        "requester!": shapes.reference("Organization", urn=False),
        "performer!": Many(shapes.reference("Organization", "HealthcareService", urn=False)),
        "supportingInfo!": Many(shapes.reference("Consent")),
    }
)


def referral_service_request(
    *,
    labels: Sequence[Label],
    id: str | None,
    patient_reference: str,
    requester_reference: str,
    performer_reference: str,
    consent_reference: str,
    safe_contact: Payload,
    authored_at: date,
    needs: Sequence[str] = (),
    priority: str | None = None,
) -> Payload:
    """The ServiceRequest. ``safe_contact`` is the extension that ``safe_contact(...)`` builds; without a phone number
    in it, ``contacting-subject-prohibited`` is set (R13). ``needs`` are keys of ``NEEDS``. ValueError for anything
    that this profile does not allow."""
    if not set(needs) <= NEEDS.keys():
        raise ValueError("the needs are those of this profile")
    details = [concept(REFERRAL_NEED, need) for need in dict.fromkeys(needs)]
    if not _gives_telecom(safe_contact):
        details.insert(0, concept(*CONTACT_PROHIBITED))
    payload: Payload = {
        "resourceType": "ServiceRequest",
        **({"id": id} if id is not None else {}),
        "meta": {"profile": [PROFILE], "security": own_security("referral-service-request", labels)},
        "extension": [safe_contact],
        "status": "active",
        "intent": "order",
        **({"priority": priority} if priority is not None else {}),
        "category": [concept(*_SDOH_CATEGORY), concept(*_CATEGORY)],
        "code": concept(*_CODE),
        **({"orderDetail": details} if details else {}),
        "subject": reference(patient_reference),
        "authoredOn": dates.as_text(authored_at),
        "requester": reference(requester_reference),
        "performer": [reference(performer_reference)],
        "supportingInfo": [reference(consent_reference)],
    }
    return built(payload, SHAPE, rules)


def needs_of(payload: Payload) -> tuple[str, ...]:
    """The ticked needs, as keys of ``NEEDS``."""
    codings = [item["coding"][0] for item in payload.get("orderDetail") or []]
    return tuple(coding["code"] for coding in codings if coding["system"] == REFERRAL_NEED)


def _gives_telecom(extension: Payload) -> bool:
    return "telecom" in safe_contact.values(extension)


def rules(payload: Payload, path: str, report: Report) -> None:
    """Both categories, the safe contact's own rules, and the ban on contact exactly when no phone is given."""
    pairs = {(item["coding"][0]["system"], item["coding"][0]["code"]) for item in payload["category"]}
    if pairs != {_SDOH_CATEGORY, _CATEGORY}:
        report.add(
            "code-invalid",
            f"{path}.category",
            f"Both categories are required: {' and '.join(shapes.codings([_SDOH_CATEGORY, _CATEGORY]))}.",
        )
    details = [(item["coding"][0]["system"], item["coding"][0]["code"]) for item in payload.get("orderDetail") or []]
    if len(details) != len(set(details)):
        report.add("invariant", f"{path}.orderDetail", "Each order detail may stand once.")
    contact = safe_contact.of(payload)
    if contact is None:
        return
    safe_contact.rules(contact, f"{path}.extension[0]", report)
    if _gives_telecom(contact) and CONTACT_PROHIBITED in details:
        report.add(
            "business-rule",
            f"{path}.orderDetail",
            "With a phone number, contacting-subject-prohibited is not allowed (R13).",
        )
    elif not _gives_telecom(contact) and CONTACT_PROHIBITED not in details:
        report.add(
            "business-rule",
            f"{path}.orderDetail",
            "Without a phone number, contacting-subject-prohibited is required (R13).",
        )
    if "occurrencePeriod" in payload:
        shapes.check_period(payload["occurrencePeriod"], f"{path}.occurrence", report)

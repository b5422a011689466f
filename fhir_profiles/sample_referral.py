"""The shortest referral there is, for the pages and packs that programs' engineers read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

from fhir_profiles.referral_bundle import referral_bundle
from fhir_profiles.referral_patient import referral_patient
from fhir_profiles.referral_service_request import referral_service_request
from fhir_profiles.referral_task import referral_task
from fhir_profiles.release_consent import release_consent
from fhir_profiles.safe_contact import safe_contact
from fhir_profiles.security_labels import Label, labels_for
from fhir_profiles.terminology import CONFIDENTIALITY, POLICY_PROGRAM, Payload

PROGRAM, CLINIC, SYSTEM = "Organization/harbor", "Organization/hc1", "https://harbor.example/id"
URLS = tuple(f"urn:uuid:00000000-0000-4000-8000-00000000000{number}" for number in (1, 2, 3, 4))


def shortest_referral(
    signed_on: date, *, program: str = PROGRAM, clinic: str = CLINIC, number: str = "1", urls: Sequence[str] = URLS
) -> Payload:
    """A referral of ``program`` to ``clinic`` ("Organization/<id>") with nothing in it that could be left out, about a
    person who does not exist. ``number`` ends every identifier of it; ``urls``: the four fullUrl, "urn:uuid:…"."""
    patient, consent, request, task = urls
    ends_on = signed_on + timedelta(days=30)
    parts = (
        referral_patient(
            labels=labels_for("referral-patient"),
            id=None,
            identifier_system=SYSTEM,
            identifier_value=f"p-{number}",
            alias="Robin",
        ),
        release_consent(
            labels=labels_for("release-consent"),
            id=None,
            patient_reference=patient,
            from_organization=program,
            to_organization=clinic,
            item_references=[request, task],
            signed_on=signed_on,
            starts_on=signed_on,
            ends_on=ends_on,
            signer="self",
            source_identifier=f"form-{number}",
            policy_uri=POLICY_PROGRAM,
        ),
        referral_service_request(
            labels=labels_for("referral-service-request"),
            id=None,
            patient_reference=patient,
            requester_reference=program,
            performer_reference=clinic,
            consent_reference=consent,
            safe_contact=safe_contact(meet="survivor-calls", asked_on=signed_on, expires_on=ends_on),
            authored_at=signed_on,
        ),
        referral_task(
            labels=labels_for("referral-task"),
            id=None,
            identifier_system=SYSTEM,
            identifier_value=f"t-{number}",
            service_request_reference=request,
            patient_reference=patient,
            requester_reference=program,
            owner_reference=clinic,
            authored_at=signed_on,
            due_at=datetime(signed_on.year, signed_on.month, signed_on.day, 23, tzinfo=UTC) + timedelta(days=7),
        ),
    )
    bundle = referral_bundle(
        labels=[Label(CONFIDENTIALITY, "V")],
        identifier_system=SYSTEM,
        identifier_value=f"b-{number}",
        entries=[(url, _bare(part)) for url, part in zip(urls, parts, strict=True)],
    )
    return _bare(bundle)


def _bare(resource: Payload) -> Payload:
    """Without ``meta``: profile and labels may be left out."""
    return {key: value for key, value in resource.items() if key != "meta"}

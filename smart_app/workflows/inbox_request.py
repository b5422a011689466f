"""A program asks the clinic for a visit by a form: the very bundle that a FHIR system would post, made here.

What the form holds is all that is sent. The same form sent twice makes the same bytes, so it is one request.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from fhir_profiles import safe_contact as contacts
from fhir_profiles import terminology
from fhir_profiles.referral_bundle import referral_bundle
from fhir_profiles.referral_patient import is_alias, referral_patient
from fhir_profiles.referral_service_request import NEEDS, referral_service_request
from fhir_profiles.referral_task import referral_task
from fhir_profiles.release_consent import DEFAULT_DAYS, LONGEST_DAYS, release_consent
from fhir_profiles.release_signer import SIGNERS
from fhir_profiles.security_labels import Label, labels_for
from smart_app.errors import InvalidError
from smart_app.policy.clinic_calendar import NEXT_DAY_SERVICE
from smart_app.policy.task_states import Tier
from smart_app.ports import Payload

ANSWER_WITHIN = timedelta(days=3)
MEETS = ("safe-contact", "survivor-calls", "on-site")


@dataclass(frozen=True)
class RequestForm:
    """What an advocate typed. ``tells_time``: may the clinic tell the program day and time? None: not answered.
    ``once``: the form's own number."""

    alias: str
    meet: str
    once: str
    phone: str = ""
    voicemail: str = contacts.VOICEMAILS[0]
    say_as: str = ""
    code_word: str = ""
    language: str = ""
    interpreter: bool = False
    needs: tuple[str, ...] = ("medical-visit",)
    is_urgent: bool = False
    is_signed: bool = False
    signer: str = ""
    tells_time: bool | None = None
    release_days: int = DEFAULT_DAYS


def bundle_of(form: RequestForm, *, program: str, clinic: str, today: date) -> Payload:
    """The referral bundle of ``program`` to ``clinic`` ("Organization/<id>"). Raises ``InvalidError`` naming one thing
    to choose or to mend."""
    _require_complete(form)
    urls = {name: f"urn:uuid:{_made(form, name)}" for name in ("patient", "release", "request", "task", "back")}
    ends_on = today + timedelta(days=form.release_days)

    def release(discloser: str, recipient: str, name: str, tier: str | None) -> Payload:
        return release_consent(
            labels=labels_for("release-consent"),
            id=None,
            patient_reference=urls["patient"],
            from_organization=discloser,
            to_organization=recipient,
            item_references=[urls["request"], urls["task"]],
            signed_on=today,
            starts_on=today,
            ends_on=ends_on,
            signer=form.signer,
            source_identifier=_made(form, f"form-{name}"),
            policy_uri=terminology.POLICY_PROGRAM,
            tier=tier,
        )

    entries = [
        (
            urls["patient"],
            referral_patient(
                labels=labels_for("referral-patient"),
                id=None,
                identifier_system=terminology.ID_PATIENT,
                identifier_value=_made(form, "alias"),
                alias=form.alias.strip(),
            ),
        ),
        (urls["release"], release(program, clinic, "release", None)),
        (urls["request"], _request(form, urls, program, today, ends_on)),
        (urls["task"], _task(form, urls, program, clinic, today)),
    ]
    if form.tells_time:
        entries.append((urls["back"], release(clinic, program, "back", Tier.APPOINTMENT.value)))
    return referral_bundle(
        labels=[Label(terminology.CONFIDENTIALITY, "V")],
        identifier_system=terminology.ID_BUNDLE,
        identifier_value=f"b-{form.once}",
        entries=entries,
    )


def _request(form: RequestForm, urls: dict[str, str], program: str, today: date, ends_on: date) -> Payload:
    is_called = form.meet == "safe-contact"
    try:
        contact = contacts.safe_contact(
            meet=form.meet,
            asked_on=today,
            expires_on=min(ends_on, today + timedelta(days=contacts.LONGEST_DAYS)),
            telecom=form.phone.strip() if is_called else None,
            voicemail=form.voicemail if is_called else None,
            say_as=form.say_as.strip() or None if is_called else None,
            code_word=form.code_word.strip() or None,
            language=form.language or None,
            interpreter=True if form.interpreter else None,
        )
    except ValueError:
        raise InvalidError("Look again at the number and the words.", rule="R13") from None
    return referral_service_request(
        labels=labels_for("referral-service-request"),
        id=None,
        patient_reference=urls["patient"],
        requester_reference=program,
        performer_reference=NEXT_DAY_SERVICE,
        consent_reference=urls["release"],
        safe_contact=contact,
        authored_at=today,
        needs=form.needs,
        priority="asap" if form.is_urgent else None,
    )


def _task(form: RequestForm, urls: dict[str, str], program: str, clinic: str, today: date) -> Payload:
    noon = datetime.fromisoformat(f"{today.isoformat()}T12:00:00+00:00")  # the same bytes all day long
    return referral_task(
        labels=labels_for("referral-task"),
        id=None,
        identifier_system=terminology.ID_TASK,
        identifier_value=f"t-{form.once}",
        service_request_reference=urls["request"],
        patient_reference=urls["patient"],
        requester_reference=program,
        owner_reference=clinic,
        authored_at=today,
        due_at=noon + ANSWER_WITHIN,
    )


def _require_complete(form: RequestForm) -> None:
    if not is_alias(form.alias.strip()):
        raise InvalidError("Write a name the clinic may use. It need not be the real one.", rule="R12")
    if form.meet not in MEETS:
        raise InvalidError("Choose how they and the clinic will meet.", rule="R13")
    if (form.meet == "safe-contact") != bool(form.phone.strip()):
        raise InvalidError("A safe number is needed for a call to it, and only then.", rule="R13")
    if not form.is_signed:
        raise InvalidError(
            "Have they signed your own release to the clinic? Without it nothing is sent: call.", rule="R10"
        )
    if form.signer not in SIGNERS:
        raise InvalidError("Who signed? The one who hurts them may never sign.", rule="R10")
    if form.tells_time is None:
        raise InvalidError("Answer: may the clinic tell you day and time?", rule="R21")
    if not 1 <= form.release_days <= LONGEST_DAYS:
        raise InvalidError("A release lasts from 1 to 90 days, and they sign it themselves.", rule="R10")
    if not form.needs or not set(form.needs) <= set(NEEDS) or form.voicemail not in contacts.VOICEMAILS:
        raise InvalidError("Choose from the list.", rule="R12")


def _made(form: RequestForm, name: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{form.once}|{name}"))

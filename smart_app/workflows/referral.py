"""A warm referral from the health center to a program: shown, sent with the survivor's release, and followed.

No disclosure is needed (R1). The vault rows and the delivery job commit together; the EHR copy comes afterwards.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from fhir_profiles import safe_contact, terminology
from fhir_profiles.referral_patient import alias_of, is_alias, referral_patient
from fhir_profiles.referral_service_request import NEEDS, referral_service_request
from fhir_profiles.referral_task import referral_task
from fhir_profiles.release_consent import DEFAULT_DAYS, LONGEST_DAYS, release_consent
from fhir_profiles.safe_contact import MEETS, VOICEMAILS
from fhir_profiles.security_labels import labels_for
from smart_app.errors import InvalidError, LockedError, NothingToShowError
from smart_app.policy import attestation, minimum_necessary, minors, placement, sla, status_back
from smart_app.policy.access import Requester
from smart_app.policy.ehr_copy import service_request_copy
from smart_app.policy.place_words import place_words
from smart_app.policy.placement import PlacementDecision
from smart_app.policy.referral_words import state_words
from smart_app.policy.task_states import Tier
from smart_app.ports import (
    CaseKind,
    Door,
    Partner,
    PatientKey,
    Payload,
    Services,
    Site,
    Stored,
    UnitOfWork,
    WriteBackResult,
)

SIGNED: tuple[str, ...] = ("screen", "paper", "cannot-sign")
_THEIR_COPY = {
    True: "A copy goes to {name}: the items you saw, and nothing else.",
    False: "{name} reads it in its inbox here: the items you saw, and nothing else. No copy leaves.",
}


@dataclass(frozen=True)
class ReferralForm:
    """What was chosen. ``meet`` is one of MEETS, ``signed`` one of SIGNED; ``phone`` belongs to meet "safe-contact"
    alone, ``at`` (aware UTC) to "clinic-phone". ``needs`` are keys of NEEDS. ``release_days`` from today, 90 at most.
    ``once``: the reviewed form's own number; the same number again finds what it sent, whatever broke off."""

    partner_id: str
    meet: str
    alias: str
    signed: str = ""
    phone: str | None = None
    voicemail: str | None = None
    say_as: str | None = None
    code_word: str | None = None
    language: str | None = None
    interpreter: bool | None = None
    needs: tuple[str, ...] = ()
    at: datetime | None = None
    release_days: int = DEFAULT_DAYS
    wants_ehr_copy: bool = False
    once: str = ""


@dataclass(frozen=True)
class ReferralResult:
    """What now exists, and where. ``ehr_result`` is None where no EHR copy was tried."""

    case_id: str
    task_reference: str
    ends_on: date
    place_words: tuple[str, ...]
    lines_by_hand: tuple[str, ...]
    ehr_result: WriteBackResult | None


@dataclass(frozen=True)
class ReferralStatus:
    """Where one referral stands. ``is_released``: the survivor's release lets the program's own words be shown;
    without one only our transport facts are. ``ends_on``: last day of release A. ``is_taken_back``: the patient took
    release A back (R11); then ``alias`` is the name by which the program knows the request."""

    case_id: str
    partner_id: str
    task_reference: str
    state: str
    state_words: str
    next_step: str
    is_good: bool
    needs_call: bool
    is_released: bool
    ends_on: date
    partner_name: str | None = None
    is_taken_back: bool = False
    alias: str = ""


def preview(form: ReferralForm, site: Site, partner: Partner, now: datetime) -> list[str]:
    """Everything that would leave now, line by line, read from the very bundle that would be built (R12).

    Raises ``InvalidError`` when something is not chosen.
    """
    _require_complete(form)
    bundle = minimum_necessary.outbound_bundle(
        *_build(form, site, partner, now), public_base_url="https://preview.invalid", bundle_identifier="preview"
    )
    return minimum_necessary.items_in_words(bundle, recipient_name=partner.name, sender_name=site.name)


def send(services: Services, requester: Requester, form: ReferralForm, now: datetime) -> ReferralResult:
    """Store Patient alias, release A, ServiceRequest and Task and queue their delivery, all in one transaction; then
    copy the ServiceRequest to the EHR where placement says so.

    Raises ``InvalidError`` (something not chosen, or no signature: then the call path, nothing is stored to send) and
    ``LockedError`` (no current agreement, no computer link, a minor, no patient in the launch).
    """
    _require_complete(form)
    _require_signature(form)
    partner = _require_open_partner(services, form.partner_id, now)
    patient = _require_adult(services, requester, now)
    payloads = _build(form, services.site, partner, now)
    with services.door.open_for(requester, now) as work:
        first = _sent_before(work, form.once, task_id=payloads[-1]["id"])
        service_request, task = first or _queue(work, patient, partner, payloads)
    decision = placement.decide(
        services.placement,
        registration_id=patient.registration_id,
        resource_type="ServiceRequest",
        patient_id=patient.patient_id,
        patient_wants_ehr_copy=form.wants_ehr_copy,
        today=now.date(),
    )
    if first is None:
        result = _copy_to_ehr(services, requester, service_request, patient, decision, now)
    else:
        result = _earlier_copy(service_request, decision)
    is_interrupted = first is not None and result is WriteBackResult.UNKNOWN
    registration = services.placement.registrations.get(patient.registration_id)
    return ReferralResult(
        case_id=task.case_id,
        task_reference=task.reference,
        ends_on=_today(services.site, now) + timedelta(days=form.release_days),
        place_words=(
            *place_words(
                decision,
                ehr_name=registration.ehr_name if registration else "",
                write_back="interrupted" if is_interrupted else result and result.value,
            ),
            _THEIR_COPY[partner.fhir_address is not None].format(name=partner.name),
        ),
        lines_by_hand=decision.lines_by_hand if result is None else (),
        ehr_result=result,
    )


def status_of(door: Door, requester: Requester, case_id: str, now: datetime) -> ReferralStatus:
    """Where the referral of ``case_id`` stands. Raises ``NothingToShowError`` when there is none for this person."""
    with door.open_for(requester, now) as work:
        return _status(work, case_id)


def for_chart(door: Door, requester: Requester, patient: PatientKey, now: datetime) -> list[ReferralStatus]:
    """Open referrals of the launched patient that this person may see; a rejected one stays until it is closed."""
    with door.open_for(requester, now) as work:
        cases = work.find_cases(CaseKind.REFERRAL, patient=patient, is_open=True)
        return [_status(work, case.case_id) for case in cases]


def _in_words(opened_at: datetime | None, work: UnitOfWork) -> str:
    """ "14:05" today, else with its day, on the clinic's clock."""
    if opened_at is None:
        return ""
    local = opened_at.astimezone(work.zone)
    is_today = local.date() == work.now.astimezone(work.zone).date()
    return f"{local:%H:%M}" if is_today else f"{local:%H:%M} on {local:%a %d %b}"


def _status(work: UnitOfWork, case_id: str) -> ReferralStatus:
    tasks = work.in_case(case_id, "Task")
    if not tasks:
        raise NothingToShowError
    task = tasks[0].payload
    ours, program = task["requester"]["reference"], task["owner"]["reference"]
    releases = [one.payload for one in work.in_case(case_id, "Consent")]
    tier = attestation.tier_in_force(
        releases, discloser=program, recipient=ours, item=tasks[0].reference, now=work.now, zone=work.zone
    )
    transport = work.outbox.state_of(case_id)
    shown = state_words(
        tier=tier,
        status=task["status"],
        business_code=status_back.business_code_of(task),
        transport=transport,
        opened=_in_words(work.outbox.opened_at(case_id), work) if transport == "opened" else "",
    )
    given = [release for release in releases if release["organization"][0]["reference"] == ours]
    is_taken_back = bool(given) and all(release["status"] != "active" for release in given)
    people = work.in_case(case_id, "Patient") if is_taken_back else []
    ends = [date.fromisoformat(release["provision"]["period"]["end"][:10]) for release in given]
    return ReferralStatus(
        case_id=case_id,
        partner_id=program.removeprefix("Organization/"),
        task_reference=tasks[0].reference,
        state=shown.state,
        state_words=shown.words,
        next_step=shown.next_step,
        is_good=shown.is_good,
        needs_call=shown.needs_call,
        is_released=tier is not Tier.NONE,
        ends_on=max(ends, default=work.now.date()),
        is_taken_back=is_taken_back,
        alias=alias_of(people[0].payload) if people else "",
    )


def _sent_before(work: UnitOfWork, once: str, *, task_id: str) -> tuple[Stored, Stored] | None:
    """ServiceRequest and Task that the same form made before; None for a new one, which is now ``task_id``'s."""
    receipt = work.claim_receipt("page", [f"referral|{once}"], b"", task_id) if once else None
    if receipt is None:
        return None
    task = work.read(f"Task/{receipt.task_id}")
    return work.in_case(task.case_id, "ServiceRequest")[0], task


def _queue(
    work: UnitOfWork, patient: PatientKey, partner: Partner, payloads: tuple[Payload, Payload, Payload, Payload]
) -> tuple[Stored, Stored]:
    """Store everything in one case and queue its delivery; the stored ServiceRequest and Task."""
    case_id = work.open_case(CaseKind.REFERRAL, patient=patient, partner_id=partner.partner_id)
    stored = [work.create(payload, case_id=case_id) for payload in payloads]
    service_request, task = stored[-2], stored[-1]
    if partner.fhir_address is None:  # nothing is sent: its people read it in their inbox here, under the release
        work.outbox.place(case_id=case_id, partner_id=partner.partner_id)
    else:
        work.outbox.add(kind="referral", case_id=case_id, reference=task.reference, partner_id=partner.partner_id)
    if partner.tells_opened or partner.fhir_address is not None:  # else nobody here may learn that it was opened
        promised = datetime.fromisoformat(task.payload["restriction"]["period"]["end"])
        work.outbox.set_timer(case_id=case_id, reference=task.reference, opens_by=promised)
    work.facts.count("referral", "sent")
    return service_request, task


def _earlier_copy(service_request: Stored, decision: PlacementDecision) -> WriteBackResult | None:
    """What is known of a copy that an interrupted send may have made. It is never tried again blindly (R7)."""
    if not decision.has_ehr_copy:
        return None
    return WriteBackResult.SAVED if service_request.ehr_reference is not None else WriteBackResult.UNKNOWN


def _require_complete(form: ReferralForm) -> None:
    """Each refusal names one thing to choose. Nothing chosen cannot be sent (R13)."""
    if form.meet not in MEETS:
        raise InvalidError("Choose how the two will meet.", rule="R13")
    if (form.meet == "safe-contact") != bool(form.phone):
        raise InvalidError("A safe number is needed for a call to it, and only then.", rule="R13")
    if form.at is not None and form.meet != "clinic-phone":
        raise InvalidError("Day and time belong to a call on the clinic's phone.", rule="R13")
    if not is_alias(form.alias.strip()):
        raise InvalidError("Choose a name the program may use.", rule="R12")
    if not 1 <= form.release_days <= LONGEST_DAYS:
        raise InvalidError(f"A release lasts from 1 to {LONGEST_DAYS} days.", rule="R10")
    if not set(form.needs) <= set(NEEDS) or form.voicemail not in (None, *VOICEMAILS):
        raise InvalidError("Choose from the list.", rule="R12")
    _contact(form, date(2000, 1, 1))


def _require_signature(form: ReferralForm) -> None:
    if form.signed == "cannot-sign":
        raise InvalidError(
            "Without a signature nothing is sent. Call the program together: the patient speaks, you stay on the line.",
            rule="R10",
        )
    if form.signed not in SIGNED:
        raise InvalidError("Has the patient signed? Choose one.", rule="R10")


def _require_open_partner(services: Services, partner_id: str, now: datetime) -> Partner:
    partner = services.directory.partner(partner_id)
    if partner is None:
        raise InvalidError("Choose a program from the list.", rule="R10")
    if not services.mou_gate.is_open(partner_id, now):
        raise LockedError(
            f"The agreement with {partner.name} is not in force today, so nothing can be sent. Call {partner.phone}.",
            rule="R19",
        )
    if partner.fhir_address is None and partner.inbox_alert is None:
        raise LockedError(f"{partner.name} takes referrals by phone. Call {partner.phone} together.", rule="R9")
    return partner


def _require_adult(services: Services, requester: Requester, now: datetime) -> PatientKey:
    """The launched patient, read again right before the write (attack 10), and no minor (R31)."""
    if requester.patient_id is None or requester.registration_id is None:
        raise LockedError("Open this from a patient's chart.", rule="R23")
    born = services.ehr.launched_patient(requester, now).get("birthDate")
    # The latest zone's date: nobody becomes an adult early.
    if minors.is_locked(born, (now - timedelta(hours=12)).date()):
        raise LockedError(minors.LOCKED_WORDS, rule="R31")
    return PatientKey(requester.registration_id, requester.patient_id)


def _build(
    form: ReferralForm, site: Site, partner: Partner, now: datetime
) -> tuple[Payload, Payload, Payload, Payload]:
    """Patient, Consent, ServiceRequest, Task: the release stands before what it covers. All ids are made for this
    referral."""
    today = _today(site, now)
    patient_id, consent_id, request_id, task_id = (str(uuid.uuid4()) for _ in range(4))
    organization = f"Organization/{partner.partner_id}"
    return (
        referral_patient(
            labels=labels_for("referral-patient"),
            id=patient_id,
            identifier_system=terminology.ID_PATIENT,
            identifier_value=patient_id,
            alias=form.alias.strip(),
        ),
        release_consent(
            labels=labels_for("release-consent"),
            id=consent_id,
            patient_reference=f"Patient/{patient_id}",
            from_organization=site.organization_reference,
            to_organization=organization,
            item_references=[f"ServiceRequest/{request_id}", f"Task/{task_id}"],
            signed_on=today,
            starts_on=today,
            ends_on=today + timedelta(days=form.release_days),
            signer="self",
            source_identifier=str(uuid.uuid4()),
            policy_uri=terminology.POLICY_RELEASE_OUT,
        ),
        referral_service_request(
            labels=labels_for("referral-service-request"),
            id=request_id,
            patient_reference=f"Patient/{patient_id}",
            requester_reference=site.organization_reference,
            performer_reference=organization,
            consent_reference=f"Consent/{consent_id}",
            safe_contact=_contact(form, today),
            authored_at=today,
            needs=form.needs,
        ),
        referral_task(
            labels=labels_for("referral-task"),
            id=task_id,
            identifier_system=terminology.ID_TASK,
            identifier_value=task_id,
            service_request_reference=f"ServiceRequest/{request_id}",
            patient_reference=f"Patient/{patient_id}",
            requester_reference=site.organization_reference,
            owner_reference=organization,
            authored_at=today,
            due_at=sla.opens_by(
                minutes=partner.acknowledge_minutes,
                sent_at=now,
                staffed=partner.staffed,
                time_zone=partner.time_zone or site.time_zone,
            ),
        ),
    )


def _today(site: Site, now: datetime) -> date:
    """The site's calendar day, and never one that has not begun in UTC: a release is not signed in the future."""
    return min(now.astimezone(ZoneInfo(site.time_zone)).date(), now.date())


def _contact(form: ReferralForm, today: date) -> Payload:
    """The safe contact ends with the release, and after 30 days at the latest (R14). A call at a time that has passed,
    or after that end, would reach nobody."""
    ends_on = today + timedelta(days=min(form.release_days, safe_contact.LONGEST_DAYS))
    if form.at is not None and not today <= form.at.date() <= ends_on:
        raise InvalidError("The call must be between today and the end of the release.", rule="R13")
    try:
        return safe_contact.safe_contact(
            meet=form.meet,
            asked_on=today,
            expires_on=ends_on,
            telecom=form.phone or None,
            voicemail=form.voicemail if form.phone else None,
            code_word=form.code_word or None,
            say_as=form.say_as or None,
            language=form.language or None,
            interpreter=form.interpreter,
            at=form.at,
        )
    except ValueError:
        raise InvalidError("Look again at the number, the words and the language.", rule="R13") from None


def _copy_to_ehr(
    services: Services,
    requester: Requester,
    service_request: Stored,
    patient: PatientKey,
    decision: PlacementDecision,
    now: datetime,
) -> WriteBackResult | None:
    if not decision.has_ehr_copy:
        return None
    copy = service_request_copy(service_request.payload, patient_reference=f"Patient/{patient.patient_id}")
    written = services.ehr.write_back(requester, copy, now)
    if written.result is WriteBackResult.SAVED and written.reference is not None:
        with services.door.open_for(requester, now) as work:
            work.note_ehr_copy(service_request.reference, written.reference)
    return written.result

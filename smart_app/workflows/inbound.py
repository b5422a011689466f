"""A program refers somebody to us: checked, stored under our own ids, put before the scheduler, answered the same for
everybody (R16-R18). Nobody is looked up: whether the center knows this person is for a person to find out.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from fhir_profiles import dates, referral_bundle
from fhir_profiles.proposed_appointment import proposed_appointment
from fhir_profiles.security_labels import SENSITIVITIES, enforced_labels, labels_for
from fhir_profiles.validation import Issue, Renamed, renamed, validate
from fhir_profiles.validation.renaming import local_name
from smart_app.errors import ConflictError, InvalidError, NothingToShowError
from smart_app.policy import attestation, clinic_calendar, status_back, task_view
from smart_app.policy.access import Requester
from smart_app.policy.clinic_calendar import NEXT_DAY_SERVICE, ClinicDay
from smart_app.policy.contact_end import has_ended
from smart_app.ports import CaseKind, Door, Partner, Payload, Site, UnitOfWork

PROFILE = "referral-bundle"
URGENT = frozenset({"asap", "stat"})
LONGEST_WAIT = timedelta(days=30)
STORED = ("Patient", "Consent", "ServiceRequest", "Task")  # a proposed visit is made here
# What a program is told where a whole referral is not one to us, from it.
_ELSEWHERE = {
    "owner": "The owner is this clinic.",
    "requester": "The requester is the organization whose system holds the token.",
    "performer": f"The performer is this clinic or {NEXT_DAY_SERVICE}.",
    "securityLabel": "The release names every sensitivity that a resource of this Bundle is labelled with.",
}


@dataclass(frozen=True)
class InboundAnswer:
    """``status`` is 202 for a new referral, 200 for the same body again. ``location`` is the Task's address."""

    status: int
    task_id: str
    location: str


@dataclass(frozen=True)
class Shown:
    """A resource as a program may see it, and the ETag of exactly that."""

    payload: Payload
    etag: str


def accept(
    door: Door,
    requester: Requester,
    partner: Partner,
    payload: Payload,
    body: bytes,
    site: Site,
    now: datetime,
    public_base_url: str,
) -> InboundAnswer:
    """Take one referral. ``payload`` is ``body`` after ``validation.parse``; ``partner`` holds the token.

    Raises ``InvalidError`` (422: schema paths only; the body is neither kept nor logged, the denial is audited) and
    ``ConflictError`` (409: an identifier of this program came before with another body).
    """
    issues = problems(payload, requester.user_reference, site, now)
    if issues:
        with door.open_for(requester, now) as work:
            work.audit_refusal("R16", partner_id=partner.partner_id)
            raise InvalidError(issues=issues, rule="R16")
    day, needs_person = _day(payload, site, now)
    resources = renamed(payload, lambda: str(uuid.uuid4()))
    task_id = _id_of(resources, "Task")
    with door.open_for(requester, now) as work:
        receipt = work.claim_receipt(partner.client_id or "", _identifiers(payload), body, task_id)
        if receipt is not None and not receipt.is_same_body:
            raise ConflictError("This identifier came before with another body.")
        if receipt is None:
            _store(work, partner, resources, day, needs_person=needs_person)
    known_id = task_id if receipt is None else receipt.task_id
    return InboundAnswer(202 if receipt is None else 200, known_id, f"{public_base_url}/fhir/Task/{known_id}")


def task_for_partner(work: UnitOfWork, task_id: str) -> Shown:
    """A Task as its program may see it: one we sent, whole; one it sent, "received" until release A says more (R21).

    Raises ``NothingToShowError`` for anything that is not this program's.
    """
    stored = work.read(f"Task/{task_id}")
    program = work.requester.user_reference
    if stored.payload["requester"]["reference"] != program:
        return _shown(status_back.our_request_as_program_sees_it(stored.payload))
    visits, releases = (_payloads(work, stored.case_id, kind) for kind in ("Appointment", "Consent"))
    return _shown(
        task_view.shown_to(program, stored.payload, visits=visits, releases=releases, now=work.now, zone=work.zone)
    )


def appointment_for_partner(work: UnitOfWork, appointment_id: str) -> Shown:
    """Day and time of a visit this program asked for, inside release A; else as if absent (R21)."""
    stored = work.read(f"Appointment/{appointment_id}")
    tasks, releases = (_payloads(work, stored.case_id, kind) for kind in ("Task", "Consent"))
    tiers = [task_view.tier_of(task, releases, now=work.now, zone=work.zone) for task in tasks[:1]]
    is_released = bool(tiers) and tiers[0] in status_back.TIERS_WITH_TIME
    if not is_released or stored.payload["status"] == "proposed":
        work.audit_refusal("R21", partner_id=work.requester.program_id, reference=stored.reference)
        raise NothingToShowError(rule="R21")
    return _shown(status_back.appointment_as_sender_sees_it(stored.payload))


def service_request_for_partner(work: UnitOfWork, request_id: str) -> Shown:
    """A ServiceRequest this program sent or was sent. A safe contact is hidden from its end on (R14); what is left does
    not claim the profile any more."""
    payload = status_back.without_history(work.read(f"ServiceRequest/{request_id}").payload)
    if has_ended(payload, work.now, work.zone):
        payload.pop("extension")
        payload["meta"].pop("profile", None)
    return _shown(payload)


def problems(payload: Payload, sender: str, site: Site, now: datetime) -> list[Issue]:
    """What is wrong with a referral of ``sender`` ("Organization/<partner>"), decided from the body, the clock and the
    two names alone: the same for known and unknown people (R18). Nothing is kept."""
    issues = validate(payload, PROFILE)
    if issues:
        return issues
    ours, zone = site.organization_reference, ZoneInfo(site.time_zone)
    places = {id(entry["resource"]): f"Bundle.entry[{n}].resource" for n, entry in enumerate(payload["entry"])}
    task, request = (_one(payload, kind) for kind in ("Task", "ServiceRequest"))
    found = [
        (f"{places[id(task)]}.{element}", _ELSEWHERE[element])
        for element, expected in (("owner", ours), ("requester", sender))
        if task[element]["reference"] != expected
    ]
    if request["performer"][0]["reference"] not in (ours, NEXT_DAY_SERVICE):
        found.append((f"{places[id(request)]}.performer[0]", _ELSEWHERE["performer"]))
    addresses = {id(entry["resource"]): entry["fullUrl"] for entry in payload["entry"]}
    items = [local_name(addresses[id(resource)]) for resource in (request, task)]
    release, back = referral_bundle.entry_of(payload, "Consent"), referral_bundle.release_a_of(payload)
    for consent, discloser, recipient in ((release, sender, ours), (back, ours, sender)):
        if consent is not None:
            places_of = attestation.problems(
                consent, discloser=discloser, recipient=recipient, items=items, now=now, zone=zone
            )
            found += [(places[id(consent)] + one.removeprefix("Consent"), attestation.WORDS[one]) for one in places_of]
    if release is not None and _unnamed(payload, release):
        found.append((f"{places[id(release)]}.provision.securityLabel", _ELSEWHERE["securityLabel"]))
    return [Issue("error", "business-rule", expression, words) for expression, words in found]


def _unnamed(payload: Payload, release: Payload) -> bool:
    """Is something more sensitive than ``release`` says? It would be taken, and then opened to nobody here: the
    scheduler would have a visit without a name or a number."""
    named = {(one["system"], one["code"]) for one in release["provision"]["securityLabel"]}
    return any(
        label.code in SENSITIVITIES and tuple(label) not in named
        for kind in ("Patient", "ServiceRequest", "Task")
        for label in enforced_labels(_one(payload, kind))
    )


def _day(payload: Payload, site: Site, now: datetime) -> tuple[ClinicDay, bool]:
    """The next open clinic day, or the first open one from the day the survivor asked for, if that is later (R37).
    A person looks at once when the request came late, is urgent, or asks for a day far ahead."""
    day = clinic_calendar.next_open_day(site.calendar, now)
    needs_person = day.is_late or _one(payload, "ServiceRequest").get("priority") in URGENT
    wanted = _wanted_from(payload)
    if wanted is None or wanted <= day.ends_at:
        return day, needs_person
    if wanted > now + LONGEST_WAIT:
        return day, True
    local = wanted.astimezone(ZoneInfo(site.time_zone))
    noon_before = local.replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=1)
    return clinic_calendar.next_open_day(site.calendar, noon_before.astimezone(UTC)), needs_person


def _wanted_from(payload: Payload) -> datetime | None:
    """The beginning of the time the survivor asked for: of the proposed visit, else of the request."""
    appointment = referral_bundle.entry_of(payload, "Appointment")
    period = (
        appointment["requestedPeriod"][0] if appointment else _one(payload, "ServiceRequest").get("occurrencePeriod")
    )
    return dates.first_moment(period["start"]) if period else None


def _store(work: UnitOfWork, partner: Partner, resources: list[Renamed], day: ClinicDay, *, needs_person: bool) -> None:
    """All of it and the proposed visit, in one case. The clinic makes the visit itself: what a program proposes only
    says from when."""
    case_id = work.open_case(CaseKind.INBOUND, partner_id=partner.partner_id, due_on=day.on, needs_person=needs_person)
    visit = proposed_appointment(
        labels=labels_for("proposed-appointment"),
        id=str(uuid.uuid4()),
        patient_reference=f"Patient/{_id_of(resources, 'Patient')}",
        service_reference=NEXT_DAY_SERVICE,
        based_on=f"ServiceRequest/{_id_of(resources, 'ServiceRequest')}",
        requested_start=day.starts_at,
        requested_end=day.ends_at,
    )
    parts = [one for kind in STORED for one in resources if one.payload["resourceType"] == kind]
    work.create_all([*parts, visit], case_id=case_id)
    work.facts.count("inbound", "needs-person" if needs_person else "received")


def _id_of(resources: list[Renamed], kind: str) -> str:
    return next(str(one.payload["id"]) for one in resources if one.payload["resourceType"] == kind)


def _identifiers(payload: Payload) -> list[str]:
    """What the program itself calls this message and this Task (the client id is added by the receipt)."""
    named = [("Bundle", payload["identifier"])] + [("Task", one) for one in _one(payload, "Task")["identifier"]]
    return [f"{kind}|{identifier['system']}|{identifier['value']}" for kind, identifier in named]


def _payloads(work: UnitOfWork, case_id: str, kind: str) -> list[Payload]:
    return [one.payload for one in work.in_case(case_id, kind)]


def _one(payload: Payload, kind: str) -> Payload:
    resource = referral_bundle.entry_of(payload, kind)
    if resource is None:
        raise InvalidError
    return resource


def _shown(payload: Payload) -> Shown:
    return Shown(payload, status_back.etag_of(payload))

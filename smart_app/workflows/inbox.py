"""What waits for a program in its inbox here, and what it asked us for: seen through the door, under the releases.

Before a person opens an item nothing of it is shown but that it came and when. What is shown ends with the release.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from fhir_profiles import release_consent, terminology
from fhir_profiles.referral_patient import alias_of
from fhir_profiles.referral_service_request import needs_of
from fhir_profiles.security_labels import labels_for
from smart_app.errors import InvalidError, NothingToShowError
from smart_app.policy import status_back, task_view
from smart_app.policy.access import Requester
from smart_app.policy.contact_end import has_ended, parts_in_force
from smart_app.policy.inbox_moves import Move, moves
from smart_app.policy.task_states import Tier
from smart_app.ports import Case, CaseKind, Door, Payload, Stored, UnitOfWork

IN_INBOX = frozenset({"inbox", "inbox-phone", "opened"})
RELEASE_TIERS: tuple[str, ...] = (Tier.CONTACT.value, Tier.APPOINTMENT.value, Tier.OUTCOME.value)
_HOW_LONG = "A release lasts from 1 to 90 days, and they sign it themselves."


@dataclass(frozen=True)
class Waiting:
    """One line of the list. ``alias`` is empty until a person opened the item."""

    case_id: str
    came_at: datetime | None
    open_by: datetime | None
    opened_at: datetime | None
    alias: str = ""
    status: str = ""


@dataclass(frozen=True)
class Item:
    """One opened item. ``contact``: parts of the safe contact that are in force, by name; ``shown`` is the Task as the
    program may see it, ``etag`` names exactly that. ``ends_on``: last day of the release to the program."""

    case_id: str
    task_id: str
    alias: str
    opened_at: datetime
    contact: dict[str, Any]
    is_contact_over: bool
    needs: tuple[str, ...]
    ends_on: date | None
    tier: Tier
    shown: Payload
    etag: str
    moves: tuple[Move, ...]
    patient_reference: str = field(repr=False, default="")


@dataclass(frozen=True)
class Asked:
    """One request of this program to the clinic. ``visit_at`` only inside release A; ``state`` is "received",
    "booked", "declined" or "taken-back"."""

    case_id: str
    task_id: str
    alias: str
    came_at: datetime | None
    state: str
    visit_at: datetime | None
    may_take_back: bool
    shown: Payload
    etag: str


def waiting(door: Door, requester: Requester, now: datetime, *, minutes: int) -> list[Waiting]:
    """Items of this program's inbox, those that nobody opened yet first. ``minutes``: the program's promise."""
    with door.open_for(requester, now) as work:
        cases = work.find_cases(CaseKind.REFERRAL, partner_id=requester.program_id, is_open=True)
        mine = [case for case in cases if case.transport in IN_INBOX]
        opened = work.in_cases([case for case in mine if case.opened_at is not None], ("Patient", "Task"))
        found = [_line(case, opened.get(case.case_id), minutes) for case in mine]
    return sorted(found, key=lambda one: (one.opened_at is not None, one.came_at or now))


def open_item(door: Door, requester: Requester, case_id: str, now: datetime) -> None:
    """A person opens it: the transport fact is written down. Raises ``NothingToShowError``."""
    with door.open_for(requester, now) as work:
        _task(work, case_id)
        work.outbox.note_opened(case_id, partner_id=requester.program_id)


def item(door: Door, requester: Requester, case_id: str, now: datetime) -> Item:
    """An item that was opened before. Raises ``NothingToShowError`` for anything else."""
    with door.open_for(requester, now) as work:
        opened_at = work.outbox.opened_at(case_id)
        if opened_at is None:
            raise NothingToShowError(rule="R19")
        task = _task(work, case_id)
        requests, people = work.in_case(case_id, "ServiceRequest"), work.in_case(case_id, "Patient")
        if not requests or not people:
            raise NothingToShowError(rule="R9")
        request, releases = requests[0].payload, _releases(work, case_id)
        tier = task_view.tier_of(task.payload, releases, now=work.now, zone=work.zone)
        shown = status_back.our_request_as_program_sees_it(task.payload)
        return Item(
            case_id=case_id,
            task_id=task.reference.removeprefix("Task/"),
            alias=alias_of(people[0].payload),
            opened_at=opened_at,
            contact=parts_in_force(request, work.now, work.zone),
            is_contact_over=has_ended(request, work.now, work.zone),
            needs=tuple(needs_of(request)),
            ends_on=_ends_on(releases, requester.user_reference),
            tier=tier,
            shown=shown,
            etag=status_back.etag_of(shown),
            moves=moves(shown, tier),
            patient_reference=task.payload["for"]["reference"],
        )


def asked(door: Door, requester: Requester, now: datetime) -> list[Asked]:
    """What this program asked the clinic for, the newest first; as far as release A goes (R21)."""
    with door.open_for(requester, now) as work:
        cases = work.find_cases(CaseKind.INBOUND, partner_id=requester.program_id, is_open=True)
        items = work.in_cases(cases, ("Appointment", "Consent", "Patient", "Task"))
        found = [_asked(work, case, items[case.case_id]) for case in cases if items[case.case_id]["Task"]]
    return sorted(found, key=lambda one: one.came_at or now, reverse=True)


def release_b(
    item_: Item, *, tier: str, days: int, signed: bool, signer: str, once: str, today: date, ours: str, program: str
) -> Payload:
    """The program's own release, as its system would post it. ``once`` is the form's number: sent twice it is one
    release. Raises ``InvalidError``."""
    if not signed:
        raise InvalidError("Have they signed your own release? Tick it only then.", rule="R10")
    if not 1 <= days <= release_consent.LONGEST_DAYS:
        raise InvalidError(_HOW_LONG, rule="R10")
    if tier not in RELEASE_TIERS:
        raise InvalidError("Choose what the clinic may know.", rule="R10")
    try:
        return release_consent.release_consent(
            labels=labels_for("release-consent"),
            id=None,
            patient_reference=item_.patient_reference,
            from_organization=program,
            to_organization=ours,
            item_references=[f"Task/{item_.task_id}"],
            signed_on=today,
            starts_on=today,
            ends_on=today + timedelta(days=days),
            signer=signer,
            source_identifier=str(uuid.uuid5(uuid.NAMESPACE_URL, f"{item_.task_id}|{once}")),
            policy_uri=terminology.POLICY_PROGRAM,
            tier=tier,
        )
    except ValueError:
        raise InvalidError(_HOW_LONG, rule="R10") from None


def _line(case: Case, opened: Mapping[str, Sequence[Stored]] | None, minutes: int) -> Waiting:
    """Of an item that nobody opened yet nothing is read."""
    open_by = case.began_at + timedelta(minutes=minutes) if case.began_at else None
    if opened is None:
        return Waiting(case.case_id, case.began_at, open_by, None)
    people, tasks = opened["Patient"], opened["Task"]
    return Waiting(
        case.case_id,
        case.began_at,
        open_by,
        case.opened_at,
        alias_of(people[0].payload) if people else "",
        str(tasks[0].payload["status"]) if tasks else "",
    )


def _asked(work: UnitOfWork, case: Case, found: Mapping[str, Sequence[Stored]]) -> Asked:
    task, people = found["Task"][0], found["Patient"]
    releases, visits = ([one.payload for one in found[kind]] for kind in ("Consent", "Appointment"))
    tier = task_view.tier_of(task.payload, releases, now=work.now, zone=work.zone)
    named = status_back.appointment_to_name(visits)
    shown = status_back.own_request_as_sender_sees_it(task.payload, appointment_reference=named, tier=tier)
    is_told = tier in status_back.TIERS_WITH_TIME and named is not None
    starts = [one["start"] for one in visits if is_told and f"Appointment/{one['id']}" == named]
    return Asked(
        case_id=case.case_id,
        task_id=task.reference.removeprefix("Task/"),
        alias=alias_of(people[0].payload) if people else "",
        came_at=case.began_at,
        state=_state(shown, is_told=is_told),
        visit_at=datetime.fromisoformat(starts[0]) if starts else None,
        may_take_back=shown["status"] in ("requested", "accepted"),
        shown=shown,
        etag=status_back.etag_of(shown),
    )


def _state(shown: Payload, *, is_told: bool) -> str:
    by_status = {"cancelled": "taken-back", "entered-in-error": "taken-back", "rejected": "declined"}
    return by_status.get(str(shown["status"]), "booked" if is_told else "received")


def _task(work: UnitOfWork, case_id: str) -> Stored:
    tasks = work.in_case(case_id, "Task")
    if not tasks:
        raise NothingToShowError(rule="R19")
    return tasks[0]


def _releases(work: UnitOfWork, case_id: str) -> list[Payload]:
    return [one.payload for one in work.in_case(case_id, "Consent")]


def _ends_on(releases: list[Payload], program: str) -> date | None:
    ends = [
        date.fromisoformat(one["provision"]["period"]["end"][:10])
        for one in releases
        if release_consent.recipient_of(one) == program and one["status"] == "active"
    ]
    return max(ends, default=None)

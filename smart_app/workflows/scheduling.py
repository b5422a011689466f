"""The scheduler's queue: who is asked for, how to reach them, book or decline. No chart, no search, no program named.

What a scheduler sees is the redacted view of the decision table (D6s); what they decide is stored by pure change
functions inside the door, so that a redacted view is never written back.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from fhir_profiles.proposed_appointment import booked_appointment, cancelled_appointment
from fhir_profiles.referral_patient import alias_of
from fhir_profiles.referral_service_request import NEEDS, needs_of
from smart_app.errors import ConflictError, InvalidError, NothingToShowError
from smart_app.policy import placement, status_back, task_states
from smart_app.policy.access import Requester
from smart_app.policy.contact_end import parts_in_force
from smart_app.policy.ehr_copy import visit_copy
from smart_app.policy.placement import PlacementDecision, PlacementSettings
from smart_app.policy.task_states import Party
from smart_app.ports import Case, CaseKind, Door, Ehr, Payload, Stored, UnitOfWork, WriteBackResult

SHOWN = ("Appointment", "Patient", "ServiceRequest", "Task")
LONGEST_VISIT = timedelta(hours=8)
FURTHEST_AHEAD = timedelta(days=90)
CHART_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")
DECLINE_REASONS: tuple[str, ...] = status_back.REFUSAL_REASONS

_NO_CHART = "No chart was named for this visit, so nothing was written to the EHR."
_PLACE_WORDS = {
    None: "The visit is not on the EHR schedule yet. Enter it by hand with the lines below.",
    WriteBackResult.SAVED: "The visit is on the EHR schedule as an office visit, with nothing else.",
    WriteBackResult.REFUSED: "The EHR did not take the visit. Enter it by hand with the lines below.",
    WriteBackResult.LABELS_LOST: "The EHR changed the visit, so it was taken off again. Enter it by hand.",
    WriteBackResult.UNKNOWN: "It is not known whether the EHR took the visit. Look at its schedule before entering it.",
}


@dataclass(frozen=True)
class QueueItem:
    """One request, as far as a scheduler may see it. ``contact``: parts of the safe contact by name ("meet",
    "telecom", "voicemail", "sayAs" …). ``needs``: words. ``is_cancelled``: the program took its request back."""

    case_id: str
    appointment_reference: str
    alias: str
    contact: dict[str, Any] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    due_on: date | None = None
    needs_person: bool = False
    status: str = "proposed"
    start: str | None = None
    end: str | None = None
    is_cancelled: bool = False

    @property
    def is_booked(self) -> bool:
        """True when a day and time is set."""
        return self.status == "booked"

    @property
    def booked_for(self) -> tuple[datetime, datetime] | None:
        """Start and end of a booked visit, else None."""
        if not (self.is_booked and self.start and self.end):
            return None
        return datetime.fromisoformat(self.start), datetime.fromisoformat(self.end)

    def meets(self, other: QueueItem) -> bool:
        """Are both booked, and for times that overlap?"""
        mine, theirs = self.booked_for, other.booked_for
        return mine is not None and theirs is not None and mine[0] < theirs[1] and theirs[0] < mine[1]


@dataclass(frozen=True)
class BookResult:
    """``ehr_result`` is None where no EHR copy was tried; then ``lines_by_hand`` say what to enter."""

    appointment_reference: str
    place_words: tuple[str, ...]
    lines_by_hand: tuple[str, ...]
    ehr_result: WriteBackResult | None


def queue(door: Door, requester: Requester, now: datetime, *, places_per_day: int | None = None) -> list[QueueItem]:
    """Open requests of this site: those that need a person first, then by day, booked ones last. Beyond
    ``places_per_day`` of one day a person has to look: the day is full, and nobody is moved to a later one (R37)."""
    with door.open_for(requester, now) as work:
        cases = work.find_cases(CaseKind.INBOUND, is_open=True)
        found = work.in_cases(cases, SHOWN)
        items = [item for case in cases for item in _items(work, case, found[case.case_id])]
    taken: dict[date | None, int] = {}
    marked = []
    for item in items:
        taken[item.due_on] = taken.get(item.due_on, 0) + 1
        is_full = places_per_day is not None and taken[item.due_on] > places_per_day
        is_waiting = is_full and not item.is_booked
        marked.append(_with_person(item) if is_waiting or (item.is_cancelled and item.is_booked) else item)
    waiting = [item for item in marked if not (item.is_cancelled and not item.is_booked)]
    return sorted(waiting, key=lambda item: (not item.needs_person, item.is_booked, item.due_on or date.max))


def item_of(
    door: Door, requester: Requester, appointment_reference: str, now: datetime
) -> tuple[QueueItem, list[QueueItem]]:
    """One request by its Appointment, whole, and the booked ones beside it by name and time. Raises
    ``NothingToShowError``."""
    with door.open_for(requester, now) as work:
        case = work.case_of(appointment_reference)
        if case is None or case.kind is not CaseKind.INBOUND or not case.is_open:
            raise NothingToShowError
        found = work.in_cases([case], SHOWN)[case.case_id]
        items = [one for one in _items(work, case, found) if one.appointment_reference == appointment_reference]
        if not items or (items[0].is_cancelled and not items[0].is_booked):
            raise NothingToShowError
        item = _with_person(items[0]) if items[0].is_cancelled else items[0]
        cases = work.find_cases(CaseKind.INBOUND, is_open=True)
        beside = work.in_cases(cases, ("Appointment", "Patient"))
        booked = [other for one in cases for other in _booked(one, beside[one.case_id])]
    return item, [other for other in booked if other.appointment_reference != appointment_reference]


def book(
    door: Door,
    ehr: Ehr,
    requester: Requester,
    appointment_reference: str,
    start: datetime,
    end: datetime,
    chart_patient_id: str | None,
    settings: PlacementSettings,
    now: datetime,
) -> BookResult:
    """Book the visit, accept the request, and put a neutral visit on the EHR schedule where placed (R36).

    ``chart_patient_id`` is the patient of the EHR once a person has registered or found them, else None. Raises
    ``InvalidError`` (times), ``ConflictError`` (no longer open) and ``NothingToShowError``.
    """
    _require_times(start, end, now)
    if chart_patient_id is not None and not CHART_ID.fullmatch(chart_patient_id):
        raise InvalidError("That is not the number of a chart.")
    with door.open_for(requester, now) as work:
        stored = work.read(appointment_reference)
        _require_status(stored, "proposed")
        task = _task(work, stored)
        work.amend(appointment_reference, lambda current: booked_appointment(current, start, end))
        work.amend(task.reference, _move("accepted", business_status="5.1.1"))
        work.facts.count("inbound", "booked")
    decision = placement.decide(
        settings,
        registration_id=requester.registration_id,
        resource_type="Appointment",
        patient_id=chart_patient_id,
        patient_wants_ehr_copy=True,
        today=now.date(),
    )
    result = _copy_to_ehr(door, ehr, requester, appointment_reference, start, end, chart_patient_id, decision, now)
    why = _NO_CHART if decision.has_ehr_copy else decision.reason
    is_by_hand = result not in (WriteBackResult.SAVED, WriteBackResult.UNKNOWN)
    return BookResult(
        appointment_reference=appointment_reference,
        place_words=(_PLACE_WORDS[result],) if result is not None else (why, _PLACE_WORDS[None]),
        lines_by_hand=placement.lines_by_hand("Appointment") if is_by_hand else (),
        ehr_result=result,
    )


def decline(door: Door, requester: Requester, appointment_reference: str, reason: str, now: datetime) -> None:
    """Decline with a code of DECLINE_REASONS: the visit is cancelled, the request rejected, the case closed. A visit
    whose program took the request back is closed the same way, and its Task stays cancelled."""
    if reason not in DECLINE_REASONS:
        raise InvalidError("Choose a reason from the list.")
    with door.open_for(requester, now) as work:
        stored = work.read(appointment_reference)
        _require_status(stored, "proposed", "booked")
        task = _task(work, stored)
        status = str(task.payload["status"])
        if status != "cancelled" and not task_states.is_move_allowed(status, "rejected", Party.TARGET):
            raise ConflictError("This request is no longer open.")
        work.amend(appointment_reference, lambda current: cancelled_appointment(current, "prov"))
        if status != "cancelled":
            work.amend(task.reference, _move("rejected", reason=reason))
        work.facts.count("inbound", "declined")
        work.close_case(stored.case_id)


def _items(work: UnitOfWork, case: Case, found: Mapping[str, Sequence[Stored]]) -> list[QueueItem]:
    """What a scheduler may see of one case: one item per visit asked for. Nothing is merged."""
    aliases = [alias_of(one.payload) for one in found["Patient"]]
    requests, tasks = ([one.payload for one in found[kind]] for kind in ("ServiceRequest", "Task"))
    return [
        QueueItem(
            case_id=case.case_id,
            appointment_reference=appointment.reference,
            alias=aliases[0] if aliases else "",
            contact=parts_in_force(requests[0], work.now, work.zone) if requests else {},
            needs=tuple(NEEDS[need] for need in needs_of(requests[0])) if requests else (),
            due_on=case.due_on,
            needs_person=case.needs_person,
            status=appointment.payload["status"],
            start=appointment.payload.get("start"),
            end=appointment.payload.get("end"),
            is_cancelled=any(status_back.is_called_off(task) for task in tasks),
        )
        for appointment in found["Appointment"]
        if appointment.payload["status"] in ("proposed", "booked")
    ]


def _booked(case: Case, found: Mapping[str, Sequence[Stored]]) -> list[QueueItem]:
    """The booked visits of one case, by name and time alone: what a scheduler needs to see two at the same time."""
    aliases = [alias_of(one.payload) for one in found["Patient"]]
    return [
        QueueItem(
            case.case_id,
            appointment.reference,
            aliases[0] if aliases else "",
            due_on=case.due_on,
            status="booked",
            start=appointment.payload.get("start"),
            end=appointment.payload.get("end"),
        )
        for appointment in found["Appointment"]
        if appointment.payload["status"] == "booked"
    ]


def _with_person(item: QueueItem) -> QueueItem:
    return QueueItem(**{**item.__dict__, "needs_person": True})


def _task(work: UnitOfWork, appointment: Stored) -> Stored:
    tasks = work.in_case(appointment.case_id, "Task")
    if not tasks:
        raise NothingToShowError
    return tasks[0]


def _require_times(start: datetime, end: datetime, now: datetime) -> None:
    if start.tzinfo is None or end.tzinfo is None:
        raise ValueError("a visit is booked with a zone")
    if not now < start < end <= start + LONGEST_VISIT or start > now + FURTHEST_AHEAD:
        raise InvalidError("Choose a day and time that is still to come, with its end after its start.")


def _require_status(stored: Stored, *statuses: str) -> None:
    if stored.payload["status"] not in statuses:
        raise ConflictError("This request is no longer open. Look at the list again.")


def _move(
    status: str, *, reason: str | None = None, business_status: str | None = None
) -> Callable[[Payload], Payload]:
    """A pure change of a Task, checked against the state machine where it is applied."""

    def change(task: Payload) -> Payload:
        if not task_states.is_move_allowed(str(task["status"]), status, Party.TARGET):
            raise ConflictError("This request is no longer open. Look at the list again.")
        return status_back.moved(task, status, reason=reason, business_status=business_status)

    return change


def _copy_to_ehr(
    door: Door,
    ehr: Ehr,
    requester: Requester,
    reference: str,
    start: datetime,
    end: datetime,
    chart_patient_id: str | None,
    decision: PlacementDecision,
    now: datetime,
) -> WriteBackResult | None:
    if not decision.has_ehr_copy or chart_patient_id is None:
        return None
    copy = visit_copy(start, end, patient_reference=f"Patient/{chart_patient_id}")
    written = ehr.book(requester, copy, now)
    if written.result is WriteBackResult.SAVED and written.reference is not None:
        with door.open_for(requester, now) as work:
            work.note_ehr_copy(reference, written.reference)
    return written.result

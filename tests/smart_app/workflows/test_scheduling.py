"""The scheduler's queue: as much as is needed to call and to book, and not a word more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event

from fhir_profiles.security_labels import labels_for, labels_of
from smart_app.errors import ConflictError, InvalidError, NothingToShowError
from smart_app.policy.access import Purpose, Requester, Role
from smart_app.ports import WriteBackResult
from smart_app.workflows import inbound, scheduling

BASE = "http://127.0.0.1:8000"
NOW = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)
START = datetime(2026, 11, 25, 15, 0, tzinfo=UTC)
END = START + timedelta(minutes=30)


@pytest.fixture
def refer(world: Any, harbor: Requester, post: Callable[..., Any]) -> Callable[..., str]:
    """Take one referral of Harbor; gives the Task id."""

    def take(**more: Any) -> str:
        made = post(**more)
        answer = inbound.accept(world.door, harbor, world.harbor, made.bundle, made.body, world.site, NOW, BASE)
        return answer.task_id

    return take


def _book(world: Any, who: Requester, reference: str, patient: str | None = "p-dana", **times: datetime) -> Any:
    return scheduling.book(
        world.door,
        world.ehr,
        who,
        reference,
        times.get("start", START),
        times.get("end", END),
        patient,
        world.services.placement,
        NOW,
    )


def test_the_queue_shows_alias_contact_need_and_day(
    world: Any, scheduler: Requester, refer: Callable[..., str]
) -> None:
    """Enough to call safely and to book: name to use, safe number, need, day."""
    refer(alias="Robin", phone="555-0142")
    (item,) = scheduling.queue(world.door, scheduler, NOW)
    assert (item.alias, item.due_on, item.status) == ("Robin", date(2026, 11, 25), "proposed")
    assert item.contact["telecom"] == {"system": "phone", "value": "555-0142"}
    assert item.contact["meet"] == "safe-contact"
    assert item.needs == ("A medical visit",)


@pytest.mark.rule("R36")
def test_rule_R36_the_scheduler_sees_no_program_and_no_label(
    world: Any, scheduler: Requester, refer: Callable[..., str]
) -> None:
    """Nothing that reaches the scheduler names the program or says what kind of referral it is. Break: hand the
    scheduler the unredacted resources (``redaction.redact`` in the door)."""
    refer()
    (item,) = scheduling.queue(world.door, scheduler, NOW)
    seen = [asdict(item)]
    with world.door.open_for(scheduler, NOW) as work:
        for kind in ("Patient", "Consent", "ServiceRequest", "Task", "Appointment"):
            seen += [one.payload for one in work.in_case(item.case_id, kind)]
    text = str(seen).lower()
    for word in ("harbor", "sdv", "organization/", "violence", "basedon"):
        assert word not in text


@pytest.mark.rule("R36")
def test_rule_R36_the_visit_in_the_ehr_is_neutral(world: Any, scheduler: Requester, refer: Callable[..., str]) -> None:
    """On the EHR schedule there is an office visit with a time, and nothing that tells why. Break: copy the vault's
    Appointment instead of ``appointment_ehr_copy``."""
    refer()
    (item,) = scheduling.queue(world.door, scheduler, NOW)
    result = _book(world, scheduler, item.appointment_reference)
    assert result.ehr_result is WriteBackResult.SAVED
    (copy,) = world.ehr.booked
    assert set(copy) == {"resourceType", "meta", "status", "serviceType", "start", "end", "participant"}
    assert copy["serviceType"] == [{"text": "Office visit"}]
    assert labels_of(copy) == labels_for("appointment-ehr-copy")
    assert [one["actor"]["reference"] for one in copy["participant"]] == [
        "Patient/p-dana",
        "HealthcareService/nextday",
    ]
    for word in ("harbor", "SDV", "Robin", "555-", "basedOn", "Consent", "reason", "comment", "description"):
        assert word not in str(copy)


def test_booking_moves_visit_and_task_and_keeps_the_vault_label(
    world: Any, scheduler: Requester, refer: Callable[..., str]
) -> None:
    """The vault says booked and accepted under full labels, although the scheduler only saw a part."""
    task_id = refer()
    (item,) = scheduling.queue(world.door, scheduler, NOW)
    _book(world, scheduler, item.appointment_reference)
    appointment = world.resource(item.appointment_reference)
    assert (appointment["status"], appointment["start"], appointment["end"]) == (
        "booked",
        "2026-11-25T15:00:00Z",
        "2026-11-25T15:30:00Z",
    )
    assert labels_of(appointment) == labels_for("proposed-appointment")
    assert "basedOn" in appointment
    assert world.resource(f"Task/{task_id}")["status"] == "accepted"
    assert world.facts() == {("inbound", "received"): 1, ("inbound", "booked"): 1}
    (booked,) = scheduling.queue(world.door, scheduler, NOW)
    assert (booked.is_booked, booked.start) == (True, "2026-11-25T15:00:00Z")


@pytest.mark.parametrize(("registration", "patient"), [("b", "p-dana"), ("a", None), ("a", "p-marcus")])
def test_where_the_ehr_takes_nothing_the_lines_to_enter_are_given(
    world: Any, scheduler: Requester, refer: Callable[..., str], registration: str, patient: str | None
) -> None:
    """Without a placement, or without a patient in the EHR, the scheduler enters the visit by hand from neutral
    lines."""
    refer()
    (item,) = scheduling.queue(world.door, scheduler, NOW)
    who = Requester(
        Role.SCHEDULER, "Practitioner/sched-kim", Purpose.HOPERAT, registration_id=registration, launch_id="l-2"
    )
    result = _book(world, who, item.appointment_reference, patient)
    if patient == "p-marcus":
        assert result.ehr_result is WriteBackResult.SAVED  # a proof in force, not a list of test patients, decides here
        return
    assert result.ehr_result is None
    assert world.ehr.booked == []
    assert any("Office visit" in line for line in result.lines_by_hand)
    assert not any(word in str(result) for word in ("Harbor", "SDV"))


@pytest.mark.rule("R7")
@pytest.mark.parametrize("failed", [WriteBackResult.REFUSED, WriteBackResult.LABELS_LOST, WriteBackResult.UNKNOWN])
def test_rule_R07_a_failed_ehr_visit_stays_booked_here_and_is_tried_once(
    world: Any, scheduler: Requester, refer: Callable[..., str], failed: WriteBackResult
) -> None:
    """The visit is booked although the EHR failed; after an unknown outcome nobody is told to enter it a second time.
    Break: raise on a failed copy, or give lines by hand after UNKNOWN."""
    refer()
    world.ehr.result = failed
    (item,) = scheduling.queue(world.door, scheduler, NOW)
    result = _book(world, scheduler, item.appointment_reference)
    assert world.resource(item.appointment_reference)["status"] == "booked"
    assert len(world.ehr.booked) == 1
    assert bool(result.lines_by_hand) == (failed is not WriteBackResult.UNKNOWN)


def test_booking_twice_or_after_a_decline_is_a_conflict(
    world: Any, scheduler: Requester, refer: Callable[..., str]
) -> None:
    """A second tap books nothing again; what was declined cannot be booked."""
    refer(number="1")
    refer(number="2")
    first, second = (item.appointment_reference for item in scheduling.queue(world.door, scheduler, NOW))
    _book(world, scheduler, first)
    with pytest.raises(ConflictError):
        _book(world, scheduler, first)
    scheduling.decline(world.door, scheduler, second, "no-capacity", NOW)
    for again in (
        lambda: _book(world, scheduler, second),
        lambda: scheduling.decline(world.door, scheduler, second, "unable", NOW),
    ):
        with pytest.raises(ConflictError):
            again()
    assert len(world.ehr.booked) == 1


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (END, START),
        (START, START),
        (NOW - timedelta(hours=2), NOW - timedelta(hours=1)),
        (START, START + timedelta(hours=9)),
        (NOW + timedelta(days=91), NOW + timedelta(days=91, minutes=30)),
    ],
)
def test_a_time_that_cannot_be_is_refused(
    world: Any, scheduler: Requester, refer: Callable[..., str], start: datetime, end: datetime
) -> None:
    """Backwards, in the past, longer than a day's work or next spring: nothing is booked."""
    refer()
    (item,) = scheduling.queue(world.door, scheduler, NOW)
    with pytest.raises(InvalidError):
        _book(world, scheduler, item.appointment_reference, start=start, end=end)
    assert world.resource(item.appointment_reference)["status"] == "proposed"
    assert world.ehr.booked == []


@pytest.mark.parametrize("chart", ["", "../Observation/1", "p-dana/_history/1", "Dana W", "x" * 65])
def test_what_is_no_chart_number_books_nothing(
    world: Any, scheduler: Requester, refer: Callable[..., str], chart: str
) -> None:
    """A name or a path where a chart number belongs is refused before anything is booked."""
    refer()
    (item,) = scheduling.queue(world.door, scheduler, NOW)
    with pytest.raises(InvalidError):
        _book(world, scheduler, item.appointment_reference, chart)
    assert world.resource(item.appointment_reference)["status"] == "proposed"


def test_a_decline_is_coded_and_leaves_the_queue(world: Any, scheduler: Requester, refer: Callable[..., str]) -> None:
    """A "no" is one of our codes, cancels the visit and takes it off the list; free text is refused."""
    task_id = refer()
    (item,) = scheduling.queue(world.door, scheduler, NOW)
    with pytest.raises(InvalidError):
        scheduling.decline(world.door, scheduler, item.appointment_reference, "she missed three visits", NOW)
    scheduling.decline(world.door, scheduler, item.appointment_reference, "language", NOW)
    assert scheduling.queue(world.door, scheduler, NOW) == []
    task = world.resource(f"Task/{task_id}")
    assert (task["status"], task["statusReason"]["coding"][0]["code"]) == ("rejected", "language")
    appointment = world.resource(item.appointment_reference)
    assert (appointment["status"], appointment["cancelationReason"]["coding"][0]["code"]) == ("cancelled", "prov")


@pytest.mark.rule("R37")
def test_rule_R37_on_a_full_day_a_person_looks_and_nobody_is_moved(
    world: Any, scheduler: Requester, refer: Callable[..., str]
) -> None:
    """With two places and three requests, the third is marked and keeps its day. Break: give it the day after."""
    for number in ("1", "2", "3"):
        refer(number=number, alias=f"R{number}")
    items = scheduling.queue(world.door, scheduler, NOW, places_per_day=2)
    assert [(item.alias, item.needs_person) for item in items] == [("R3", True), ("R1", False), ("R2", False)]
    assert {item.due_on for item in items} == {date(2026, 11, 25)}


def test_two_requests_of_one_person_are_both_shown(world: Any, scheduler: Requester, refer: Callable[..., str]) -> None:
    """The same alias and number twice are two lines; a person decides whether they are one."""
    refer(number="1")
    refer(number="2")
    assert [item.alias for item in scheduling.queue(world.door, scheduler, NOW)] == ["Robin", "Robin"]


@pytest.mark.rule("R23")
def test_rule_R23_nobody_but_the_scheduler_sees_the_queue(
    world: Any,
    scheduler: Requester,
    refer: Callable[..., str],
    clinician: Callable[..., Requester],
    northside: Requester,
) -> None:
    """Clinicians, other programs and the front desk find an empty list and no such visit. Break: tie a
    clinician to inbound cases in ``links._clinical``."""
    refer()
    (item,) = scheduling.queue(world.door, scheduler, NOW)
    others = (Requester(Role.CLINICIAN, "Practitioner/x", purpose) for purpose in (Purpose.TREAT, Purpose.COC))
    for who in (clinician(), northside, *others):
        assert scheduling.queue(world.door, who, NOW) == []
        with pytest.raises(NothingToShowError):
            _book(world, who, item.appointment_reference)
        with pytest.raises(NothingToShowError):
            scheduling.decline(world.door, who, item.appointment_reference, "unable", NOW)
        with pytest.raises(NothingToShowError):
            scheduling.item_of(world.door, who, item.appointment_reference, NOW)
    assert scheduling.item_of(world.door, scheduler, item.appointment_reference, NOW)[0].alias == "Robin"


def test_after_the_release_ends_the_request_leaves_the_queue(
    world: Any, scheduler: Requester, refer: Callable[..., str]
) -> None:
    """The scheduler sees a request only as long as the survivor's release lets the clinic act on it."""
    refer(days=3)
    assert len(scheduling.queue(world.door, scheduler, NOW)) == 1
    assert scheduling.queue(world.door, scheduler, NOW + timedelta(days=5)) == []


def _statements(world: Any, call: Callable[[], Any]) -> int:
    seen: list[str] = []

    def see(_c: Any, _k: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    event.listen(world.engine, "before_cursor_execute", see)
    call()
    event.remove(world.engine, "before_cursor_execute", see)
    return len(seen)


def test_one_request_is_shown_whole_beside_the_booked_ones(
    world: Any, scheduler: Requester, refer: Callable[..., str]
) -> None:
    """The page of one request says what the list says about it, and which other visits are taken by name and time."""
    for number, alias in (("1", "Robin"), ("2", "Kim"), ("3", "Alex")):
        refer(number=number, alias=alias)
    by_alias = {item.alias: item for item in scheduling.queue(world.door, scheduler, NOW)}
    _book(world, scheduler, by_alias["Kim"].appointment_reference)
    found, others = scheduling.item_of(world.door, scheduler, by_alias["Robin"].appointment_reference, NOW)
    assert found == by_alias["Robin"]
    assert [(other.alias, other.booked_for) for other in others] == [("Kim", (START, END))]
    (kim,) = (item for item in scheduling.queue(world.door, scheduler, NOW) if item.is_booked)
    assert scheduling.item_of(world.door, scheduler, kim.appointment_reference, NOW) == (kim, [])


def test_a_long_list_takes_as_many_statements_as_a_short_one(
    world: Any, scheduler: Requester, refer: Callable[..., str]
) -> None:
    """A full day does not make the desk slow: neither its list nor one request takes more statements for it.

    Break: ask ``in_case`` for each case of the list.
    """

    def taken(number: int) -> tuple[int, int]:
        refer(number=str(number))
        (first, *_) = scheduling.queue(world.door, scheduler, NOW)
        reference = first.appointment_reference
        return (
            _statements(world, lambda: scheduling.queue(world.door, scheduler, NOW)),
            _statements(world, lambda: scheduling.item_of(world.door, scheduler, reference, NOW)),
        )

    assert len({taken(number) for number in range(2, 6)}) == 1


@pytest.mark.rule("R18")
def test_rule_R18_a_request_that_is_not_there_costs_what_a_closed_one_costs(
    world: Any, scheduler: Requester, refer: Callable[..., str], northside: Requester
) -> None:
    """Another program's system that tries numbers learns nothing: not there and not its own take the same. Fails when
    ``case_of`` looks at the case only for a resource that exists."""
    refer()
    (item,) = scheduling.queue(world.door, scheduler, NOW)

    def look(reference: str) -> None:
        with world.door.open_for(northside, NOW) as work:
            assert work.case_of(reference) is None

    counted = [
        _statements(world, lambda reference=reference: look(reference))
        for reference in (item.appointment_reference, "Appointment/not-there", "no reference at all")
    ]
    assert counted[0] == counted[1] == counted[2] > 0

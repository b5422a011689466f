"""What ends is gone: key, rows and all; on time, once, audited, and never under a legal hold."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy.exc import DBAPIError

from fhir_profiles.proposed_appointment import booked_appointment
from smart_app.errors import ConflictError, NothingToShowError, RefusedError
from smart_app.gateways import audit_log
from smart_app.gateways.erasure import Outcome, Round
from smart_app.gateways.second_person import SecondPerson
from smart_app.office_ports import AskKind, Person
from smart_app.policy.access import Purpose, Requester, Role
from smart_app.policy.consent import withdrawn

TABLES = ("vault_case", "vault_key", "vault_resource", "partner_view")
VISIT = datetime(2026, 11, 25, 16, 0, tzinfo=UTC)  # tomorrow, ten in Chicago
DAY_AFTER = datetime(2026, 11, 26, 6, 0, tzinfo=UTC)  # midnight in Chicago
OFFICER = Person("Practitioner/officer-grant", "a", "l-1", "privacy-officer")
LEAD = Person("Practitioner/lead-osei", "a", "l-2", "program-lead")


def desk(world) -> SecondPerson:
    return SecondPerson(world.engine, world.cipher, world.door, world.eraser())


def book(world, ids, start: datetime = VISIT) -> None:
    with world.door.open_for(world.scheduler(), world.now) as work:
        end = start + timedelta(minutes=30)
        work.amend(ids.appointment, lambda current: booked_appointment(current, start, end))


def rows_of(world, case_id: str) -> int:
    return sum(world.count(table, f"case_id = '{case_id}'") for table in TABLES)


@pytest.mark.rule("R35")
def test_rule_R35_staging_is_erased_when_the_day_of_the_visit_is_over(world):
    """Until midnight the clinic can read and call; then key and rows are gone for everybody, and the log says so.

    Break: in ``Eraser._due`` compare with ``end.at >= now``.
    """
    ids, other = world.inbound(back=True), world.inbound()
    book(world, ids)
    with world.door.open_for(world.program(), world.now) as work:
        work.claim_receipt("harbor-system", ["Bundle|x|1"], b"body", ids.task)
        work.read_since({one.reference: (ids.case_id, one.etag) for one in work.in_case(ids.case_id, "Task")})
    job = world.eraser()
    assert job.look(DAY_AFTER - timedelta(seconds=1)) == Round()
    with world.door.open_for(world.scheduler(), DAY_AFTER - timedelta(seconds=1)) as work:
        assert work.read(ids.service_request)
    assert job.look(DAY_AFTER) == Round(erased=1)
    assert job.look(DAY_AFTER) == Round()
    assert rows_of(world, ids.case_id) == 0
    assert rows_of(world, other.case_id) > 0
    assert world.count("vault_receipt") == 1
    for asks in (world.scheduler(), world.program()):
        with pytest.raises(NothingToShowError), world.door.open_for(asks, DAY_AFTER) as work:
            work.read(ids.task)
    assert world.alerts() == []  # erased is absent: no incident
    (row,) = [one for one in world.audit() if one["action"] == "erase"]
    assert (row["case"], row["reason"], row["who"]) == (ids.case_id, "visit-day-over", "system-erasure")
    assert {"what": ids.task} in row["entities"]
    assert audit_log.verify(world.engine, world.cipher).holds
    assert world.count("fact", "kind = 'erased' AND outcome = 'visit-day-over' AND total = 1") == 1


@pytest.mark.rule("R35")
def test_rule_R35_on_a_snow_day_the_request_stays(world):
    """The clinic did not open: the program can still be reached to find another day.

    Break: pass a calendar without ``closed_on`` to ``staging_end``.
    """
    ids = world.inbound()
    book(world, ids)
    job = world.eraser(closed_on=frozenset({date(2026, 11, 25)}))
    assert job.look(DAY_AFTER) == Round()
    with world.door.open_for(world.scheduler(), DAY_AFTER) as work:
        assert work.read(ids.service_request)
    assert job.look(DAY_AFTER + timedelta(days=2)) == Round(erased=1)


@pytest.mark.rule("R35")
def test_rule_R35_the_end_of_the_release_ends_staging_and_not_our_own_record(world):
    """A release that ended or was taken back leaves nothing of a program's request; what we wrote stays here.

    Break: in ``Eraser._due`` drop the condition on the kind of case.
    """
    short, taken_back, ours = world.inbound(days=2), world.inbound(), world.refer(days=2, queue=False)
    with world.door.open_for(Requester(Role.LABELER, "Device/l", Purpose.LABELING), world.now) as work:
        work.amend(taken_back.consent, withdrawn)
    assert world.eraser().look(world.now) == Round(erased=1)
    assert world.eraser().look(world.now + timedelta(days=4)) == Round(erased=1)
    assert (rows_of(world, short.case_id), rows_of(world, taken_back.case_id)) == (0, 0)
    assert world.eraser().look(world.now + timedelta(days=400)) == Round()
    with world.door.open_for(world.clinician(), world.now + timedelta(days=400)) as work:
        assert work.read(ours.service_request)


@pytest.mark.rule("R35")
def test_rule_R35_a_legal_hold_stops_every_erase_and_opens_nothing(world):
    """Set by two persons it keeps staging past its end and refuses a decided request; lifted by two, it ends.

    Break: in ``Eraser.erase_in`` leave out ``is_held``. The schema refuses it then, too.
    """
    ids = world.inbound()
    office = desk(world)
    office.confirm(LEAD, office.ask(OFFICER, AskKind.HOLD_SET, ids.case_id, "counsel", world.now), world.now)
    assert office.holds() == [ids.case_id]
    late = world.now + timedelta(days=40)
    assert world.eraser().look(late) == Round(held=1)
    with pytest.raises(NothingToShowError), world.door.open_for(world.scheduler(), late) as work:
        work.read(ids.task)
    with pytest.raises(ConflictError):
        office.confirm(LEAD, office.ask(OFFICER, AskKind.ERASE, ids.case_id, "patient-asked", late), late)
    with pytest.raises(DBAPIError):
        world.run(f"DELETE FROM vault_case WHERE case_id = '{ids.case_id}'")
    office.confirm(OFFICER, office.ask(LEAD, AskKind.HOLD_LIFT, ids.case_id, "counsel", late), late)
    assert world.eraser().look(late) == Round(erased=1)
    actions = [row["action"] for row in world.audit()]
    assert [actions.count(one) for one in ("hold-set", "erase-refused", "hold-lifted", "erase")] == [1, 2, 1, 1]


@pytest.mark.rule("R35")
def test_rule_R35_a_decided_request_erases_at_once_and_takes_two_persons(world):
    """Nobody erases a record alone, not even the officer; a second person does, and both names stand in the log.

    Break: in ``SecondPerson.confirm`` leave out ``is_own``.
    """
    ids, office = world.refer(), desk(world)
    ask_id = office.ask(OFFICER, AskKind.ERASE, ids.task, "patient-asked", world.now)
    for same in (OFFICER, replace(OFFICER, registration_id="b")):
        with pytest.raises(RefusedError):
            office.confirm(same, ask_id, world.now)
    assert rows_of(world, ids.case_id) > 0
    assert [one.is_own for one in office.waiting(LEAD, world.now)] == [False]
    assert office.confirm(LEAD, ask_id, world.now) is Outcome.ERASED
    assert rows_of(world, ids.case_id) == 0
    assert world.count("delivery", "state = 'open' OR case_id IS NOT NULL") == 0
    with pytest.raises(NothingToShowError):
        office.confirm(LEAD, ask_id, world.now)
    (row,) = [one for one in world.audit() if one["action"] == "confirm"]
    assert (row["who"], row["asked_by"]) == ("Practitioner/lead-osei", "Practitioner/officer-grant")
    assert audit_log.verify(world.engine, world.cipher).holds


def test_an_ask_can_be_taken_back_and_is_over_after_thirty_days(world):
    """A request is decided within thirty days, or asked again."""
    ids, office = world.refer(queue=False), desk(world)
    first = office.ask(OFFICER, AskKind.ERASE, ids.case_id, "patient-asked", world.now)
    office.take_back(OFFICER, first, world.now)
    assert office.waiting(LEAD, world.now) == []
    second = office.ask(OFFICER, AskKind.ERASE, ids.case_id, "patient-asked", world.now)
    with pytest.raises(NothingToShowError):
        office.confirm(LEAD, second, world.now + timedelta(days=31))
    with pytest.raises(NothingToShowError):
        office.ask(OFFICER, AskKind.ERASE, "no-such-case", "patient-asked", world.now)
    assert rows_of(world, ids.case_id) > 0


@pytest.mark.rule("R9")
def test_rule_R09_what_waits_under_a_release_that_is_over_is_emptied(world):
    """Nothing leaves after the end of a release, and nothing goes on waiting to leave; our own record stays.

    Break: in ``Eraser._releases_over`` return an empty set.
    """
    over, lasting = world.refer(days=2), world.refer(days=30)
    world.run("UPDATE delivery SET attempts = 1")  # the program was down
    assert world.eraser().look(world.now + timedelta(days=1)) == Round()
    assert world.eraser().look(world.now + timedelta(days=4)) == Round(stopped=1)
    assert world.count("delivery", f"state = 'open' AND case_id = '{lasting.case_id}'") == 1
    assert world.count("delivery", f"case_id = '{over.case_id}'") == 0
    assert world.count("vault_case", f"case_id = '{over.case_id}' AND transport = 'stopped'") == 1
    assert rows_of(world, over.case_id) > 0
    (row,) = [one for one in world.audit() if one["action"] == "stop"]
    assert (row["case"], row["rule"]) == (over.case_id, "R9")


def test_what_is_being_sent_now_is_left_to_its_worker(world):
    """A message in a worker's hands is that worker's to stop: it reads the release again before it connects."""
    world.refer(days=2)
    world.run("UPDATE delivery SET attempts = 1")
    assert len(world.jobs.claim(limit=1, lease_seconds=600)) == 1
    assert world.eraser().look(world.now + timedelta(days=4)) == Round()
    assert world.count("delivery", "state = 'open'") == 1


def test_a_case_whose_key_is_gone_is_taken_away(world):
    """Rows that nobody can open any more do not lie there for ever."""
    ids = world.inbound()
    world.run(f"DELETE FROM vault_key WHERE case_id = '{ids.case_id}'")
    assert world.eraser().look(world.now) == Round(erased=1)
    assert rows_of(world, ids.case_id) == 0

"""Whom the patient leaves out finds nothing, and cannot tell that there is something (R22, attack 1)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import event

from smart_app.errors import NothingToShowError, RefusedError
from smart_app.gateways.vault import Vault
from smart_app.policy.access import Purpose
from smart_app.ports import CaseKind, PatientKey

NAME = "Canary-Left-Out-Sam"


def leave_out(world, user: str, by=None) -> None:
    with world.door.open_for(by or world.clinician("nurse-diaz", is_treating=True), world.now) as work:
        work.exclusions.add(reference=f"Practitioner/{user}", name=NAME)


@contextmanager
def statements(world) -> Iterator[list[str]]:
    seen: list[str] = []
    event.listen(world.engine, "before_cursor_execute", note := lambda _c, _k, statement, *_: seen.append(statement))
    try:
        yield seen
    finally:
        event.remove(world.engine, "before_cursor_execute", note)


def outcome(world, asks, do: Callable) -> object:
    try:
        with world.door.open_for(asks, world.now) as work:
            return do(work)
    except NothingToShowError as error:
        return str(error)


@pytest.mark.rule("R22")
@pytest.mark.parametrize("tie", ["author", "care team", "break-glass"])
def test_rule_R22_whoever_is_left_out_is_answered_as_if_nothing_were_there(world, tie):
    """The author, the care team and somebody who breaks the glass all find nothing once the patient left them out: in
    every read, list, search and write, with the same words and the same number of SQL statements as for a chart in
    which there is nothing. Fails when ``judge._decision`` says ``is_excluded=False``."""
    asks = {
        "author": world.clinician(),
        "care team": world.clinician("nurse-ito", is_treating=True),
        "break-glass": world.clinician("dr-else", purpose=Purpose.BTG),
    }[tie]
    ids = world.refer()
    _, observation = world.disclose()
    before = outcome(world, asks, lambda work: [one.reference for one in work.in_case(ids.case_id, "Task")])
    assert (before == [ids.task]) is (tie != "break-glass")  # what break-glass opens is asked elsewhere
    leave_out(world, asks.user_reference.split("/")[1])
    nobody = "00000000-0000-4000-8000-000000000000"
    elsewhere = PatientKey("a", "somebody-without-anything")
    task = world.parts()[3]

    def count(do: Callable) -> tuple[object, int]:
        with statements(world) as seen:
            return outcome(world, asks, do), len(seen)

    pairs: list[tuple[Callable, Callable]] = [
        (lambda work: work.read(ids.task), lambda work: work.read(f"Task/{nobody}")),
        (lambda work: work.read(observation), lambda work: work.read(f"Observation/{nobody}")),
        (lambda work: work.case_of(ids.task), lambda work: work.case_of(f"Task/{nobody}")),
        (lambda work: work.in_case(ids.case_id, "Task"), lambda work: work.in_case(nobody, "Task")),
        (lambda work: work.amend(ids.task, dict), lambda work: work.amend(f"Task/{nobody}", dict)),
        (lambda work: work.create(task, case_id=ids.case_id), lambda work: work.create(task, case_id=nobody)),
        (lambda work: work.close_case(ids.case_id), lambda work: work.close_case(nobody)),
        (lambda work: work.outbox.state_of(ids.case_id), lambda work: work.outbox.state_of(nobody)),
        (
            lambda work: work.find_cases(CaseKind.REFERRAL, patient=world.patient),
            lambda work: work.find_cases(CaseKind.REFERRAL, patient=elsewhere),
        ),
    ]
    for there, absent in pairs:
        assert count(there) == count(absent)
    denied = [row for row in world.audit() if any(e.get("rule") == "R22" for e in row.get("entities", []))]
    assert {row["who"] for row in denied} == {asks.user_reference}


@pytest.mark.rule("R22")
def test_rule_R22_it_is_this_person_this_patient_and_this_ehr_alone(world):
    """Others still see, the same staff id at another EHR is somebody else, another patient is not concerned, and the
    patient's word lets the person in again. Fails when ``vault._cases`` forgets the patient or the person."""
    ids = world.refer()
    leave_out(world, "dr-lee")
    nurse = world.clinician("nurse-ito", is_treating=True)
    assert outcome(world, nurse, lambda w: w.read(ids.task).reference) == ids.task
    other = PatientKey("a", "p-other")
    there = world.clinician(patient_id="p-other")
    with world.door.open_for(there, world.now) as work:
        case_id = work.open_case(CaseKind.REFERRAL, patient=other, partner_id="harbor")
        made = [work.create(one, case_id=case_id).reference for one in world.parts()]
    assert outcome(world, there, lambda w: w.read(made[3]).reference) == made[3]
    with world.door.open_for(nurse, world.now) as work:
        (entry,) = work.exclusions.listed()
        assert (entry.name, entry.reference) == (NAME, "Practitioner/dr-lee")
        work.exclusions.remove(entry.entry)
    assert outcome(world, world.clinician(), lambda w: w.read(ids.task).reference) == ids.task


@pytest.mark.rule("R22")
def test_rule_R22_the_list_itself_hides_from_whoever_is_on_it(world):
    """Somebody on the list sees of it what they would see if they were not: what they wrote down themselves. They can
    take nobody off, themselves included. Fails when ``_may_see`` of the list says ``is_excluded=False``."""
    nurse = world.clinician("nurse-diaz", is_treating=True)
    bad = world.clinician("nurse-bad", is_treating=True)

    def listed(asks) -> tuple[list[str], int]:
        with statements(world) as seen, world.door.open_for(asks, world.now) as work:
            return [one.reference for one in work.exclusions.listed()], len(seen)

    empty = listed(bad)
    leave_out(world, "nurse-bad", nurse)
    assert listed(bad) == empty
    leave_out(world, "dr-lee", bad)
    assert listed(bad)[0] == ["Practitioner/dr-lee"]
    leave_out(world, "nurse-bad", bad)  # even so their own row is all they can take away
    with world.door.open_for(nurse, world.now) as work:
        theirs = [one.entry for one in work.exclusions.listed() if one.reference == "Practitioner/nurse-bad"]
    assert len(theirs) == 2
    gone = 0
    for entry in theirs:
        gone += outcome(world, bad, lambda work, entry=entry: work.exclusions.remove(entry)) is None
    assert gone == 1
    ids = world.refer()
    assert outcome(world, bad, lambda work: work.case_of(ids.task)) is None
    # Without a visit of one's own there is nothing to see but one's own entries either.
    assert listed(world.clinician("dr-else"))[0] == []


@pytest.mark.rule("R22")
def test_rule_R22_nothing_of_it_is_readable_in_the_database(world):
    """Who is left out, by whom and for which patient stands nowhere in clear, and the log names opaque ids alone. Fails
    when ``UnitExclusions.add`` stores the content unsealed."""
    leave_out(world, "nurse-bad")
    with world.engine.begin() as connection:
        (row,) = connection.exec_driver_sql("SELECT * FROM exclusion").all()
    everything = b"|".join(value if isinstance(value, bytes) else str(value).encode() for value in row)
    for word in (NAME, "nurse-bad", "nurse-diaz", world.patient.patient_id):
        assert word.encode() not in everything
    (noted,) = [one for one in world.audit() if one["action"] == "leave-out"]
    assert NAME not in str(noted)
    assert noted["entities"][1] == {"what": "Practitioner/nurse-bad"}


@pytest.mark.rule("R22")
def test_rule_R22_only_a_clinician_in_the_patients_own_chart_writes_it(world):
    """A scheduler, a program and a clinician without a chart are refused, and that is in the log. Fails when
    ``UnitExclusions._patient`` does not look at the role."""
    for asks in (world.scheduler(), world.program(), world.clinician(patient_id=None)):
        with pytest.raises(RefusedError), world.door.open_for(asks, world.now) as work:
            work.exclusions.add(reference="Practitioner/dr-lee", name=NAME)
    assert world.count("exclusion") == 0
    assert [row["who"] for row in world.audit() if row["action"] == "refuse"] == [
        "Practitioner/sched-kim",
        "Organization/harbor",
        "Practitioner/dr-lee",
    ]


@pytest.mark.rule("R22")
def test_rule_R22_for_whoever_is_left_out_no_release_is_opened(world, monkeypatch):
    """Whoever is left out is answered before any release is decrypted: a denial takes no longer than what is not there.

    Break: in ``judge._hangs_on_a_release`` leave out the exclusion.
    """
    colleague = world.clinician("nurse-ito", is_treating=True)
    ids = world.refer(by=colleague)
    leave_out(world, "dr-lee")
    opened: list[object] = []
    monkeypatch.setattr(Vault, "opened_consents", lambda _self, _case, rows: opened.extend(rows) or [])
    for user, is_opened in (("dr-lee", False), ("dr-else", True)):
        asks = world.clinician(user, is_treating=True)
        outcome(world, asks, lambda work: work.read(ids.task))
        assert bool(opened) is is_opened, user

"""Work to send: written with what it sends, sent by one worker at a time, forgotten when done."""

from __future__ import annotations

import subprocess
import sys

import pytest

from smart_app.gateways.outbox import DELAYED_AFTER_ATTEMPTS
from smart_app.ports import CaseKind
from smart_app.workflows import release

CLAIMER = """
import sys, time
from datetime import UTC, datetime
from smart_app.gateways.cipher import MasterCipher, MasterKey
from smart_app.gateways.engine import make_engine
from smart_app.gateways.outbox import SqlJobStore

jobs = SqlJobStore(
    make_engine(sys.argv[1]),
    MasterCipher(MasterKey(bytes(range(32))), "hc1"),
    site_id="main",
    now=lambda: datetime(2026, 11, 24, tzinfo=UTC),
)
empty = 0
while empty < 20:
    claimed = jobs.claim(limit=2, lease_seconds=30)
    empty = 0 if claimed else empty + 1
    for job in claimed:
        time.sleep(0.002)
        print(job.change, jobs.complete(job, outcome="delivered"), flush=True)
    if not claimed:
        time.sleep(0.01)
"""


def queue(world, partner_id: str = "harbor", kind: str = "referral", times: int = 1) -> str:
    """``times`` cases with one job each, without the cost of a whole referral. The last one's id."""
    for _ in range(times):
        with world.door.open_for(world.clinician(), world.now) as work:
            case_id = work.open_case(CaseKind.REFERRAL, patient=world.patient, partner_id=partner_id)
            work.outbox.add(kind=kind, case_id=case_id, reference=f"Task/{case_id[:8]}", partner_id=partner_id)
    return case_id


def make_due(world) -> None:
    world.run("UPDATE delivery SET due_at = 0 WHERE state = 'open'")


def end_leases(world) -> None:
    world.run("UPDATE delivery SET lease_until = 0 WHERE lease_until IS NOT NULL")


def test_a_job_is_there_only_if_what_it_sends_is_there(world):
    """Either the referral and its message exist, or neither."""

    def breaks_halfway() -> None:
        with world.door.open_for(world.clinician(), world.now) as work:
            case_id = work.open_case(CaseKind.REFERRAL, patient=world.patient, partner_id="harbor")
            work.outbox.add(kind="referral", case_id=case_id, reference="Task/t", partner_id="harbor")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        breaks_halfway()
    assert world.jobs.claim(limit=5, lease_seconds=30) == []
    case_id = queue(world)
    (job,) = world.jobs.claim(limit=5, lease_seconds=30)
    assert (job.case_id, job.kind, job.attempts, job.change) == (case_id, "referral", 1, 1)


def test_a_claimed_job_is_nobody_elses_until_its_lease_ends(world):
    """A message is sent by one worker; if that one dies, another takes over."""
    queue(world)
    (first,) = world.jobs.claim(limit=5, lease_seconds=30)
    assert world.jobs.claim(limit=5, lease_seconds=30) == []
    end_leases(world)
    (second,) = world.jobs.claim(limit=5, lease_seconds=30)
    assert (second.change, second.attempts, second.lease == first.lease) == (first.change, 2, False)


@pytest.mark.parametrize("method", ["complete", "retry", "give_up", "renew"])
def test_who_lost_the_lease_changes_nothing(world, method):
    """A worker that was too slow cannot undo what another one has done since.

    Break: drop lease_owner in SqlJobStore._held.
    """
    queue(world)
    (slow,) = world.jobs.claim(limit=5, lease_seconds=30)
    end_leases(world)
    (fast,) = world.jobs.claim(limit=5, lease_seconds=30)
    calls = {
        "complete": lambda job: world.jobs.complete(job, outcome="delivered"),
        "retry": lambda job: world.jobs.retry(job, delay_seconds=1, error_code="x"),
        "give_up": lambda job: world.jobs.give_up(job, error_code="x"),
        "renew": lambda job: world.jobs.renew(job, lease_seconds=60),
    }
    assert calls[method](slow) is False
    assert world.count("delivery", "state = 'open' AND lease_owner IS NOT NULL AND attempts = 2") == 1
    assert calls[method](fast) is True


def test_a_finished_row_is_emptied(world):
    """When a message has arrived, nothing says any more to whom, about what or when it was."""
    queue(world)
    (job,) = world.jobs.claim(limit=5, lease_seconds=30)
    assert world.jobs.complete(job, outcome="delivered")
    empty = "lane IS NULL AND case_id IS NULL AND reference IS NULL AND due_at IS NULL AND lease_until IS NULL"
    assert world.count("delivery", f"state = 'done' AND {empty} AND lease_owner IS NULL") == 1
    assert world.count("fact", "kind = 'referral-send' AND outcome = 'delivered' AND total = 1") == 1
    assert world.jobs.complete(job, outcome="delivered") is False


def test_a_retry_waits_and_says_so_to_who_may_see_the_case(world):
    """While a program is down, the clinician sees at once that it did not arrive yet; others see nothing."""
    ids = world.refer()
    with world.door.open_for(world.clinician(), world.now) as work:
        assert work.outbox.state_of(ids.case_id) == "queued"
    (job,) = world.jobs.claim(limit=5, lease_seconds=30)
    assert world.jobs.retry(job, delay_seconds=600, error_code="no-answer")
    assert world.jobs.claim(limit=5, lease_seconds=30) == []
    with world.door.open_for(world.clinician(), world.now) as work:
        assert work.outbox.state_of(ids.case_id) == "trying"
        (case,) = work.find_cases(CaseKind.REFERRAL, patient=world.patient)
        assert (case.transport, case.partner_id) == ("trying", "harbor")
    for asks in world.others().values():
        with world.door.open_for(asks, world.now) as work:
            assert work.outbox.state_of(ids.case_id) is None
    make_due(world)
    (again,) = world.jobs.claim(limit=5, lease_seconds=30)
    world.jobs.complete(again, outcome="delivered")
    with world.door.open_for(world.clinician(), world.now) as work:
        assert work.outbox.state_of(ids.case_id) == "delivered"


def test_after_about_an_hour_of_tries_a_person_is_told_once(world):
    """A message that does not arrive is not left alone with a machine."""
    queue(world)
    for _ in range(DELAYED_AFTER_ATTEMPTS + 2):
        (job,) = world.jobs.claim(limit=5, lease_seconds=30)
        world.jobs.retry(job, delay_seconds=0, error_code="no-answer")
    assert world.alerts() == ["delivery-delayed"]


def test_what_cannot_be_sent_stays_visible(world):
    """A message that no further try can help is shown to a person, without a time."""
    case_id = queue(world)
    (job,) = world.jobs.claim(limit=5, lease_seconds=30)
    assert world.jobs.give_up(job, error_code="post-status-422")
    (letter,) = world.jobs.dead_letters()
    assert (letter.case_id, letter.error_code) == (case_id, "post-status-422")
    assert world.count("delivery", "state = 'dead' AND due_at IS NULL AND lease_until IS NULL AND lane IS NULL") == 1
    assert world.alerts() == ["delivery-failed"]
    assert world.count("vault_case", "transport = 'failed'") == 1


def test_a_slow_program_does_not_take_all_places(world):
    """Two messages at a time to one program; the others go on to theirs."""
    queue(world, "harbor", times=5)
    queue(world, "northside", times=1)
    first = world.jobs.claim(limit=10, lease_seconds=30)
    assert [job.change for job in first] == [1, 2, 6]
    assert world.jobs.claim(limit=10, lease_seconds=30) == []
    world.jobs.complete(first[0], outcome="delivered")
    assert [job.change for job in world.jobs.claim(limit=10, lease_seconds=30)] == [3]


def test_two_workers_send_each_message_once(world):
    """Two workers at the same time never take the same message, and none is left.

    Break: drop the lease condition in SqlJobStore._due.
    """
    for number in range(20):
        queue(world, f"partner-{number}", times=2)
    url = world.database.url
    workers = [
        subprocess.Popen([sys.executable, "-c", CLAIMER, url], stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    lines = [line for worker in workers for line in worker.communicate(timeout=60)[0].splitlines()]
    assert sorted(lines) == sorted(f"{change} True" for change in range(1, 41))
    assert world.count("delivery", "state = 'done'") == 40


@pytest.mark.rule("R11")
def test_rule_R11_a_cancel_empties_what_waits_and_tells_nobody_who_got_nothing(world):
    """A withdrawn referral that never left is simply gone; the program never hears of it.

    Break: drop _stop_what_waits.
    """
    ids = world.refer()
    with world.door.open_for(world.clinician(), world.now) as work:
        work.outbox.add(kind="cancel", case_id=ids.case_id, reference=ids.task, partner_id="harbor")
    assert world.jobs.claim(limit=5, lease_seconds=30) == []
    assert world.count("delivery", "state = 'done' AND reference IS NULL") == world.count("delivery") == 1
    assert world.count("vault_case", "transport = 'stopped'") == 1


@pytest.mark.rule("R11")
def test_rule_R11_a_worker_that_holds_a_withdrawn_message_loses_it(world):
    """Even a worker that already had the message in its hands cannot finish it."""
    ids = world.refer()
    (job,) = world.jobs.claim(limit=5, lease_seconds=30)
    with world.door.open_for(world.clinician(), world.now) as work:
        work.outbox.add(kind="cancel", case_id=ids.case_id, reference=ids.task, partner_id="harbor")
    assert world.door.may_release(job, world.now) is None
    assert world.door.release(job, world.now) is None
    assert world.jobs.complete(job, outcome="delivered") is False
    (cancel,) = world.jobs.claim(limit=5, lease_seconds=30)  # it may have got something: somebody has to tell it
    assert cancel.kind == "cancel"


def test_an_unknown_kind_of_work_is_refused(world):
    """Only the two kinds that a worker knows can be queued."""
    with pytest.raises(ValueError, match="referral or cancel"):
        queue(world, kind="newsletter")


def withdraw(world, ids) -> None:
    release.withdraw(world.door, world.clinician(), ids.case_id, world.now)


@pytest.mark.rule("R11")
def test_rule_R11_a_cancel_waits_for_the_send_that_it_stops(world):
    """The program never hears "cancelled" while the referral itself is still on its way.

    Break: give the cancel no lease in UnitOutbox.add; or move only the job's own row in SqlJobStore.renew.
    """
    ids = world.refer()
    (job,) = world.jobs.claim(limit=5, lease_seconds=30)
    withdraw(world, ids)
    assert world.jobs.claim(limit=5, lease_seconds=30) == []
    world.run("UPDATE delivery SET lease_until = lease_until - 29.5 WHERE state = 'open'")
    assert world.jobs.renew(job, lease_seconds=30)  # still sending: the cancel goes on waiting
    assert world.count("delivery", "state = 'open' AND kind = 'cancel'") == 1
    assert world.jobs.claim(limit=5, lease_seconds=30) == []
    assert world.jobs.complete(job, outcome="delivered") is False
    (cancel,) = world.jobs.claim(limit=5, lease_seconds=30)
    assert cancel.kind == "cancel"
    assert world.jobs.complete(cancel, outcome="delivered")
    assert world.count("vault_case", "transport = 'told' AND NOT is_open") == 1


@pytest.mark.rule("R11")
def test_rule_R11_a_first_send_that_stopped_by_itself_leaves_nobody_to_tell(world):
    """The worker saw in time that it was taken back and sent nothing: then the program hears nothing either.

    Break: let _let_cancel_go release the cancel whatever left.
    """
    ids = world.refer()
    (job,) = world.jobs.claim(limit=5, lease_seconds=30)
    withdraw(world, ids)
    assert world.jobs.complete(job, outcome="not-released") is False
    assert world.jobs.claim(limit=5, lease_seconds=30) == []
    assert world.count("delivery", "state = 'done'") == 2
    assert world.count("vault_case", "transport = 'stopped' AND NOT is_open") == 1


@pytest.mark.parametrize("ends", ["retry", "give-up", "second try stops", "worker dies"])
@pytest.mark.rule("R11")
def test_rule_R11_where_something_may_have_left_the_program_is_told(world, ends):
    """Nobody knows how far a send got: then "cancelled" is sent, as soon as that send is over.

    Break: drop the call of _let_cancel_go in SqlJobStore.retry or give_up.
    """
    ids = world.refer()
    (job,) = world.jobs.claim(limit=5, lease_seconds=30)
    if ends == "second try stops":
        world.jobs.retry(job, delay_seconds=0, error_code="no-answer")
        (job,) = world.jobs.claim(limit=5, lease_seconds=30)
    withdraw(world, ids)
    if ends == "retry":
        assert world.jobs.retry(job, delay_seconds=60, error_code="no-answer") is False
    elif ends == "give-up":
        assert world.jobs.give_up(job, error_code="post-status-422") is False
    elif ends == "second try stops":
        assert world.jobs.complete(job, outcome="not-released") is False
    else:
        end_leases(world)
    (cancel,) = world.jobs.claim(limit=5, lease_seconds=30)
    assert (cancel.kind, cancel.case_id) == ("cancel", ids.case_id)


def test_of_one_referral_only_the_oldest_message_is_sent(world):
    """What was said first arrives first.

    Break: drop is_first in SqlJobStore._due.
    """
    case_id = queue(world)
    with world.door.open_for(world.clinician(), world.now) as work:
        work.outbox.add(kind="referral", case_id=case_id, reference="Task/later", partner_id="harbor")
    assert [job.change for job in world.jobs.claim(limit=5, lease_seconds=30)] == [1]
    assert world.jobs.claim(limit=5, lease_seconds=30) == []
    world.run("UPDATE delivery SET lease_until = 0, due_at = due_at + 1000 WHERE change = 1")
    assert world.jobs.claim(limit=5, lease_seconds=30) == []  # the first one waits for its next try, and so does this

"""The worker: quick, stubborn, and never alone with a message that cannot arrive."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime

import pytest

from smart_app.delivery.worker import Worker
from smart_app.delivery_ports import Job, SendOutcome, SendResult

NOW = datetime(2026, 11, 24, tzinfo=UTC)


class Jobs:
    """A queue in memory that writes down what the worker tells it."""

    def __init__(self, *jobs: Job) -> None:
        self.waiting = list(jobs)
        self.told: list[tuple] = []
        self.renewed = 0
        self.error: Exception | None = None

    def claim(self, *, limit, lease_seconds):
        if self.error:
            raise self.error
        taken, self.waiting = self.waiting[:limit], self.waiting[limit:]
        return taken

    def renew(self, job, *, lease_seconds):
        self.renewed += 1
        return True

    def complete(self, job, *, outcome):
        self.told.append(("complete", job.change, outcome))
        return True

    def retry(self, job, *, delay_seconds, error_code, is_partner_down, retry_after_seconds):
        self.told.append(("retry", job.change, delay_seconds, error_code, is_partner_down, retry_after_seconds))
        return True

    def give_up(self, job, *, error_code):
        self.told.append(("give-up", job.change, error_code))
        return True


class Sender:
    def __init__(self, outcome) -> None:
        self.outcome = outcome
        self.sent: list[int] = []

    def send(self, job, now):
        self.sent.append(job.change)
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome(job) if callable(self.outcome) else self.outcome


def job(change: int = 1, attempts: int = 1) -> Job:
    return Job(change, "referral", "case", "Task/t", attempts, "lease")


def worker(jobs: Jobs, sender: Sender, **more) -> Worker:
    return Worker(jobs, sender, now=lambda: NOW, **more)


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        (SendOutcome(SendResult.DELIVERED), ("complete", 1, "delivered")),
        (SendOutcome(SendResult.NOT_RELEASED, "not-released"), ("complete", 1, "not-released")),
        (SendOutcome(SendResult.REFUSED, "post-status-422"), ("give-up", 1, "post-status-422")),
    ],
)
def test_what_became_of_a_message_is_written_down(outcome, told):
    """Arrived, withdrawn or refused: each ends in its own way."""
    jobs = Jobs(job())
    assert worker(jobs, Sender(outcome)).run_once() == 1
    assert jobs.told == [told]


def test_a_program_that_is_down_is_tried_again_as_late_as_it_asked():
    """A program that asks for two minutes gets two minutes."""
    jobs = Jobs(job())
    worker(jobs, Sender(SendOutcome(SendResult.RETRY, "no-answer", 120, is_partner_down=True))).run_once()
    (kind, change, delay, code, *about_partner), *_ = jobs.told
    assert (kind, change, code, about_partner) == ("retry", 1, "no-answer", [True, 120])
    assert delay >= 120


def test_an_unexpected_error_keeps_the_message(capsys):
    """A mistake of ours never loses a message, and its text never reaches the log."""
    jobs = Jobs(job())
    worker(jobs, Sender(ValueError("canary patient words"))).run_once()
    assert jobs.told[0][0] == "retry"
    captured = capsys.readouterr()
    assert "canary" not in captured.out + captured.err


def test_a_queue_that_does_not_answer_does_not_end_the_worker():
    """When the database is away for a moment, the worker waits and goes on."""
    jobs = Jobs(job())
    jobs.error = OSError("database")
    stop = threading.Event()
    thread = threading.Thread(
        target=worker(jobs, Sender(SendOutcome(SendResult.DELIVERED)), poll_seconds=0.01).run, args=(stop,)
    )
    thread.start()
    time.sleep(0.1)
    jobs.error = None
    wait_for(lambda: jobs.told)
    stop.set()
    thread.join(5)
    assert jobs.told == [("complete", 1, "delivered")]


def test_a_message_leaves_within_a_second_and_a_slow_program_holds_up_nobody():
    """A referral is on its way at once, even while another program takes its time."""
    release = threading.Event()

    def outcome(one: Job) -> SendOutcome:
        if one.change == 1:
            release.wait(10)
        return SendOutcome(SendResult.DELIVERED)

    jobs, sender, stop = Jobs(job(1)), Sender(outcome), threading.Event()
    thread = threading.Thread(target=worker(jobs, sender).run, args=(stop,))
    thread.start()
    wait_for(lambda: sender.sent == [1])
    started = time.monotonic()
    jobs.waiting.append(job(2))
    wait_for(lambda: ("complete", 2, "delivered") in jobs.told)
    assert time.monotonic() - started < 1
    release.set()
    stop.set()
    thread.join(5)
    assert ("complete", 1, "delivered") in jobs.told  # stopping finishes what was being sent


def test_a_slow_send_keeps_its_lease():
    """While a message is being sent, no other worker may take it."""
    jobs = Jobs(job())

    def slow(_):
        time.sleep(0.5)
        return SendOutcome(SendResult.DELIVERED)

    worker(jobs, Sender(slow), lease_seconds=0.3).run_once()
    assert jobs.renewed >= 2
    assert jobs.told == [("complete", 1, "delivered")]


def wait_for(condition, seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_the_worker_looks_after_what_broke_off_and_goes_on_when_it_cannot():
    """At its start and then every so often the worker looks for what a crash left undone; messages leave meanwhile."""
    rounds: list[int] = []
    stop = threading.Event()

    def watch() -> None:
        rounds.append(1)
        if len(rounds) == 3:
            stop.set()
        raise OSError("the database is away")

    jobs, sender = Jobs(job()), Sender(SendOutcome(SendResult.DELIVERED))
    worker(jobs, sender, watches=[watch], watch_seconds=0.01, poll_seconds=0.01).run(stop)
    assert len(rounds) == 3
    assert jobs.told == [("complete", 1, "delivered")]

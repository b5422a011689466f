"""The delivery worker: claims what is due, sends it, and writes down what became of it. Run as many as you like.

It polls fast enough that a send leaves within about a second. Killed at any point it loses nothing: an open row's
lease runs out and somebody else sends it, which is one effect at the partner because its identifiers stay the same.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime

import structlog

from smart_app.delivery.backoff import delay_seconds
from smart_app.delivery_ports import Job, JobStore, Sender, SendOutcome, SendResult

LOG = structlog.get_logger()
POLL_SECONDS = 0.25
LEASE_SECONDS = 60
RENEW_SECONDS = 20
THREADS = 4
WATCH_SECONDS = 60


class Worker:
    """``run`` works until told to stop; ``run_once`` does what is due now, in this thread."""

    def __init__(
        self,
        jobs: JobStore,
        sender: Sender,
        *,
        now: Callable[[], datetime],
        poll_seconds: float = POLL_SECONDS,
        lease_seconds: int = LEASE_SECONDS,
        threads: int = THREADS,
        watches: Sequence[Callable[[], object]] = (),
        watch_seconds: float = WATCH_SECONDS,
    ) -> None:
        """Each of ``watches`` looks after what nobody else does, at the start and then every so often."""
        self._jobs = jobs
        self._sender = sender
        self._now = now
        self._poll_seconds = poll_seconds
        self._lease_seconds = lease_seconds
        self._threads = threads
        self._watches = watches
        self._watch_seconds = watch_seconds

    def run(self, stop: threading.Event) -> None:
        """Until ``stop`` is set; what is being sent then is finished first."""
        LOG.info("worker-started")
        watch_at = time.monotonic()
        with ThreadPoolExecutor(self._threads, thread_name_prefix="delivery") as pool:
            busy: dict[Future[None], Job] = {}
            while not stop.is_set():
                if time.monotonic() >= watch_at:
                    self._look_after()
                    watch_at = time.monotonic() + self._watch_seconds
                busy = {future: job for future, job in busy.items() if not future.done()}
                claimed = self._claim(self._threads - len(busy))
                busy |= {pool.submit(self.deliver, job): job for job in claimed}
                if not claimed:
                    stop.wait(self._poll_seconds)
        LOG.info("worker-stopped")

    def run_once(self) -> int:
        """Send what is due now, one after the other; returns how many."""
        claimed = self._claim(self._threads)
        for job in claimed:
            self.deliver(job)
        return len(claimed)

    def deliver(self, job: Job) -> None:
        """One attempt, its lease kept alive meanwhile, and its outcome written down under the lease."""
        done = threading.Event()
        heartbeat = threading.Thread(target=self._keep_lease, args=(job, done), daemon=True)
        heartbeat.start()
        try:
            outcome = self._sender.send(job, self._now())
        except Exception as error:
            # Nobody knows how far it got: try again later, the identifiers make it one effect. The class is enough.
            LOG.error("delivery-error", error=type(error).__name__)
            outcome = SendOutcome(SendResult.RETRY, "internal-error")
        finally:
            done.set()
        self._write_down(job, outcome)

    def _write_down(self, job: Job, outcome: SendOutcome) -> None:
        try:
            if outcome.result in (SendResult.DELIVERED, SendResult.NOT_RELEASED):
                is_ours = self._jobs.complete(job, outcome=outcome.result.value)
            elif outcome.result is SendResult.REFUSED:
                is_ours = self._jobs.give_up(job, error_code=outcome.error_code)
            else:
                wait = delay_seconds(job.attempts, outcome.retry_after_seconds)
                is_ours = self._jobs.retry(
                    job,
                    delay_seconds=wait,
                    error_code=outcome.error_code,
                    is_partner_down=outcome.is_partner_down,
                    retry_after_seconds=outcome.retry_after_seconds,
                )
        except Exception as error:
            LOG.error("delivery-not-written-down", error=type(error).__name__)  # the lease runs out, it is sent again
            return
        LOG.info("delivery" if is_ours else "delivery-lease-lost", error=outcome.error_code or None)

    def _keep_lease(self, job: Job, done: threading.Event) -> None:
        while not done.wait(min(RENEW_SECONDS, self._lease_seconds / 3)):
            try:
                if not self._jobs.renew(job, lease_seconds=self._lease_seconds):
                    return
            except Exception as error:
                LOG.error("lease-not-renewed", error=type(error).__name__)

    def _look_after(self) -> None:
        for look in self._watches:
            try:
                look()
            except Exception as error:  # the others look, sending goes on, the next round looks again
                LOG.error("watch", error=type(error).__name__)

    def _claim(self, limit: int) -> list[Job]:
        if limit < 1:
            return []
        try:
            return self._jobs.claim(limit=limit, lease_seconds=self._lease_seconds)
        except Exception as error:
            LOG.error("claim-error", error=type(error).__name__)
            return []

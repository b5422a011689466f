"""Tells a program's people by mail that something waits: one alert for all of it, tried again until it is taken."""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

from smart_app.delivery.backoff import delay_seconds
from smart_app.inbox_ports import DueAlerts

LOG = structlog.get_logger()
POLL_SECONDS = 2.0
LEASE_SECONDS = 60
TELL_CLINIC_AFTER = 5  # tries; then somebody at the clinic has to phone


class StaffAlert:
    """``run`` works until told to stop; ``run_once`` sends what is due now. ``send`` raises when it was not taken;
    ``tell_clinic`` is asked once when a program cannot be reached by mail."""

    def __init__(self, due: DueAlerts, send: Callable[[str], None], *, tell_clinic: Callable[[], None]) -> None:
        self._due = due
        self._send = send
        self._tell_clinic = tell_clinic

    def run(self, stop: threading.Event) -> None:
        """Until ``stop`` is set."""
        while not stop.is_set():
            try:
                self.run_once()
            except Exception as error:  # the next round tries again; the log gets the class and nothing else
                LOG.error("staff-alert", error=type(error).__name__)
            stop.wait(POLL_SECONDS)

    def run_once(self) -> int:
        """How many were taken."""
        taken = 0
        for alert in self._due.claim(lease_seconds=LEASE_SECONDS):
            try:
                self._send(alert.address)
            except Exception as error:
                LOG.error("staff-alert-not-taken", error=type(error).__name__)
                self._due.retry(alert, delay_seconds=delay_seconds(alert.attempts, None))
                if alert.attempts == TELL_CLINIC_AFTER:
                    self._tell_clinic()
            else:
                self._due.sent(alert)
                taken += 1
        return taken

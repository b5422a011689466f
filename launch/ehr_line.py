"""What this process has learnt about the line to one EHR: whether it answers, and when we may ask again.

An EHR that is down is not asked by every page of every clinician: after a few calls without an answer the line rests
for some seconds, then one call tries it. An EHR that says ``Retry-After`` is left alone for that long. Nothing here
knows a patient, a launch or a token.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime

import requests

FAILURES_TO_REST = 5
REST_SECONDS = 15.0
MAX_WAIT_SECONDS = 120.0
DEFAULT_WAIT_SECONDS = 5.0
TOO_MANY_REQUESTS, SERVICE_UNAVAILABLE = 429, 503


class EhrWaitError(requests.RequestException):
    """Nothing was sent: the line to this EHR rests for ``seconds`` more."""

    def __init__(self, seconds: int) -> None:
        super().__init__("the line rests")
        self.seconds = seconds


class EhrLine:
    """The line to one EHR. Safe for threads."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._failures = 0
        self._rests_until = float("-inf")
        self.takes_posted_searches = True

    def carry(self, call: Callable[[], requests.Response]) -> requests.Response:
        """Send one request, unless the line rests: then ``EhrWaitError``, and nothing was sent."""
        self._require_open()
        try:
            response = call()
        except (requests.RequestException, OSError):
            self._count_failure()
            raise
        self._learn(response)
        return response

    def _require_open(self) -> None:
        with self._lock:
            left = self._rests_until - self._monotonic()
            if left > 0:
                raise EhrWaitError(math.ceil(left))
            if self._failures >= FAILURES_TO_REST:
                self._rests_until = self._monotonic() + REST_SECONDS  # this call tries the line; the others wait for it

    def _count_failure(self) -> None:
        with self._lock:
            self._failures += 1
            if self._failures >= FAILURES_TO_REST:
                self._rests_until = self._monotonic() + REST_SECONDS

    def _learn(self, response: requests.Response) -> None:
        wait = wait_seconds(response)
        if wait is None and response.status_code >= 500:
            self._count_failure()
            return
        with self._lock:
            self._failures = 0
            self._rests_until = self._monotonic() + wait if wait is not None else float("-inf")


class EhrLines:
    """One line for each issuer."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._lines: dict[str, EhrLine] = {}

    def of(self, issuer: str) -> EhrLine:
        """The line to this issuer, which is one of the few in configuration."""
        with self._lock:
            return self._lines.setdefault(issuer, EhrLine(self._monotonic))


def wait_seconds(response: requests.Response) -> float | None:
    """How long the EHR asks to be left alone: with 429, and with 503 when it says for how long. Never more than two
    minutes: a wrong header must not close the app for a day."""
    told = response.headers.get("Retry-After")
    if response.status_code == TOO_MANY_REQUESTS:
        return min(_seconds(told, DEFAULT_WAIT_SECONDS), MAX_WAIT_SECONDS)
    if response.status_code == SERVICE_UNAVAILABLE and told is not None:
        return min(_seconds(told, DEFAULT_WAIT_SECONDS), MAX_WAIT_SECONDS)
    return None


def _seconds(told: str | None, default: float) -> float:
    """``Retry-After`` as seconds, from its number or its date."""
    if told is None:
        return default
    if told.isascii() and told.isdigit() and len(told) < 10:
        return float(told)
    try:
        return max(parsedate_to_datetime(told).timestamp() - time.time(), 0.0)
    except (ValueError, TypeError, OverflowError):
        return default

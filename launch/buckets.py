"""Buckets that empty by calls and fill by time: how often somebody may call. In memory, so that a flood costs no write.

Each process counts for itself.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

MOST_BUCKETS: Final = 10_000  # callers from more places than that share one


class Buckets:
    """One bucket for each name. ``forget_after_seconds``: a bucket nobody took from for so long is full again."""

    def __init__(self, forget_after_seconds: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._forget_after_seconds = forget_after_seconds
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._buckets: dict[str, tuple[float, float]] = {}  # name -> what is left, and when it was

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, name: str, at_once: int, per_second: float) -> float:
        """0 when one could be taken; otherwise the seconds until one can."""
        now = self._monotonic()
        with self._lock:
            if name not in self._buckets and len(self._buckets) >= MOST_BUCKETS:
                self._forget_full(now)
                name = name if len(self._buckets) < MOST_BUCKETS else "everywhere"
            left, since = self._buckets.get(name, (float(at_once), now))
            left = min(float(at_once), left + (now - since) * per_second)
            self._buckets[name] = (left - 1 if left >= 1 else left, now)
        return 0.0 if left >= 1 else (1 - left) / per_second

    def _forget_full(self, now: float) -> None:
        kept = {name: one for name, one in self._buckets.items() if now - one[1] < self._forget_after_seconds}
        self._buckets = kept

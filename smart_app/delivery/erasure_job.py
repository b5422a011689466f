"""Looks every quarter of an hour for what has to end: a thread of its own, so that no message waits for it."""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

LOG = structlog.get_logger()
LOOK_SECONDS = 900.0
FIRST_LOOK_SECONDS = 60.0  # whoever starts sends first


class ErasureJob:
    """``run`` works until told to stop. ``look`` does what is due now."""

    def __init__(
        self,
        look: Callable[[], object],
        *,
        look_seconds: float = LOOK_SECONDS,
        first_look_seconds: float = FIRST_LOOK_SECONDS,
    ) -> None:
        self._look = look
        self._look_seconds = look_seconds
        self._first_look_seconds = first_look_seconds

    def run(self, stop: threading.Event) -> None:
        """Soon after the start, and then every so often, until ``stop`` is set."""
        stop.wait(self._first_look_seconds)
        while not stop.is_set():
            self.run_once()
            stop.wait(self._look_seconds)

    def run_once(self) -> None:
        """One look. What fails is tried again at the next one; the log gets the class and nothing else."""
        try:
            self._look()
        except Exception as error:
            LOG.error("erasure", error=type(error).__name__)

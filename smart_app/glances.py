"""Whom each open launch is about, for as long as it is open."""

from __future__ import annotations

import threading
import time

from smart_app.policy.patient_glance import PatientGlance

GLANCE_SECONDS = 15 * 60


class Glances:
    """Whom each launch is about, in this process's memory and nowhere else (R5): read from the EHR once per launch, so
    that every kind of visit makes the same EHR traffic (attack 5), and gone with the launch."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[float, PatientGlance]] = {}
        self._lock = threading.Lock()

    def get(self, launch_id: str) -> PatientGlance | None:
        """Whom this launch is about, if it was read a moment ago."""
        with self._lock:
            kept = self._kept.get(launch_id)
            return kept[1] if kept is not None and kept[0] > time.monotonic() else None

    def put(self, launch_id: str, value: PatientGlance) -> None:
        """Keep it for a while; what is over goes at the same time."""
        with self._lock:
            now = time.monotonic()
            self._kept = {key: kept for key, kept in self._kept.items() if kept[0] > now}
            self._kept[launch_id] = (now + GLANCE_SECONDS, value)

    def drop(self, launch_id: str) -> None:
        """The launch is over."""
        with self._lock:
            self._kept.pop(launch_id, None)

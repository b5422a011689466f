"""The look for what has to end goes on, whatever one round met."""

from __future__ import annotations

import threading

from smart_app.delivery.erasure_job import ErasureJob


def test_it_looks_again_after_a_round_that_failed():
    """A database that is away for a moment stops no erase for good, and a stop is obeyed."""
    stop, looks = threading.Event(), []

    def look() -> None:
        looks.append(len(looks))
        if len(looks) == 1:
            raise OSError("away")
        if len(looks) == 3:
            stop.set()

    ErasureJob(look, look_seconds=0, first_look_seconds=0).run(stop)
    assert looks == [0, 1, 2]


def test_whoever_starts_sends_first():
    """A worker that is stopped before its first look has erased nothing."""
    stop, looks = threading.Event(), []
    stop.set()
    ErasureJob(lambda: looks.append(1)).run(stop)
    assert looks == []

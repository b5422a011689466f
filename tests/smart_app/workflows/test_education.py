"""Cards are counted for the site, never for a person."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from smart_app.errors import InvalidError
from smart_app.policy.access import Requester
from smart_app.workflows import education


def test_each_outcome_is_one_count_and_no_case(world: Any, clinician: Callable[..., Requester]) -> None:
    """Giving cards adds one to the month's count and stores nothing about the patient."""
    for outcome in education.OUTCOMES:
        education.record(world.door, clinician(), outcome, world.services.now())
    education.record(world.door, clinician(), "taken", world.services.now())
    assert world.facts() == {
        ("card", "offered"): 1,
        ("card", "taken"): 2,
        ("card", "not-safe-to-carry"): 1,
        ("card", "shown-only"): 1,
    }
    assert world.totals() == {"case": 0, "resource": 0, "receipt": 0, "delivery": 0}


def test_an_unknown_outcome_is_refused_and_not_counted(world: Any, clinician: Callable[..., Requester]) -> None:
    """A word that is not on the list counts nothing."""
    with pytest.raises(InvalidError):
        education.record(world.door, clinician(), "gave her mine", world.services.now())
    assert world.facts() == {}

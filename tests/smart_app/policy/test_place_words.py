"""Where an item lives, said once and in words."""

from __future__ import annotations

from datetime import date

import pytest

from smart_app.policy.day_words import day_words
from smart_app.policy.place_words import IN_VAULT, place_words
from smart_app.policy.placement import PlacementSettings, RegistrationPlacement, decide

EHR_B = PlacementSettings({"b": RegistrationPlacement("b", "EHR B")})


def test_what_only_the_vault_holds_is_said_once_with_the_reason() -> None:
    """The patient hears where it is and why there is no copy; no sentence says the same as another."""
    decision = decide(
        EHR_B,
        registration_id="b",
        resource_type="Observation",
        patient_id="p-dana",
        patient_wants_ehr_copy=True,
        today=date(2026, 11, 24),
    )
    assert place_words(decision, ehr_name="EHR B", write_back=None) == (
        IN_VAULT,
        "EHR B is not set up to receive a copy of this.",
    )
    assert "own encrypted store" in IN_VAULT


@pytest.mark.parametrize(
    ("day", "words"),
    [
        (date(2026, 12, 23), "23 Dec 2026"),
        ("2026-01-02", "2 Jan 2026"),
        ("2026-12", "2026-12"),
        ("2026-13-40", "2026-13-40"),
        ("2026-11-24T05:22:59Z", "2026-11-24T05:22:59Z"),
        ("", ""),
    ],
)
def test_a_day_is_written_so_that_nobody_reads_it_the_wrong_way_round(day: date | str, words: str) -> None:
    """Day, month by name, year; anything that is no whole day stays as it is."""
    assert day_words(day) == words

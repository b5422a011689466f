"""Until when a program promised to open an item."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from smart_app.policy.sla import is_overdue, opens_by, shifts

WEEK = "mon-fri 09:00-17:00"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.rule("R38")
@pytest.mark.parametrize(
    ("staffed", "sent", "minutes", "due"),
    [
        ("always", "2026-11-24T23:50", 30, "2026-11-25T00:20"),  # at any hour
        (WEEK, "2026-11-24T15:00", 60, "2026-11-24T16:00"),  # Tuesday, 10 in New York
        (WEEK, "2026-11-24T12:00", 60, "2026-11-24T15:00"),  # before they open
        (WEEK, "2026-11-24T21:30", 60, "2026-11-25T14:30"),  # half of it this evening, half tomorrow
        (WEEK, "2026-11-24T21:00", 60, "2026-11-24T22:00"),  # the last minute of the day is one of it
        (WEEK, "2026-11-27T22:00", 60, "2026-11-30T15:00"),  # Friday evening: Monday morning
        ("fri 20:00-02:00", "2026-11-28T06:30", 30, "2026-11-28T07:00"),  # the night belongs to the day before
        ("sat-mon 09:00-10:00", "2026-11-28T20:00", 30, "2026-11-29T14:30"),  # days that go over the week's end
        ("sun 01:00-04:00", "2026-03-08T05:00", 90, "2026-03-08T07:30"),  # the hour that is left out in spring
        ("sun 01:00-04:00", "2026-11-01T05:00", 240, "2026-11-01T09:00"),  # the hour that comes twice in autumn
        (WEEK, "2026-03-06T21:30", 60, "2026-03-09T13:30"),  # nine in the morning is another moment from then on
        ("mon 09:00-09:30", "2026-11-24T12:00", 1440, "2027-01-23T12:00"),  # no such promise: 60 days
    ],
)
def test_rule_R38_a_promise_is_counted_in_staffed_hours_of_the_program_s_own_clock(
    staffed: str, sent: str, minutes: int, due: str
) -> None:
    """Minutes count only while somebody is there, over nights, week ends and both changes of summer time.

    Fails when ``_of_day`` adds hours to a moment instead of reading the wall clock, or begins on the day of sending.
    """
    found = opens_by(minutes=minutes, sent_at=at(sent), staffed=staffed, time_zone="America/New_York")
    assert found == at(due)
    assert found.tzinfo is UTC


@pytest.mark.parametrize(
    "text", ["", "never", "mon-fri", "xyz 09:00-17:00", "mon 9-5", "mon 25:00-26:00", WEEK + ";", "mon 09:00-17:00 x"]
)
def test_hours_that_cannot_be_read_are_refused(text: str) -> None:
    """A typing mistake is said when the program is registered, not found when nobody was told."""
    with pytest.raises(ValueError, match="hour"):
        shifts(text)


@pytest.mark.rule("R20")
@pytest.mark.parametrize("transport", ["queued", "trying", "failed", "inbox", "inbox-phone"])
@pytest.mark.parametrize("is_opened", [True, False])
def test_rule_R20_only_our_own_facts_count_and_silence_is_only_unopened(transport: str, is_opened: bool) -> None:
    """Unopened at its time: a person is told. Opened, or before: nobody. Fails when ``is_overdue`` asks for more."""
    by = at("2026-11-24T15:00")
    for now in (by - timedelta(seconds=1), by, by + timedelta(days=60)):
        assert is_overdue(transport=transport, is_opened=is_opened, by=by, now=now) is (now >= by and not is_opened)


@pytest.mark.parametrize("transport", [None, "delivered", "opened", "stopped", "recalled", "told"])
def test_what_their_system_took_or_was_taken_back_waits_for_nobody(transport: str | None) -> None:
    """For a program with its own system the timer ends when that system has it."""
    by = at("2026-11-24T15:00")
    assert not is_overdue(transport=transport, is_opened=False, by=by, now=by + timedelta(days=1))

"""How long a message waits before the next try."""

from __future__ import annotations

from smart_app.delivery.backoff import LONGEST_SECONDS, delay_seconds


def test_waiting_grows_to_a_day_and_no_further():
    """A program that is down for days is asked again, but not every minute."""
    longest = [delay_seconds(attempt, jitter=lambda: 1.0) for attempt in range(1, 60)]
    assert longest[:4] == [2, 4, 8, 16]
    assert longest == sorted(longest)
    assert longest[-1] == LONGEST_SECONDS == 86_400


def test_many_messages_do_not_come_back_at_the_same_moment():
    """After an outage the messages come back spread out. Break: leave jitter() out."""
    waits = {delay_seconds(10) for _ in range(200)}
    assert len(waits) > 150
    assert min(waits) >= 0.5
    assert max(waits) <= 1024


def test_never_sooner_than_the_program_asked():
    """When the program says "come back in two minutes", we do."""
    assert delay_seconds(1, 120) >= 120
    assert delay_seconds(1, 0, jitter=lambda: 0.0) == 0.5

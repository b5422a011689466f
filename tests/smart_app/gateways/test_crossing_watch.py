"""What nobody knows the end of is told to a person, once."""

from __future__ import annotations

from datetime import timedelta

import pytest

from smart_app.gateways import audit_log, crossing_watch
from smart_app.gateways.alerts import SqlAlerts
from smart_app.gateways.crossing_watch import ALERT, CrossingWatch

SOON, LATER = timedelta(minutes=4), timedelta(minutes=6)


@pytest.fixture
def begin(world):
    """A call to the EHR that was announced, and whose process then died."""

    def start(at=None):
        row = {"at": (at or world.now).isoformat(), "system": "ehr", "action": "create-Appointment"}
        return world.door.begin_crossing(row, world.now)

    return start


@pytest.fixture
def watch(world):
    """A worker's watch whose clock stands ``after`` the world's now."""

    def make(after=LATER):
        clock = {"now": world.now + after}
        made = CrossingWatch(
            lambda after: audit_log.readable_entries(world.engine, world.cipher, after=after),
            lambda: audit_log.anchor(world.engine, "hc1").position,
            SqlAlerts(world.engine, "hc1", lambda: clock["now"]),
            now=lambda: clock["now"],
        )
        made.clock = clock
        return made

    return make


@pytest.mark.rule("R26")
def test_rule_R26_a_booking_that_broke_off_is_told_to_a_person(world, begin, watch):
    """When the app dies between asking the EHR for a visit and hearing of it, somebody is told to look.

    Break: leave out ``raise_once`` in ``CrossingWatch.look``.
    """
    crossing = begin()
    watch().look()
    (told,) = SqlAlerts(world.engine, "hc1", lambda: world.now).open_alerts()
    assert (told.kind, told.reference) == (ALERT, f"AuditEvent/{crossing.crossing_id}")


def test_a_call_that_ended_or_has_just_begun_is_no_news(world, begin, watch):
    """Nobody is called for what went well, nor for what is still under way."""
    world.door.end_crossing(begin(), world.now)
    begin()
    early = watch(SOON)
    assert early.look() == 0
    assert world.alerts() == []
    early.clock["now"] += LATER
    assert early.look() == 1


def test_each_is_told_once_also_by_two_workers_and_after_it_was_looked_at(world, begin, watch):
    """Two workers and a restart make no second alert, and one that was looked at does not come back."""
    begin()
    begin()
    first = watch()
    assert [first.look(), first.look()] == [2, 0]
    alerts = SqlAlerts(world.engine, "hc1", lambda: world.now)
    for told in alerts.open_alerts():
        alerts.close_alert(told.alert_id)
    assert watch().look() == 2
    assert alerts.open_alerts() == []
    assert world.alerts() == [ALERT, ALERT]


def test_only_new_rows_are_read_after_the_first_look(world, begin, watch, monkeypatch):
    """A long log does not make the worker slow: it begins with the newest rows and reads each once."""
    monkeypatch.setattr(crossing_watch, "FIRST_LOOK_BACK", 3)
    for _ in range(5):
        begin()
    made = watch()
    assert made.look() == 3
    begin()
    assert made.look() == 1


def test_a_row_that_was_altered_does_not_stop_the_watch(world, begin, watch):
    """Somebody who spoils a row of the log does not keep the rest from being looked at."""
    begin()
    begin()
    world.unlock_audit()
    world.run("UPDATE audit_row SET body = :zeros WHERE position = 1")
    assert watch().look() == 1

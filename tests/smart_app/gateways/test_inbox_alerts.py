"""An item in a program's inbox, on both databases: placed, told, opened once, forgotten when closed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from smart_app.errors import LockedError
from smart_app.gateways.inbox_alerts import SqlAlertRoutes
from smart_app.inbox_ports import AlertRoute, Route, RouteTest

DESK = "desk@harbor.example"


@pytest.fixture
def routes(world: Any) -> SqlAlertRoutes:
    return SqlAlertRoutes(world.engine, world.cipher)


def go_live(world: Any, routes: SqlAlertRoutes) -> None:
    routes.choose("harbor", AlertRoute(Route.EMAIL, address=DESK))
    due = routes.claim(lease_seconds=60)
    assert [(one.partner_id, one.address) for one in due] == [("harbor", DESK)]
    routes.sent(due[0])
    assert routes.test_opened("harbor")
    assert world.directory.partner("harbor").inbox_alert == "email"


def place(world: Any) -> str:
    ids = world.refer(queue=False)
    with world.door.open_for(world.clinician(), world.now) as work:
        work.outbox.place(case_id=ids.case_id, partner_id="harbor")
    return str(ids.case_id)


def test_an_alert_is_claimed_by_one_worker_and_tried_again(world: Any, routes: SqlAlertRoutes) -> None:
    """Two workers do not send the same mail; one that was not taken is due again."""
    go_live(world, routes)
    place(world)
    first = routes.claim(lease_seconds=60)
    assert len(first) == 1
    assert routes.claim(lease_seconds=60) == []
    routes.retry(first[0], delay_seconds=-1)
    assert [one.attempts for one in routes.claim(lease_seconds=60)] == [2]


def test_nothing_is_placed_at_a_program_whose_route_is_not_tested(world: Any, routes: SqlAlertRoutes) -> None:
    """Between the choice of the clinician and the commit the program changed its route: it is called instead."""
    routes.choose("harbor", AlertRoute(Route.PHONE))
    with pytest.raises(LockedError, match="by phone now"):
        place(world)
    assert routes.of("harbor").test is RouteTest.SENT


def test_the_first_opening_counts_and_only_the_programs_own(world: Any, routes: SqlAlertRoutes) -> None:
    """Another program's people open nothing; the same people open it once; the time goes when the case closes."""
    go_live(world, routes)
    case_id = place(world)
    for program, minutes in (("northside", 1), ("harbor", 2), ("harbor", 3)):
        with world.door.open_for(world.program(program), world.now + timedelta(minutes=minutes)) as work:
            work.outbox.note_opened(case_id, partner_id=program)
    with world.door.open_for(world.clinician(), world.now) as work:
        assert work.outbox.state_of(case_id) == "opened"
        assert work.outbox.opened_at(case_id) == world.now + timedelta(minutes=2)
        work.close_case(case_id)
    assert world.count("vault_case", "opened_at IS NOT NULL") == 0


def test_what_was_opened_has_to_be_recalled_by_a_person(world: Any, routes: SqlAlertRoutes) -> None:
    """Taken back unread it is simply gone; once a person read it, somebody is asked to call them."""
    go_live(world, routes)
    read, unread = place(world), place(world)
    with world.door.open_for(world.program(), world.now) as work:
        work.outbox.note_opened(read, partner_id="harbor")
    with world.door.open_for(world.clinician(), world.now) as work:
        for case_id in (read, unread):
            work.outbox.add(kind="cancel", case_id=case_id, reference="Task/t", partner_id="harbor")
        assert [work.outbox.state_of(one) for one in (read, unread)] == ["recalled", "stopped"]
    assert world.count("delivery", "state = 'open'") == 1

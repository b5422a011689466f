"""What nobody at a program opened in time is told to a person at the health center, once, and without a word more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from smart_app.gateways.engine import database_now
from smart_app.gateways.inbox_alerts import SqlAlertRoutes
from smart_app.gateways.outbox import SqlJobStore
from smart_app.gateways.sla_timers import COORDINATOR, SqlTimers
from smart_app.gateways.tables import delivery, inbox_alert
from smart_app.policy.access import Requester
from smart_app.workflows import referral, release

NOW = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)
PROMISED = NOW + timedelta(minutes=60)
ADDRESS = "desk@clinic.example"


@pytest.fixture
def send(world: Any, clinician: Callable[..., Requester]) -> Callable[..., str]:
    """One referral of now; its case."""

    def make(partner_id: str = "northside", alias: str = "Robin", **facts: Any) -> str:
        known = world.directory.partner(partner_id)
        world.directory.add_partner(replace(known, inbox_alert="email", **facts))
        form = referral.ReferralForm(partner_id=partner_id, meet="survivor-calls", alias=alias, signed="paper")
        return str(referral.send(world.services, clinician(), form, NOW).case_id)

    return make


@pytest.fixture
def timers(world: Any) -> SqlTimers:
    return SqlTimers(world.engine, world.cipher, site_id="main", coordinator=ADDRESS)


def told(world: Any) -> list[str]:
    """Whom a mail is due to."""
    routes = SqlAlertRoutes(world.engine, world.cipher)
    return [one.address for one in routes.claim(lease_seconds=60) if one.partner_id == COORDINATOR]


def open_timers(world: Any) -> int:
    return int(world.count(delivery, delivery.c.kind == "timer", delivery.c.state == "open"))


@pytest.mark.rule("R38")
def test_rule_R38_what_no_person_opened_is_told_at_the_promised_time_and_once(
    world: Any, send: Callable[..., str], timers: SqlTimers
) -> None:
    """Not a second before; then one neutral mail for all of them, and no second one. Fails when ``fire`` does not look
    at the clock, tells nobody, or leaves its rows open."""
    send()
    send(alias="Sam")
    assert timers.fire(PROMISED - timedelta(seconds=1)) == 0
    assert told(world) == []
    assert timers.fire(PROMISED) == 2
    assert told(world) == [ADDRESS]
    assert (timers.fire(PROMISED + timedelta(days=1)), open_timers(world)) == (0, 0)
    assert world.facts()["referral", "unopened-in-time"] == 2
    with world.engine.begin() as connection:
        rows = connection.execute(select(delivery).where(delivery.c.kind == "timer")).mappings().all()
    assert all(row[name] is None for row in rows for name in ("case_id", "reference", "due_at"))


@pytest.mark.rule("R38")
@pytest.mark.parametrize("tells_opened", [True, False])
def test_rule_R38_an_item_that_a_person_opened_is_told_to_nobody(
    world: Any, send: Callable[..., str], timers: SqlTimers, northside: Requester, tells_opened: bool
) -> None:
    """Opened in time: the timer ends without a word, also where the program chose meanwhile not to tell when. Fails
    when ``_is_overdue`` leaves ``opened_at`` out."""
    case_id = send()
    known = world.directory.partner("northside")
    world.directory.add_partner(replace(known, tells_opened=tells_opened))
    with world.door.open_for(northside, NOW) as work:
        work.outbox.note_opened(case_id, partner_id="northside")
    assert open_timers(world) == 0  # its exact time stands no longer than it is needed
    assert (timers.fire(PROMISED), told(world), open_timers(world)) == (0, [], 0)


def test_a_program_that_does_not_tell_has_no_timer(world: Any, send: Callable[..., str]) -> None:
    """Where a program's setting keeps from the clinic when an item was opened, its absence is not told either."""
    send(tells_opened=False)
    assert open_timers(world) == 0


@pytest.mark.parametrize("has_arrived", [True, False])
def test_for_a_program_with_its_own_system_the_timer_ends_when_that_has_it(
    world: Any, send: Callable[..., str], timers: SqlTimers, has_arrived: bool
) -> None:
    """A timer is never sent, holds up no send of its case, and is met by the acknowledgement of their system. Fails
    when ``lanes`` gives out timers too."""
    send("harbor", fhir_address="http://localhost:9100/fhir")
    send()
    jobs = SqlJobStore(world.engine, world.cipher, site_id="main", now=lambda: NOW)
    with world.engine.begin() as connection:  # the timer is as due as can be
        connection.execute(update(delivery).where(delivery.c.kind == "timer").values(due_at=database_now() - 9))
    (job,) = jobs.claim(limit=9, lease_seconds=60)
    assert job.kind == "referral"
    if has_arrived:
        assert jobs.complete(job, outcome="delivered")
        assert open_timers(world) == 1  # that of the other one
    else:
        assert jobs.retry(job, delay_seconds=9, error_code="http-503")
    late = datetime.now(UTC) + timedelta(days=1)
    assert (timers.fire(late), told(world)) == (1 if has_arrived else 2, [ADDRESS])


@pytest.mark.rule("R11")
def test_rule_R11_what_was_taken_back_is_told_to_nobody(
    world: Any, send: Callable[..., str], timers: SqlTimers, clinician: Callable[..., Requester]
) -> None:
    """The patient takes it back before anybody opened it: the timer is gone with all that waits, and nothing is
    said to have arrived. Fails when ``_stop_what_waits`` leaves timers open."""
    case_id = send()
    release.withdraw(world.services.door, clinician(), case_id, NOW)
    assert (open_timers(world), timers.fire(PROMISED), told(world)) == (0, 0, [])
    with world.door.open_for(clinician(), NOW) as work:
        assert work.outbox.state_of(case_id) == "stopped"


def test_without_a_mail_server_the_list_is_all(world: Any, send: Callable[..., str]) -> None:
    """Nobody has an address: nothing is queued to be mailed, and the item counts as unopened all the same."""
    send()
    silent = SqlTimers(world.engine, world.cipher, site_id="main", coordinator=None)
    assert silent.fire(PROMISED) == 1
    assert world.count(inbox_alert, inbox_alert.c.partner_id == COORDINATOR) == 0

"""A flood of launches is stopped; a clinic at its busiest, and whoever is at work behind the same address, is not."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import func, select

from launch import launch_rate
from launch.errors import TooManyLaunchesError
from launch.launch_rate import AT_ONCE, LaunchRate
from launch.tables import launch_pending

CLINIC = "203.0.113.7"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def rate(clock: Clock) -> LaunchRate:
    return LaunchRate(clock)


def nobody() -> None:
    return None


def test_fifty_clinicians_behind_one_address_are_never_stopped(rate: LaunchRate, clock: Clock) -> None:
    """Fifty people behind one address open a chart in the same second, then each every ten seconds for an hour."""
    assert [rate.seconds_to_wait(CLINIC, nobody) for _ in range(50)] == [0] * 50
    for _ in range(360):
        clock.now += 10
        assert [rate.seconds_to_wait(CLINIC, nobody) for _ in range(50)] == [0] * 50


def test_a_flood_waits_as_long_as_it_is_told_and_no_longer(rate: LaunchRate, clock: Clock) -> None:
    """Past the limit the answer is a wait, and after that wait a launch is taken again."""
    taken = sum(rate.seconds_to_wait(CLINIC, nobody) == 0 for _ in range(1000))
    assert taken == AT_ONCE
    wait = rate.seconds_to_wait(CLINIC, nobody)
    assert wait >= 1
    clock.now += wait
    assert rate.seconds_to_wait(CLINIC, nobody) == 0


def test_one_network_does_not_pay_for_another(rate: LaunchRate) -> None:
    """A flood from one place stops nobody elsewhere; one IPv6 subscriber is one place."""
    for number in range(AT_ONCE + 1):
        rate.seconds_to_wait(f"2001:db8:1:1::{number:x}", nobody)
    assert rate.seconds_to_wait("2001:db8:1:1::ffff", nobody) > 0
    assert rate.seconds_to_wait("2001:db8:1:2::1", nobody) == 0
    assert rate.seconds_to_wait(CLINIC, nobody) == 0


def test_whoever_is_signed_in_is_not_locked_out_by_a_flood_from_the_same_address(rate: LaunchRate) -> None:
    """A stranger on the clinic's own network cannot keep a clinician at work from the next chart.

    Break: in ``seconds_to_wait`` leave out the second ``_take``.
    """
    asked: list[str] = []

    def at_work() -> str:
        asked.append("session")
        return "session-1"

    assert rate.seconds_to_wait(CLINIC, at_work) == 0
    assert asked == [], "nobody is looked up while there is room"
    for _ in range(AT_ONCE):
        rate.seconds_to_wait(CLINIC, nobody)
    assert rate.seconds_to_wait(CLINIC, nobody) > 0
    assert [rate.seconds_to_wait(CLINIC, at_work) for _ in range(30)] == [0] * 30
    assert rate.seconds_to_wait(CLINIC, at_work) > 0, "one browser alone is not without a limit either"


def test_callers_from_everywhere_do_not_fill_the_memory(rate: LaunchRate, clock: Clock) -> None:
    """What is remembered stays small however many addresses call, and is forgotten when it no longer matters."""
    for number in range(12_000):
        rate.seconds_to_wait(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", nobody)
    assert len(rate._buckets) <= 10_001
    clock.now += 61
    rate.seconds_to_wait("198.51.100.1", nobody)
    assert len(rate._buckets) == 1


def test_the_wait_is_said_in_whole_seconds() -> None:
    """The page names the seconds that the header names."""
    assert "1 second " in TooManyLaunchesError(1).next_step
    assert "7 seconds " in TooManyLaunchesError(7).next_step


def test_a_flood_with_a_registered_issuer_is_stopped_before_anything_is_kept(
    make_launch_app: Callable[..., Any], ehr: Any
) -> None:
    """Somebody who knows a registered EHR's address can neither fill the database nor the audit log.

    Break: in ``routes.launch`` leave out ``raise TooManyLaunchesError``.
    """
    made = make_launch_app(ehr)
    browsers = [made.browser() for _ in range(5)]
    query = {"iss": ehr.fhir_base, "launch": "l"}
    statuses = [browsers[n % 5].get("/launch", query_string=query).status_code for n in range(AT_ONCE + 40)]
    assert set(statuses) == {303, 429}
    refused = statuses.count(429)
    assert refused >= 1
    with made.engine.connect() as connection:
        kept = connection.execute(select(func.count()).select_from(launch_pending)).scalar_one()
    assert kept == statuses.count(303)
    told = [event for event in made.events if event.reason.startswith("too-many-launches")]
    assert len(told) <= math.ceil(refused / 60) + 1, "the audit hears of it once a minute, not each time"


def test_a_clinician_at_work_can_launch_during_a_flood(
    make_launch_app: Callable[..., Any], ehr: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While strangers at the clinic's address are refused, the browser with a launch opens the next chart."""
    monkeypatch.setattr(launch_rate, "PER_SECOND", 0.001)  # as if the flood went on meanwhile
    made = make_launch_app(ehr)
    at_work, stranger = made.browser(), made.browser()
    made.finish(at_work, ehr)
    query = {"iss": "https://nowhere.example/fhir", "launch": "l"}
    while stranger.get("/launch", query_string=query).status_code != 429:
        pass
    made.finish(at_work, ehr)
    begun_only = made.browser()
    assert begun_only.get("/launch", query_string={"iss": ehr.fhir_base, "launch": "l"}).status_code == 429

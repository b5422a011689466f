"""Strangers can make the app refuse as often as they like; they cannot make its audit log grow with it."""

from __future__ import annotations

from typing import Any

import pytest
import time_machine

from launch import refusal_log
from launch.context import LaunchEvent
from launch.refusal_log import RefusalLog

NOON = "2030-01-07T12:00:00Z"


def told_by(*addresses: str | None, reason: str = "form") -> list[LaunchEvent]:
    """What is passed on of one refusal per address, all in one minute."""
    heard: list[LaunchEvent] = []
    log = RefusalLog(heard.append)
    with time_machine.travel(NOON, tick=False):
        for address in addresses:
            log.tell(LaunchEvent("partner-token-refused", reason=reason, address=address))
    return heard


@pytest.mark.parametrize(
    ("addresses", "rows"),
    [
        (["192.0.2.1"] * 50, 1),
        (["192.0.2.1", "192.0.2.2", "192.0.2.1"], 2),
        (["2001:db8::1", "2001:db8::2", "2001:db8:0:0:ffff::3"], 1),  # one subscriber's network
        (["2001:db8::1", "2001:db8:0:1::1"], 2),
        ([None, None, "no address"], 1),
    ],
)
def test_one_row_a_minute_for_each_place(addresses: list[str | None], rows: int) -> None:
    """However often one place knocks, the log says so once a minute; another place is told apart."""
    assert len(told_by(*addresses)) == rows


def test_each_kind_and_each_minute_is_told() -> None:
    """A flood of one kind hides no other, and one that goes on stays visible."""
    heard: list[LaunchEvent] = []
    log = RefusalLog(heard.append)
    with time_machine.travel(NOON, tick=False) as clock:
        for _ in range(3):
            for name, reason in (("launch-refused", "x"), ("launch-refused", "y"), ("partner-token-refused", "x")):
                log.tell(LaunchEvent(name, reason=reason, address="192.0.2.1"))
        assert len(heard) == 3
        clock.shift(60)
        log.tell(LaunchEvent("launch-refused", reason="x", address="192.0.2.1"))
    assert len(heard) == 4


def test_a_crowd_is_told_of_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Callers from everywhere at once fill neither the log nor the memory."""
    monkeypatch.setattr(refusal_log, "MOST_ADDRESSES", 5)
    assert len(told_by(*(f"192.0.2.{n}" for n in range(200)))) == 6


@pytest.mark.rule("R26")
def test_rule_R26_rubbish_at_the_open_doors_is_told_of_once(launch_app: Any, ehr: Any) -> None:
    """Whoever throws rubbish at the launch or at the programs' door leaves one row a minute and kind, and is still
    refused each time. Fails when ``_audited`` or the token endpoint hand every refusal on."""
    browser = launch_app.browser()
    with time_machine.travel(NOON, tick=False):
        for _ in range(20):
            assert browser.get("/launch?iss=https://evil.example&launch=x").status_code >= 400
            assert browser.get("/callback?state=made-up&code=x").status_code >= 400
            assert browser.post("/token", data="rubbish").status_code == 400
    told = [(event.name, event.reason) for event in launch_app.events]
    assert len(told) == len(set(told)) == 3


@pytest.mark.rule("R26")
def test_rule_R26_who_began_a_launch_is_told_of_every_time(launch_app: Any, ehr: Any) -> None:
    """A real launch that the EHR refuses is in the log each time it happens. Fails when ``callback`` tells all through
    the refusal log."""
    for _ in range(3):
        browser = launch_app.browser()
        query = ehr.approve(launch_app.begin(browser, ehr))
        query = {"state": query["state"], "iss": query.get("iss"), "error": "access_denied"}
        browser.get("/callback", query_string={key: value for key, value in query.items() if value})
    refused = [event.reason for event in launch_app.events if event.name == "launch-refused"]
    assert len(refused) == 3


def test_malformed_requests_count_towards_the_limit(launch_app: Any) -> None:
    """Rubbish at the programs' door is slowed down like everything else there."""
    browser = launch_app.browser()
    with time_machine.travel(NOON, tick=False):
        answers = [browser.post("/token", data="rubbish").status_code for _ in range(125)]
    assert (answers[0], answers[-1]) == (400, 429)
    assert {event.reason for event in launch_app.events} == {"form", "rate"}

"""Whoever is not on a referral cannot tell whether it exists; and the comparison that shows it would see any leak."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests
import structlog
from flask import Response
from sqlalchemy import text

from smart_app.gateways.mail import SmtpMail
from smart_app.proofs.check import Check
from smart_app.proofs.instance import Instance
from smart_app.proofs.observers import OBSERVERS, OUT_TO_SYSTEM
from smart_app.proofs.recording import CHANNELS, alike, differences, first_difference
from smart_app.proofs.report import run_one
from smart_app.proofs.two_worlds import CHECKS, Bench

pytestmark = pytest.mark.twoworld
IT_ADMIN = next(observer for observer in OBSERVERS if observer.name == "IT admin")
Leak = Callable[[Instance, Response], None]


def _longer_token(_: Instance, response: Response) -> None:
    page = response.get_data(as_text=True)
    response.set_data(page.replace('name="csrf_token" value="', 'name="csrf_token" value="AAAA'))


def _one_statement_more(here: Instance, _: Response) -> None:
    with here.base.engine.connect() as connection:
        connection.execute(text("SELECT 1"))


def _other_status(_: Instance, response: Response) -> None:
    response.status_code = 410


LEAKS: dict[str, Leak] = {
    "status": _other_status,
    "headers": lambda here, response: response.headers.update({"X-Items": str(here.rows()["vault_case"])}),
    "body": lambda here, response: response.set_data(response.get_data() + b"<!-- 1 hidden -->"),
    "size": _longer_token,
    "statements": _one_statement_more,
    "log": lambda here, response: structlog.get_logger().info("restricted"),
    "calls": lambda here, response: bool(requests.get("http://localhost:9000/a/fhir/x", timeout=5)),  # type: ignore[dict-item,return-value]
    "mails": lambda here, response: SmtpMail("h", 25, "none", "a@b.example").send("c@d.example", here.now),
}


@pytest.mark.rule("attack 1")
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_attack_01_who_is_not_on_it_gets_the_same_bytes(prove_bench: Bench, check: Check[Bench]) -> None:
    """A colleague, another program, the operator, the mail server: none of them can tell whether the referral exists;
    whoever is on it finds it.

    Break: show ``NothingToShowError`` otherwise in ``Unit._deny`` when there is something.
    """
    assert run_one(check, prove_bench).seen is None


@pytest.mark.parametrize("channel", CHANNELS)
def test_a_leak_in_each_channel_is_seen(prove_bench: Bench, monkeypatch: pytest.MonkeyPatch, channel: str) -> None:
    """The comparison is itself tried: whatever way a referral shows, if only in the length of a page, it is found."""
    world, fewest = prove_bench.worlds[OUT_TO_SYSTEM], prove_bench.without.here.rows()["vault_case"]

    def leak_from(here: Instance) -> Callable[[Response], Response]:
        def leak(response: Response) -> Response:
            if here.rows()["vault_case"] > fewest:
                LEAKS[channel](here, response)
            return response

        return leak

    for here in (world.here, prove_bench.without.here):
        hooks: dict[Any, Any] = here.clinic.after_request_funcs
        monkeypatch.setitem(hooks, None, [leak_from(here), *hooks[None]])
    found = list(differences(prove_bench.without.watched(IT_ADMIN), world.watched(IT_ADMIN)))
    assert any(f"), {channel}, byte" in one for one in found)


def test_two_looks_at_one_world_are_the_same(prove_bench: Bench) -> None:
    """Clocks and random ids do not make a difference, so a difference is one."""
    assert first_difference(prove_bench.without.watched(IT_ADMIN), prove_bench.without.watched(IT_ADMIN)) is None


def test_only_clocks_and_random_ids_are_made_alike() -> None:
    """A count, a word, a name or another status stays what it is."""
    for said in ("3 open requests", "Harbor Program", "accepted", '{"total":2}', "Content-Length: 314"):
        assert alike(said) == said
    assert alike("2026-11-24T16:37:02Z") == "<time>"

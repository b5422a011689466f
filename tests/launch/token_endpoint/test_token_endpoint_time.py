"""Who listens to how long a refusal takes learns nothing: all kinds do the same work, counted and by the clock.

The wall clock of a busy machine hides what it should show. So the work is counted call by call, which no load changes,
and the time is that of this thread alone, the kinds in turn in random order. Both are shown to see a shortcut.
"""

from __future__ import annotations

import hashlib
import random
import statistics
import sys
import time
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import responses
from joserfc.jws import JWSRegistry
from partner_side import (
    EC,
    FAILED,
    JWKS,
    JWKS_URL,
    RSA,
    STRANGER,
    Station,
    assertion,
    claims,
    header,
    jws,
    whole_form,
    with_header,
)
from sqlalchemy import event

from launch import token_endpoint
from launch.client_authentication import AssertionRefusedError, SmartAssertion

ROUNDS = 170  # of each kind; with two of them equal, more than a thousand refusals
CALLS_APART = 0.05  # of all calls of a refusal: what words and look-ups in memory make
TIME_APART = 0.05  # of the usual time
MEASURED_AGAIN = 3  # times, at most
TOLD_APART = 0.65  # how often the slower of two is the one that was thought to be; 0.5 is a coin

USED: dict[str, str] = {}  # of this test, by algorithm: an assertion lives five minutes, and a whole run is longer
KINDS: dict[str, Callable[[], str]] = {
    "bad signature": lambda: jws(header(), claims(), STRANGER, "ES384"),
    "bad signature again": lambda: jws(header(), claims(), STRANGER, "ES384"),
    "unknown": lambda: jws(header(), claims("nobody-system"), EC, "ES384"),
    "suspended": lambda: jws(header(), claims("off"), EC, "ES384"),
    "no agreement": lambda: jws(header(), claims("no-agreement"), EC, "ES384"),
    "revoked key": lambda: with_header(kid="ec-0"),
    "keys at an address": lambda: jws(header(), claims("with-url"), STRANGER, "ES384"),
    "second use": lambda: USED["ES384"],
    "expired": lambda: assertion(exp=int(time.time()) - 60),
    "another audience": lambda: assertion(aud="https://other.example/token"),
}

BY_THE_CLOCK = ("bad signature", "bad signature again", "unknown", "suspended", "revoked key", "second use")


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Station]:
    """An endpoint with partners of each kind; everything that is read once has been read."""
    USED.update(ES384=assertion(), RS384=jws(header("RS384"), claims(), RSA, "RS384"))
    station = Station(tmp_path / "time.sqlite", closed=frozenset({"no-agreement"}))
    for client_id in ("harbor-system", "no-agreement"):
        station.register(client_id)
    station.register("off", is_enabled=False)
    station.register("with-url", jwks=None, jwks_url=JWKS_URL)
    with responses.RequestsMock() as answers:
        answers.get(JWKS_URL, json=JWKS, headers={"Cache-Control": "max-age=3600"})
        assert [station.post(said).status_code for said in USED.values()] == [200, 200]
        for said in KINDS.values():
            assert station.post(said()).data == FAILED
    yield station
    station.engine.dispose()


# --- counted ---------------------------------------------------------------------------------------------------------


class Work:
    """What one refusal made this process do: key operations, hashes, statements in order, and calls of any kind."""

    def __init__(self, station: Station, monkeypatch: pytest.MonkeyPatch) -> None:
        self._station = station
        self._counted: Counter[str] = Counter()
        self._statements: list[str] = []
        event.listen(station.engine, "before_cursor_execute", lambda *a: self._statements.append(a[2]))
        for algorithm in ("ES384", "RS384"):
            model = JWSRegistry.algorithms[algorithm]
            monkeypatch.setattr(model, "verify", self._noted("key operation", model.verify))
        hashed = self._noted("hash", hashlib.sha256)
        monkeypatch.setattr(token_endpoint.hashlib, "sha256", hashed)

    def _noted(self, name: str, done: Callable[..., Any]) -> Callable[..., Any]:
        def note(*args: Any, **kwargs: Any) -> Any:
            self._counted[name] += 1
            return done(*args, **kwargs)

        return note

    def of(self, said: str) -> tuple[tuple[Any, ...], int]:
        """Key operations, hashes and statements; and the number of calls."""
        form, calls = whole_form(client_assertion=said), [0]
        self._counted.clear()
        self._statements.clear()

        def count(_frame: Any, what: str, _argument: Any) -> None:
            calls[0] += what in ("call", "c_call")

        sys.setprofile(count)
        try:
            answer = self._station.http.post("/token", data=form)
        finally:
            sys.setprofile(None)
        assert (answer.status_code, answer.data) == (400, FAILED)
        return (self._counted["key operation"], self._counted["hash"], tuple(self._statements)), calls[0]


def unlike(work: Work, kinds: dict[str, Callable[[], str]] = KINDS) -> dict[str, tuple[Any, ...]]:
    """The kinds whose work is not that of a bad signature."""
    (same, usual), found = work.of(KINDS["bad signature"]()), {}
    for kind, said in kinds.items():
        done, calls = work.of(said())
        if done != same or abs(calls - usual) > CALLS_APART * usual:
            found[kind] = (*done[:2], len(done[2]), calls, usual)
    return found


@pytest.mark.rule("R18")
@pytest.mark.rule("R19")
def test_rule_R18_every_refusal_does_the_same_work(made: Station, monkeypatch: pytest.MonkeyPatch) -> None:
    """One key operation, the same hashes, the same statements in the same order, and as many calls, give or take one
    in twenty: whether the partner exists, is suspended, or uses an assertion twice.

    Breaks: in ``SmartAssertion.__call__`` leave out ``self._spend_nothing()``; in ``_TokenServer._keys_of`` read the
    key set each time.
    """
    work = Work(made, monkeypatch)
    assert unlike(work) == {}
    assert work.of(USED["ES384"])[0][:2] == (1, 3)


@pytest.mark.rule("R18")
def test_rule_R18_with_rsa_keys_too(made: Station, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other algorithm costs more for everybody alike."""
    work = Work(made, monkeypatch)

    def signed(**changes: Any) -> str:
        return jws(header("RS384"), claims(**changes), RSA, "RS384")

    said = [
        signed(client_id="nobody-system"),
        signed(client_id="off"),
        USED["RS384"],
        signed(aud="https://other.example"),
    ]
    seen = [work.of(one) for one in said]
    assert len({done for done, _ in seen}) == 1
    calls = [count for _, count in seen]
    assert max(calls) - min(calls) <= CALLS_APART * max(calls)


# --- by the clock ----------------------------------------------------------------------------------------------------


def thread_times(station: Station, kinds: dict[str, Callable[[], str]], rounds: int) -> dict[str, list[float]]:
    """Milliseconds that this thread computed, for each kind, sent in turn in random order."""
    took: dict[str, list[float]] = {kind: [] for kind in kinds}
    order = random.Random(11)
    for _ in range(rounds):
        for kind in order.sample(list(kinds), len(kinds)):
            form = whole_form(client_assertion=kinds[kind]())
            started = time.thread_time()
            station.http.post("/token", data=form)
            took[kind].append((time.thread_time() - started) * 1000)
    return took


def told_apart(took: dict[str, list[float]]) -> dict[str, tuple[float, float]]:
    """The kinds that a listener could tell from a bad signature: by how much, and how often rightly."""
    usual, found = took["bad signature"], {}
    middle, ranked = statistics.median(usual), sorted(usual)
    for kind, times in took.items():
        away = (statistics.median(times) - middle) / middle
        below = sum(bisect_left(ranked, one) + bisect_right(ranked, one) for one in times) / 2
        rightly = max(below, len(times) * len(usual) - below) / (len(times) * len(usual))
        if abs(away) > TIME_APART and rightly > TOLD_APART:
            found[kind] = (round(away, 3), round(rightly, 3))
    return found


@pytest.mark.rule("R18")
def test_rule_R18_refusals_take_the_same_time(made: Station) -> None:
    """No kind can be told from a bad signature by how long it takes: neither by a twentieth of the time, nor by
    guessing which of two was slower. A bad signature that is sent as two kinds shows what chance alone makes.

    Break: in ``SmartAssertion.__call__`` leave out ``self._spend_nothing()``.
    """
    seen = []
    for _ in range(MEASURED_AGAIN):  # what a busy machine makes is gone the next time, what the code makes is not
        took = thread_times(made, {kind: KINDS[kind] for kind in BY_THE_CLOCK}, ROUNDS)
        assert sum(map(len, took.values())) >= 1000
        seen.append(told_apart(took))
        if not seen[-1]:
            return
    assert not set.intersection(*map(set, seen)), seen


# --- the measure is measured -----------------------------------------------------------------------------------------


def forget_to_spend(monkeypatch: pytest.MonkeyPatch) -> None:
    """A refusal that saves itself the write which a second use makes."""
    genuine = SmartAssertion.__init__

    def made(self: Any, *args: Any, **kwargs: Any) -> None:
        genuine(self, *args, **{**kwargs, "spend_nothing": lambda: None})

    monkeypatch.setattr(SmartAssertion, "__init__", made)


def leave_early(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown or suspended partner is sent away before its signature is looked at."""
    genuine = SmartAssertion._verified

    def verified(self: Any, said: str, unverified: Any, client: Any) -> Any:
        if not client.may_connect:
            raise AssertionRefusedError("client-closed")
        return genuine(self, said, unverified, client)

    monkeypatch.setattr(SmartAssertion, "_verified", verified)


def read_keys_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """The key set of a known partner is read with each request; an unknown one has none to read."""
    monkeypatch.setattr(token_endpoint, "_inline_keys", token_endpoint._inline_keys.__wrapped__)


# shortcut -> the kinds that the count sees, and those that the clock must see as well
SHORTCUTS: dict[str, tuple[Callable[[pytest.MonkeyPatch], None], set[str], set[str]]] = {
    "forget_to_spend": (forget_to_spend, {"second use"}, {"second use"}),
    "leave_early": (leave_early, {"unknown", "suspended", "no agreement"}, {"unknown", "suspended"}),
    "read_keys_anew": (read_keys_anew, {"unknown", "keys at an address"}, set()),  # a tenth: too little for sixty
}


@pytest.mark.rule("R18")
@pytest.mark.parametrize("shortcut", SHORTCUTS)
def test_rule_R18_a_shortcut_would_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shortcut: str) -> None:
    """The measures see it when a kind of refusal saves itself a step: counted, and by the clock of the thread."""
    take, by_count, by_clock = SHORTCUTS[shortcut]
    take(monkeypatch)
    genuine = made.__wrapped__(tmp_path)  # type: ignore[attr-defined]
    station = next(genuine)
    try:
        if by_clock:
            kinds = {name: KINDS[name] for name in ("bad signature", *by_clock)}
            seen = (set(told_apart(thread_times(station, kinds, 60))) for _ in range(MEASURED_AGAIN))
            assert by_clock in seen
        assert set(unlike(Work(station, monkeypatch))) >= by_count
    finally:
        station.engine.dispose()

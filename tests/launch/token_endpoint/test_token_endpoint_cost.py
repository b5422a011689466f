"""Every refusal costs the same, an assertion works once, and nobody may hammer the door."""

from __future__ import annotations

import json
import multiprocessing
import time
from pathlib import Path
from typing import Any

import pytest
from partner_side import (
    ABSENT,
    BASE,
    EC,
    FAILED,
    RSA,
    STRANGER,
    Station,
    assertion,
    claims,
    header,
    jws,
    with_header,
)
from sqlalchemy import event

from launch import client_authentication
from launch.tables import launch_jti, launch_token


@pytest.mark.rule("R18")
@pytest.mark.rule("R19")
def test_rule_R18_every_refusal_costs_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unknown, suspended, without agreement, revoked key, bad signature, second use: same work, same bytes.

    Break: in ``SmartAssertion.__call__`` leave out ``self._spend_nothing()``.
    """
    made = Station(tmp_path / "cost.sqlite", closed=frozenset({"no-agreement"}))
    for client_id in ("harbor-system", "no-agreement"):
        made.register(client_id)
    made.register("off", is_enabled=False)
    used = assertion()
    assert made.post(used).status_code == 200
    refused = {
        "unknown": jws(header(), claims("nobody"), EC, "ES384"),
        "suspended": jws(header(), claims("off"), EC, "ES384"),
        "no agreement": jws(header(), claims("no-agreement"), EC, "ES384"),
        "revoked key": jws(header(kid="ec-0"), claims(), EC, "ES384"),
        "bad signature": jws(header(), claims(), STRANGER, "ES384"),
        "expired": assertion(exp=int(time.time()) - 60),
        "second use": used,
    }
    statements: list[str] = []
    event.listen(made.engine, "before_cursor_execute", lambda *a: statements.append(a[2]))
    checks: list[object] = []
    decode = client_authentication.jwt.decode
    monkeypatch.setattr(client_authentication.jwt, "decode", lambda *a, **k: checks.append(1) or decode(*a, **k))
    seen = {}
    rows = made.count(launch_jti)
    for cause, said in refused.items():
        statements.clear()
        checks.clear()
        answer = made.post(said)
        seen[cause] = (answer.status_code, answer.data, len(checks), tuple(statements))
    assert len(set(seen.values())) == 1, {cause: (what[2], len(what[3])) for cause, what in seen.items()}
    assert seen["unknown"][2] == 1
    assert made.count(launch_jti) == rows + 1, "refusals share one row: nobody can fill the table"


SHAPES = {  # refused for how it is written, before anything is looked up: nobody learns from that who is a partner
    "garbage": "garbage",
    "rs256": jws(header("RS256"), claims(), RSA, "RS256"),
    "no_kid": with_header(kid=ABSENT),
    "typ_absent": with_header(typ=ABSENT),
    "sub_list": assertion(sub=["harbor-system"]),
    "crit_unknown": with_header(crit=["exp"], exp=1),
    "payload_list": jws(header(), [claims()], EC, "ES384"),
    "four_parts": assertion() + ".AAAA",
}


def _wellformed(spent: str) -> dict[str, str]:
    """Every assertion of the battery that is written as an assertion should be, and yet does not hold."""
    now = int(time.time())
    return {
        "unknown_client": jws(header(), claims("nobody"), EC, "ES384"),
        "disabled_client": jws(header(), claims("off"), EC, "ES384"),
        "forged_same_jti": jws(header(), claims(), STRANGER, "ES384"),
        "unknown_kid": with_header(kid="ec-9"),
        "es384_on_rsa_kid": jws(header(kid="rsa-1"), claims(), EC, "ES384"),
        "foreign_jku": with_header(jku="https://evil.example/jwks.json"),
        "exp_plus_1h": assertion(exp=now + 3600),
        "exp_minus_30s": assertion(exp=now - 30),
        "exp_minus_120s": assertion(exp=now - 120),
        "no_exp": assertion(exp=ABSENT),
        "exp_string": assertion(exp=str(now + 60)),
        "exp_bool": assertion(exp=True),
        "iss_not_sub": assertion(iss="northside-system"),
        "aud_base_url": assertion(aud=BASE + "/fhir"),
        "no_jti": assertion(jti=ABSENT),
        "jti_int": assertion(jti=7),
        "jti_256_characters": assertion(jti="x" * 256),
        "replay": spent,
    }


@pytest.mark.rule("R18")
def test_rule_R18_work_depends_on_what_is_sent_and_never_on_what_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every well-formed assertion that does not hold costs one signature check and the same statements; every
    malformed one costs none, whoever it names.

    Break: in ``SmartAssertion._verified`` raise before the signature check when ``fitting`` is empty.
    """
    made = Station(tmp_path / "work.sqlite")
    made.register("harbor-system")
    made.register("off", is_enabled=False)
    spent = assertion()
    assert made.post(spent).status_code == 200
    statements: list[str] = []
    event.listen(made.engine, "before_cursor_execute", lambda *a: statements.append(a[2]))
    checks: list[object] = []
    decode = client_authentication.jwt.decode
    monkeypatch.setattr(client_authentication.jwt, "decode", lambda *a, **k: checks.append(1) or decode(*a, **k))

    def work(said: str) -> tuple[int, tuple[str, ...]]:
        statements.clear()
        checks.clear()
        answer = made.post(said)
        assert (answer.status_code, answer.data) == (400, FAILED)
        return len(checks), tuple(statements)

    wellformed = {name: work(said) for name, said in _wellformed(spent).items()}
    malformed = {name: work(said) for name, said in SHAPES.items()}
    assert len(set(wellformed.values())) == 1, {name: (seen[0], len(seen[1])) for name, seen in wellformed.items()}
    assert len(set(malformed.values())) == 1, {name: (seen[0], len(seen[1])) for name, seen in malformed.items()}
    assert (wellformed["replay"][0], malformed["garbage"][0]) == (1, 0)


def _post_in_worker(database: Path, said: str, start: Any, results: Any) -> None:
    worker = Station(database)
    start.wait(20)
    results.put(worker.post(said).status_code)


@pytest.mark.rule("attack 8")
def test_same_assertion_at_two_workers_and_after_a_restart(tmp_path: Path) -> None:
    """Of two workers that get the same assertion at once one says yes; after a restart it is still used up.

    Break: let ``_spend`` return True.
    """
    database = tmp_path / "workers.sqlite"
    first = Station(database)
    first.register("harbor-system")
    first.engine.dispose()
    processes = multiprocessing.get_context("fork")
    for _ in range(3):
        said, start, results = assertion(), processes.Barrier(2), processes.Queue()
        workers = [processes.Process(target=_post_in_worker, args=(database, said, start, results)) for _ in range(2)]
        for worker in workers:
            worker.start()
        answers = sorted(results.get(timeout=30) for _ in workers)
        for worker in workers:
            worker.join(10)
        assert answers == [200, 400]
        assert Station(database).post(said).data == FAILED


def test_spent_assertions_and_dead_tokens_are_swept_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What has expired does not pile up: the next token given out clears it away."""
    made = Station(tmp_path / "sweep.sqlite")
    made.register("harbor-system")
    assert made.post().status_code == 200
    later = time.time() + 700
    monkeypatch.setattr(time, "time", lambda: later)
    assert made.post().status_code == 200
    assert (made.count(launch_token), made.count(launch_jti)) == (1, 1)


def test_too_many_requests_wait_before_any_key_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody who hammers the door is told when to come back, and costs no signature check."""
    made = Station(tmp_path / "rate.sqlite", attempts_per_minute=3)
    made.register("harbor-system")
    now = time.time() // 60 * 60 + 10
    monkeypatch.setattr(time, "time", lambda: now)
    assert [made.post().status_code for _ in range(3)] == [200, 200, 200]
    with monkeypatch.context() as watched:
        watched.setattr(client_authentication.jwt, "decode", lambda *a, **k: pytest.fail("a key was used"))
        answer = made.post()
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "50")
    assert json.loads(answer.data)["error"] == "temporarily_unavailable"
    assert made.events[-1].reason == "rate"
    others = [made.post(jws(header(), claims(f"other-{n}"), STRANGER, "ES384")).status_code for n in range(12)]
    assert others == [400] * 11 + [429], "an address that changes its name each time is stopped too"
    monkeypatch.setattr(time, "time", lambda: now + 60)
    assert made.post().status_code == 200

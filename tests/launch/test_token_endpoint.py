"""The token endpoint under everything a partner, or somebody with less good intentions, may send it."""

from __future__ import annotations

import base64
import hmac
import json
import multiprocessing
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import responses
from flask import Flask
from joserfc.jwk import ECKey, RSAKey
from joserfc.jws import JWSRegistry
from sqlalchemy import Engine, create_engine, event, func, select
from werkzeug.test import TestResponse

from launch import client_authentication, token_endpoint
from launch.context import LaunchEvent
from launch.store import launch_jti, launch_token, metadata
from launch.token_endpoint import PartnerClient, register_client

TENANT = "hc1"
BASE = "https://clinic.example"
TOKEN_URL = BASE + "/token"
JWKS_URL = "https://partner.example/jwks.json"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
FAILED = b'{"error": "invalid_client", "error_description": "client authentication failed"}'

EC = ECKey.generate_key("P-384", {"kid": "ec-1", "alg": "ES384", "use": "sig"}, private=True)
RSA = RSAKey.generate_key(2048, {"kid": "rsa-1", "alg": "RS384", "use": "sig"}, private=True)
STRANGER = ECKey.generate_key("P-384", {"kid": "ec-1"}, private=True)
JWKS = {"keys": [EC.as_dict(private=False), RSA.as_dict(private=False)]}

Json = dict[str, Any]


def encoded(value: object) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def jws(header: object, payload: object, key: Any, alg: str) -> str:
    """A compact JWS signed as it stands, so that only the guard under test can be the reason of a refusal."""
    signing_input = f"{encoded(header)}.{encoded(payload)}"
    return f"{signing_input}.{encoded(JWSRegistry.algorithms[alg].sign(signing_input.encode(), key))}"


def claims(client_id: str = "harbor-system", **changes: Any) -> Json:
    now = int(time.time())
    own = {"iss": client_id, "sub": client_id, "aud": TOKEN_URL, "iat": now, "exp": now + 240, "jti": str(uuid.uuid4())}
    return {name: value for name, value in {**own, **changes}.items() if value is not ABSENT}


def header(alg: str = "ES384", kid: object = None, **changes: Any) -> Json:
    own = {"alg": alg, "typ": "JWT", "kid": kid or ("ec-1" if alg == "ES384" else "rsa-1")}
    return {name: value for name, value in {**own, **changes}.items() if value is not ABSENT}


ABSENT = object()


def assertion(**changes: Any) -> str:
    """A right ES384 assertion of harbor-system, but for the changed claims."""
    return jws(header(), claims(**changes), EC, "ES384")


def with_header(**changes: Any) -> str:
    return jws(header(**changes), claims(), EC, "ES384")


class Station:
    """Our token endpoint over a database file, and what it told the audit."""

    def __init__(self, database: Path, attempts_per_minute: int = 1_000_000, closed: frozenset[str] = frozenset()):
        self.engine: Engine = create_engine(f"sqlite:///{database}", connect_args={"timeout": 15})
        metadata.create_all(self.engine)
        self.events: list[LaunchEvent] = []
        self.closed = set(closed)
        app = Flask("station")
        token_endpoint.install(
            app,
            self.engine,
            TENANT,
            BASE,
            self.events.append,
            lambda client_id: client_id not in self.closed,
            attempts_per_minute=attempts_per_minute,
        )
        self.http = app.test_client()

    def register(self, client_id: str, **changes: Any) -> None:
        register_client(self.engine, TENANT, PartnerClient(client_id, **({"jwks": JWKS} | changes)))

    def post(self, said: str | None = None, **changes: Any) -> TestResponse:
        form = {
            "grant_type": "client_credentials",
            "scope": "system/Task.crus",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": assertion() if said is None else said,
        }
        return self.http.post("/token", data={k: v for k, v in {**form, **changes}.items() if v is not ABSENT})

    def count(self, table: Any) -> int:
        with self.engine.connect() as connection:
            return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Station]:
    made = Station(tmp_path_factory.mktemp("station") / "tokens.sqlite")
    made.register("harbor-system")
    made.register("with-url", jwks=None, jwks_url=JWKS_URL)
    made.register("off", is_enabled=False)
    made.register("reads-only", scopes=("system/Task.rs",))
    yield made
    made.engine.dispose()


# --- assertion -------------------------------------------------------------------------------------------------------


def _genuine_after_forged(station: Station) -> TestResponse:
    taken = claims()
    station.post(jws(header(), taken, STRANGER, "ES384"))
    return station.post(jws(header(), taken, EC, "ES384"))


ACCEPTED: dict[str, Callable[[Station], TestResponse]] = {
    "rs384_valid": lambda s: s.post(jws(header("RS384"), claims(), RSA, "RS384")),
    "es384_valid": lambda s: s.post(assertion()),
    "exp_plus_300s": lambda s: s.post(assertion(exp=int(time.time()) + 300)),
    "aud_array_with_token_url": lambda s: s.post(assertion(aud=["https://other.example", TOKEN_URL])),
    "no_iat": lambda s: s.post(assertion(iat=ABSENT)),
    "first_use": lambda s: s.post(assertion(jti="a" * 255)),
    "registered_jku": lambda s: s.post(jws(header(jku=JWKS_URL), claims("with-url"), EC, "ES384")),
    "form_client_id_equal": lambda s: s.post(client_id="harbor-system"),
    "genuine_after_forged_same_jti": _genuine_after_forged,
}


def published(answers: responses.RequestsMock, **changes: Any) -> None:
    answers.get(JWKS_URL, **({"json": JWKS, "headers": {"Cache-Control": "max-age=60"}} | changes))


@pytest.mark.requirement("smart@335")
@pytest.mark.parametrize("name", ACCEPTED)
def test_right_assertion_gets_a_token(name: str, station: Station) -> None:
    """A partner that signs as the standard says gets a token for five minutes and no refresh token."""
    with responses.RequestsMock(assert_all_requests_are_fired=False) as answers:
        published(answers)
        answer = ACCEPTED[name](station)
    assert answer.status_code == 200, (answer.text, station.events[-1])
    body = json.loads(answer.data)
    assert set(body) == {"access_token", "token_type", "expires_in", "scope"}
    assert (body["token_type"], body["expires_in"], body["scope"]) == ("bearer", 300, "system/Task.crus")
    assert (answer.headers["Cache-Control"], answer.headers["Pragma"]) == ("no-store", "no-cache")


def _twice(station: Station) -> TestResponse:
    said = assertion()
    assert station.post(said).status_code == 200
    return station.post(said)


def _foreign_jku(station: Station) -> TestResponse:
    return station.post(jws(header(jku="https://evil.example/jwks.json"), claims("with-url"), EC, "ES384"))


def _es384_on_rsa_kid(station: Station) -> TestResponse:
    return station.post(jws(header(kid="rsa-1"), claims(), EC, "ES384"))


def _hs256_with_public_key(station: Station) -> TestResponse:
    signing_input = f"{encoded(header('HS256'))}.{encoded(claims())}"
    forged = hmac.new(RSA.as_pem(private=False), signing_input.encode(), "sha256").digest()
    return station.post(f"{signing_input}.{encoded(forged)}")


REFUSED: dict[str, Callable[[Station], TestResponse]] = {
    "rs256": lambda s: s.post(jws(header("RS256"), claims(), RSA, "RS256")),
    "alg_none": lambda s: s.post(f"{encoded(header('none', kid='ec-1'))}.{encoded(claims())}."),
    "hs256_with_public_key": _hs256_with_public_key,
    "es384_on_rsa_kid": _es384_on_rsa_kid,
    "exp_plus_1h": lambda s: s.post(assertion(exp=int(time.time()) + 3600)),
    "exp_minus_30s": lambda s: s.post(assertion(exp=int(time.time()) - 30)),
    "exp_minus_120s": lambda s: s.post(assertion(exp=int(time.time()) - 120)),
    "no_exp": lambda s: s.post(assertion(exp=ABSENT)),
    "exp_string": lambda s: s.post(assertion(exp=str(int(time.time()) + 60))),
    "exp_nan": lambda s: s.post(assertion(exp=float("nan"))),
    "exp_inf": lambda s: s.post(assertion(exp=float("inf"))),
    "exp_1e999": lambda s: s.post(
        jws(header(), json.dumps(claims(exp=7)).replace("7,", "1e999,").encode(), EC, "ES384")
    ),
    "exp_bool": lambda s: s.post(assertion(exp=True)),
    "iat_ahead": lambda s: s.post(assertion(iat=int(time.time()) + 60)),
    "iat_string": lambda s: s.post(assertion(iat="now")),
    "nbf_ahead": lambda s: s.post(assertion(nbf=int(time.time()) + 60)),
    "typ_absent": lambda s: s.post(with_header(typ=ABSENT)),
    "foreign_jku": _foreign_jku,
    "jku_without_registered_url": lambda s: s.post(with_header(jku=JWKS_URL)),
    "no_kid": lambda s: s.post(with_header(kid=ABSENT)),
    "kid_int": lambda s: s.post(with_header(kid=1)),
    "unknown_kid": lambda s: s.post(with_header(kid="ec-9")),
    "bad_signature": lambda s: s.post(jws(header(), claims(), STRANGER, "ES384")),
    "iss_not_sub": lambda s: s.post(assertion(iss="northside-system")),
    "no_iss": lambda s: s.post(assertion(iss=ABSENT)),
    "aud_base_url": lambda s: s.post(assertion(aud=BASE + "/fhir")),
    "no_aud": lambda s: s.post(assertion(aud=ABSENT)),
    "sub_list": lambda s: s.post(assertion(sub=["harbor-system"])),
    "sub_half_surrogate": lambda s: s.post(assertion(sub="\ud800", iss="\ud800")),
    "sub_nul": lambda s: s.post(assertion(sub="a\x00b", iss="a\x00b")),
    "no_jti": lambda s: s.post(assertion(jti=ABSENT)),
    "jti_int": lambda s: s.post(assertion(jti=7)),
    "jti_empty": lambda s: s.post(assertion(jti="")),
    "jti_256_characters": lambda s: s.post(assertion(jti="x" * 256)),
    "jti_10kb": lambda s: s.post(assertion(jti="x" * 10_000)),
    "replay": _twice,
    "forged_same_jti": lambda s: s.post(jws(header(), claims(jti="a" * 255), STRANGER, "ES384")),
    "form_client_id_mismatch": lambda s: s.post(client_id="northside-system"),
    "unknown_client": lambda s: s.post(jws(header(), claims("nobody"), EC, "ES384")),
    "disabled_client": lambda s: s.post(jws(header(), claims("off"), EC, "ES384")),
    "garbage": lambda s: s.post("garbage"),
}

# Malformed beyond what any client sends by mistake: still the same 400, never a 500.
ROBUST: dict[str, Callable[[Station], TestResponse]] = {
    "header_list": lambda s: s.post(jws(["ES384"], claims(), EC, "ES384")),
    "header_string": lambda s: s.post(jws("ES384", claims(), EC, "ES384")),
    "alg_list": lambda s: s.post(jws(header() | {"alg": ["ES384"]}, claims(), EC, "ES384")),
    "crit_unknown": lambda s: s.post(with_header(crit=["exp"], exp=1)),
    "b64_false": lambda s: s.post(with_header(b64=False, crit=["b64"])),
    "b64_false_without_crit": lambda s: s.post(with_header(b64=False)),
    "payload_not_utf8": lambda s: s.post(jws(header(), b"\xff\xfe{}", EC, "ES384")),
    "payload_list": lambda s: s.post(jws(header(), [claims()], EC, "ES384")),
    "payload_number": lambda s: s.post(jws(header(), 7, EC, "ES384")),
    "four_parts": lambda s: s.post(assertion() + ".AAAA"),
    "empty_parts": lambda s: s.post(".."),
    "nested_20k": lambda s: s.post(jws(header(), b"[" * 20_000, EC, "ES384")),
    "nested_4k": lambda s: s.post(jws(header(), b'{"sub":' + b"[" * 4_000 + b"]" * 1_000, EC, "ES384")),
    "nested_header": lambda s: s.post(f"{encoded(b'[' * 3_000)}.{encoded(claims())}.AAAA"),
    "non_ascii": lambda s: s.post(assertion()[:-4] + "äöü"),
    "jti_half_surrogate": lambda s: s.post(assertion(jti="\ud800", exp=1)),
    "padding": lambda s: s.post(assertion() + "=="),
    "line_break_at_end": lambda s: s.post(assertion() + "\n"),
    "header_over_512_bytes": lambda s: s.post(with_header(x5c="x" * 600)),
}


@pytest.mark.requirement("smart@340")
@pytest.mark.parametrize("name", [*REFUSED, *ROBUST])
def test_wrong_assertion_gets_the_same_bytes(name: str, station: Station) -> None:
    """Whatever is wrong with an assertion, the answer is the same: nobody learns who is a partner, or why it failed."""
    with responses.RequestsMock(assert_all_requests_are_fired=False) as answers:
        published(answers)
        answer = {**REFUSED, **ROBUST}[name](station)
    assert (answer.status_code, answer.data) == (400, FAILED)
    assert answer.headers["Cache-Control"] == "no-store"
    assert "WWW-Authenticate" not in answer.headers
    assert station.events[-1].name == "partner-token-refused"


def test_jti_with_half_a_surrogate_is_counted_like_any_other(station: Station) -> None:
    """A strange but signed id does not bring the endpoint down: it works once and not twice."""
    said = assertion(jti="\ud800")
    assert [station.post(said).status_code for _ in range(2)] == [200, 400]


# --- endpoint --------------------------------------------------------------------------------------------------------

ENDPOINT: dict[str, tuple[Callable[[Station], TestResponse], int, str]] = {
    "wrong_grant": (lambda s: s.post(grant_type="authorization_code"), 400, "unsupported_grant_type"),
    "no_grant": (lambda s: s.post(grant_type=ABSENT), 400, "invalid_request"),
    "wrong_assertion_type": (lambda s: s.post(client_assertion_type="urn:other"), 400, "invalid_client"),
    "no_assertion": (lambda s: s.post(client_assertion=ABSENT), 400, "invalid_client"),
    "secret_instead": (
        lambda s: s.post(
            client_assertion=ABSENT, client_assertion_type=ABSENT, client_id="harbor-system", client_secret="x"
        ),
        400,
        "invalid_client",
    ),
    "secret_too": (lambda s: s.post(client_secret="x"), 400, "invalid_request"),
    "basic_header_too": (
        lambda s: s.http.post("/token", data=whole_form(), headers={"Authorization": "Basic YTpi"}),
        400,
        "invalid_request",
    ),
    "no_scope": (lambda s: s.post(scope=ABSENT), 400, "invalid_request"),
    "blank_scope": (lambda s: s.post(scope="  "), 400, "invalid_request"),
    "scope_in_query_only": (
        lambda s: s.http.post("/token?scope=system/Task.crus", data=whole_form(scope=ABSENT)),
        400,
        "invalid_request",
    ),
    "query_overrides_form": (
        lambda s: s.http.post("/token?scope=system/Task.crus", data=whole_form()),
        400,
        "invalid_request",
    ),
    "duplicate_scope": (
        lambda s: s.http.post("/token", data=whole_form() | {"scope": ["system/Task.r", "system/Task.crus"]}),
        400,
        "invalid_request",
    ),
    "duplicate_assertion": (
        lambda s: s.http.post("/token", data=whole_form() | {"client_assertion": [assertion(), assertion()]}),
        400,
        "invalid_request",
    ),
    "json_body": (lambda s: s.http.post("/token", json=whole_form()), 400, "invalid_request"),
    "multipart": (
        lambda s: s.http.post("/token", data=whole_form(), content_type="multipart/form-data"),
        400,
        "invalid_request",
    ),
    "body_over_64kb": (lambda s: s.post(extra="x" * 70_000), 400, "invalid_request"),
    "scope_beyond": (lambda s: s.post(scope="system/Patient.rs"), 400, "invalid_scope"),
    "scope_beyond_own_list": (
        lambda s: s.post(jws(header(), claims("reads-only"), EC, "ES384"), scope="system/Task.u"),
        400,
        "invalid_scope",
    ),
    "user_scope": (lambda s: s.post(scope="user/Task.crus"), 400, "invalid_scope"),
    "wildcard_scope": (lambda s: s.post(scope="system/*.cruds"), 400, "invalid_scope"),
    "one_scope_of_two_beyond": (lambda s: s.post(scope="system/Task.r system/Task.d"), 400, "invalid_scope"),
    "get": (lambda s: s.http.get("/token"), 405, "invalid_request"),
    "put": (lambda s: s.http.put("/token", data=whole_form()), 405, "invalid_request"),
}


def whole_form(**changes: Any) -> Json:
    form = {
        "grant_type": "client_credentials",
        "scope": "system/Task.crus",
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": assertion(),
    }
    return {k: v for k, v in {**form, **changes}.items() if v is not ABSENT}


@pytest.mark.parametrize("name", ENDPOINT)
def test_only_one_plain_form_with_registered_scopes_is_taken(name: str, station: Station) -> None:
    """A request that could be read in two ways, or asks for more than was agreed, is refused and told nothing."""
    send, status, error = ENDPOINT[name]
    before = station.count(launch_token)
    answer = send(station)
    assert (answer.status_code, json.loads(answer.data)["error"]) == (status, error), station.events[-1]
    assert station.count(launch_token) == before
    if status == 405:
        assert answer.headers["Allow"] == "POST"


@pytest.mark.requirement("smart@250")
def test_part_of_a_registered_scope_is_granted_as_asked(station: Station) -> None:
    """A partner may ask for less than it is registered for, and gets only that."""
    answer = station.post(scope="system/Task.u\tsystem/Task.r system/Task.u")
    assert json.loads(answer.data)["scope"] == "system/Task.u system/Task.r"


def test_answer_and_audit_never_repeat_what_was_sent(station: Station) -> None:
    """Nothing a stranger types comes back in an answer or goes into the audit."""
    canary = "c4n4ry"
    answers = [
        station.post(grant_type=canary),
        station.post(scope=canary),
        station.post(canary),
        station.post(jws(header(), claims(canary), EC, "ES384")),
        station.post(assertion(jti=canary)),
    ]
    assert all(canary.encode() not in answer.data for answer in answers)
    assert canary not in repr(station.events)


def test_plain_http_behind_a_proxy_is_no_reason_to_fail(station: Station) -> None:
    """TLS may end before us: the token address comes from the setting, not from how the request arrived."""
    answer = station.http.post("/token", data=whole_form(), base_url="http://app.internal:8000/")
    assert answer.status_code == 200


def test_token_is_kept_as_a_hash_only(station: Station) -> None:
    """Somebody with a copy of the database holds no key to it."""
    token = json.loads(station.post().data)["access_token"]
    with station.engine.connect() as connection:
        rows = repr(connection.execute(select(launch_token)).all())
    assert token not in rows
    assert token not in repr(station.events)


# --- one cost, one replay store --------------------------------------------------------------------------------------


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


# --- partners and their keys -----------------------------------------------------------------------------------------


@pytest.mark.rule("R19")
def test_rule_R19_suspended_partner_is_refused_at_once(tmp_path: Path) -> None:
    """An agreement that ends closes the door with the next request, and opens it again when it is renewed.

    Break: let ``may_connect`` be ``bool(row.is_enabled)``.
    """
    made = Station(tmp_path / "open.sqlite")
    made.register("harbor-system")
    assert made.post().status_code == 200
    made.closed.add("harbor-system")
    assert made.post().data == FAILED
    assert made.events[-1].reason == "client-closed"
    made.closed.clear()
    assert made.post().status_code == 200


@pytest.mark.parametrize(
    ("cause", "answer", "reason"),
    [
        ("down", {"status": 503, "json": JWKS}, "jwks-status"),
        (
            "redirect",
            {"status": 302, "json": JWKS, "headers": {"Location": "https://evil.example/jwks.json"}},
            "jwks-status",
        ),
        ("not json", {"body": b"<html>"}, "jwks-not-json"),
        ("huge", {"body": b'{"keys": [' + b" " * 70_000 + b"]}"}, "jwks-too-large-or-slow"),
        ("deep", {"body": b"[" * 50_000}, "jwks-not-json"),
    ],
)
def test_keys_that_cannot_be_had_close_the_door(cause: str, answer: Json, reason: str, tmp_path: Path) -> None:
    """When a partner's key page is down, moved, huge or broken nobody gets in on old trust."""
    made = Station(tmp_path / "down.sqlite")
    made.register("with-url", jwks=None, jwks_url=JWKS_URL)
    with responses.RequestsMock(assert_all_requests_are_fired=False) as answers:
        answers.get(JWKS_URL, **answer)
        refused = made.post(jws(header(), claims("with-url"), EC, "ES384"))
    assert refused.data == FAILED
    assert made.events[-1].reason == reason


@pytest.mark.rule("attack 9")
@pytest.mark.parametrize(
    "address",
    [
        "http://partner.example/jwks.json",
        "http://localhost:9100/jwks.json",
        "https://user:word@partner.example/jwks.json",
        "https://partner.example/jwks.json#part",
        "file:///etc/passwd",
        "https://",
        "https://[::1",
    ],
)
def test_key_addresses_that_are_never_fetched(address: str, station: Station) -> None:
    """Only a plain https address can be registered for a partner's keys."""
    with pytest.raises(ValueError, match="https"):
        station.register("x", jwks=None, jwks_url=address)
    with pytest.raises(client_authentication.KeysUnavailableError, match="jwks-address"):
        client_authentication.JwksCache().keys(address, None)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"jwks_url": JWKS_URL}, "either jwks_url or jwks"),
        ({"jwks": None}, "either jwks_url or jwks"),
        ({"jwks": {"keys": [{"kty": "oct", "k": "AA"}]}}, "no usable public key"),
        ({"scopes": ()}, "scopes must be among"),
        ({"scopes": ("system/*.cruds",)}, "scopes must be among"),
        ({"scopes": ("patient/Task.r",)}, "scopes must be among"),
    ],
)
def test_registration_says_what_is_wrong(change: Json, words: str, station: Station) -> None:
    """Somebody who registers a partner wrongly is told so in one sentence, before the partner finds out."""
    with pytest.raises(ValueError, match=words):
        station.register("x", **change)


@pytest.mark.requirement("smart@285")
def test_discovery_says_what_we_offer_and_no_more(station: Station) -> None:
    """A partner's developer finds the token address, the algorithms and scopes in one public document."""
    answer = station.http.get(
        "/fhir/.well-known/smart-configuration", headers={"Host": "evil.example", "Accept": "x/y"}
    )
    assert (answer.status_code, answer.mimetype) == (200, "application/json")
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    document = json.loads(answer.data)
    assert document["token_endpoint"] == TOKEN_URL
    assert document["grant_types_supported"] == ["client_credentials"]
    assert document["capabilities"] == ["client-confidential-asymmetric", "permission-v2"]
    assert document["token_endpoint_auth_methods_supported"] == ["private_key_jwt"]
    assert document["token_endpoint_auth_signing_alg_values_supported"] == ["RS384", "ES384"]
    assert document["code_challenge_methods_supported"] == ["S256"]
    assert "issuer" not in document
    assert "authorization_endpoint" not in document
    granted = station.post(scope=" ".join(document["scopes_supported"]))
    assert granted.status_code == 200, "all that is offered works"

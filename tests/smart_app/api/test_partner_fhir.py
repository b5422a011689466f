"""The FHIR API as a program's system meets it: statuses, bytes and headers."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import event
from werkzeug.test import TestResponse

from fhir_profiles.capability_statement import INTERACTIONS, OPERATIONS
from smart_app.policy.access import Requester
from smart_app.workflows import inbound, referral, scheduling

BASE = "http://127.0.0.1:8000"
NOW = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)
NOT_FOUND = b'{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"not-found"}]}'
FORBIDDEN = b'{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"forbidden"}]}'
UNLISTED = b'{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"not-supported"}]}'
MADE_UP = "00000000-0000-4000-8000-000000000000"
Post = Callable[..., Any]


def _headers(who: str = "harbor", **more: str) -> dict[str, str]:
    return {
        "Authorization": f"Bearer {who}",
        "Content-Type": "application/fhir+json",
        **{key.replace("_", "-"): value for key, value in more.items()},
    }


def _refer(http: FlaskClient, post: Any, who: str = "harbor") -> TestResponse:
    return http.post("/fhir", data=post.body, headers=_headers(who))


def _put(http: FlaskClient, task_id: str, body: dict[str, Any], etag: str, who: str = "harbor") -> TestResponse:
    return http.put(f"/fhir/Task/{task_id}", data=json.dumps(body), headers=_headers(who, If_Match=etag))


@pytest.fixture
def our_task(world: Any, clinician: Callable[..., Requester]) -> str:
    """Id of the Task of a referral that we sent to Harbor."""
    form = referral.ReferralForm(partner_id="harbor", meet="survivor-calls", alias="Robin", signed="paper")
    result = referral.send(world.services, clinician(), form, NOW)
    return result.task_reference.removeprefix("Task/")


def test_a_new_referral_is_202_and_the_same_again_200(http: FlaskClient, post: Post) -> None:
    """The address comes from our settings, whatever host the caller names."""
    sent = post()
    first = http.post("/fhir", data=sent.body, headers=_headers(Host="evil.example"))
    again = _refer(http, sent)
    assert (first.status_code, again.status_code) == (202, 200)
    assert first.headers["Location"].startswith(f"{BASE}/fhir/Task/")
    assert again.headers["Location"] == first.headers["Location"]
    assert first.headers["Content-Type"] == "application/fhir+json"
    assert first.headers["Cache-Control"] == "no-store"
    assert first.headers["Vary"] == "Authorization"
    assert first.get_json()["issue"][0]["severity"] == "information"
    other = post(alias="Someone else")
    assert _refer(http, other).status_code == 409


@pytest.mark.rule("R18")
def test_rule_R18_known_and_unknown_people_get_the_same_bytes(
    http: FlaskClient, post: Post, world: Any, clinician: Callable[..., Requester]
) -> None:
    """The answers differ in the Task's number and in nothing else, header by header. Break: add what was found about
    the alias to ``RECEIVED``."""
    known = referral.ReferralForm(partner_id="harbor", meet="survivor-calls", alias="Dana", signed="screen")
    referral.send(world.services, clinician(), known, NOW)
    answers = [_refer(http, post(alias=alias, number=number)) for number, alias in (("1", "Dana"), ("2", "Nobody"))]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].data == answers[1].data
    assert _without_number(answers[0]) == _without_number(answers[1])


def _without_number(answer: TestResponse) -> list[tuple[str, str]]:
    task_id = answer.headers["Location"].rsplit("/", 1)[1]
    return [(name, value.replace(task_id, "N")) for name, value in answer.headers]


@pytest.mark.rule("R17")
def test_rule_R17_a_refused_body_is_answered_with_schema_paths_only(
    http: FlaskClient, post: Post, world: Any, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """422 names a place in the schema; no value, no key of the sender, in answer, log or store. Break: put the key
    into the issue's expression."""
    sent = post(alias="Quillfeather")
    sent.entry("Patient")["Marlowe"] = "14 Elm Street"
    sent.entry("ServiceRequest")["note"] = [{"text": "Marlowe"}]
    with caplog.at_level("DEBUG"):
        answer = _refer(http, sent)
    assert answer.status_code == 422
    assert [issue["expression"] for issue in answer.get_json()["issue"]] == [
        ["Bundle.entry[0].resource"],
        ["Bundle.entry[2].resource"],
    ]
    printed = "".join(capfd.readouterr())
    seen = answer.data + caplog.text.encode() + printed.encode() + world.bytes_on_disk()
    assert not any(canary in seen for canary in (b"Quillfeather", b"Marlowe", b"Elm Street"))
    assert not any(world.totals().values())


@pytest.mark.rule("R16")
def test_rule_R16_without_a_release_the_answer_is_422(http: FlaskClient, post: Post, world: Any) -> None:
    """No release attestation, no referral. Break: go on in ``accept`` although there are
    issues."""
    sent = post()
    del sent.bundle["entry"][1]
    assert _refer(http, sent).status_code == 422
    assert not any(world.totals().values())
    assert [row["partner"] for row in world.audit("refuse")] == ["harbor"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[]", 400),
        (b'{"resourceType":"Bundle","resourceType":"Task"}', 400),
        (b'{"a":' * 41 + b"1" + b"}" * 41, 400),
        (b"\xff\xfe", 400),
        (b'{"resourceType":"Bundle","x":"' + b"a" * 1_000_000 + b'"}', 413),
        (b'{"resourceType":"Bundle","x":"' + b"a" * 2_000_000 + b'"}', 413),
        (b"{}", 422),
        (b'{"resourceType":"Patient"}', 422),
        (b'{"resourceType":"Bundle","entry":[1,{"resource":2},{"resource":{"resourceType":["Task"]}}]}', 422),
    ],
)
@pytest.mark.parametrize("path", ["/fhir", "/fhir/Consent", f"/fhir/Task/{MADE_UP}"])
def test_bad_bodies_get_a_4xx_outcome_and_never_a_500(
    http: FlaskClient, world: Any, body: bytes, status: int, path: str
) -> None:
    """Malformed, doubled, deep, oversized or foreign bodies: a plain refusal, nothing stored, nothing repeated."""
    method = http.put if "Task" in path else http.post
    answer = method(path, data=body, headers=_headers(If_Match="*"))
    assert answer.status_code == status
    assert answer.get_json()["resourceType"] == "OperationOutcome"
    assert b"aaaa" not in answer.data
    assert not any(world.totals().values())


def test_another_content_type_is_not_read(http: FlaskClient, post: Post) -> None:
    """A form or plain text is no FHIR."""
    for content_type in ("application/x-www-form-urlencoded", "text/plain", ""):
        answer = http.post("/fhir", data=post().body, headers={**_headers(), "Content-Type": content_type})
        assert answer.status_code == 415


def test_without_a_live_token_every_path_is_401(http: FlaskClient, post: Post, our_task: str) -> None:
    """No token, a dead token: 401 with the challenge, whatever is asked."""
    for authorization, challenge in ((None, "Bearer"), ("Bearer dead", 'Bearer error="invalid_token"')):
        headers = {
            "Content-Type": "application/fhir+json",
            **({"Authorization": authorization} if authorization else {}),
        }
        for method, path in (("POST", "/fhir"), ("GET", f"/fhir/Task/{our_task}"), ("GET", "/fhir/Patient")):
            answer = http.open(path, method=method, headers=headers)
            assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, challenge)
            assert answer.get_json()["issue"][0]["code"] == "login"


@pytest.mark.parametrize(
    ("missing", "method", "path"),
    [
        ("system/Patient.c", "POST", "/fhir"),
        ("system/Consent.c", "POST", "/fhir"),
        ("system/Task.crus", "POST", "/fhir"),
        ("system/Appointment.cr", "POST", "/fhir"),
        ("system/Consent.c", "POST", "/fhir/Consent"),
        ("system/Patient.c", "POST", "/fhir/Bundle/$validate"),
        ("system/Task.crus", "GET", "/fhir/Task/{task}"),
        ("system/Task.crus", "PUT", "/fhir/Task/{task}"),
        ("system/Task.crus", "GET", "/fhir/Task"),
        ("system/Task.crus", "PATCH", "/fhir/Task/{task}"),
        ("system/Task.crus", "GET", "/fhir/Task/{task}/$status"),
        ("system/HealthcareService.ru", "GET", "/fhir/HealthcareService/harbor"),
        ("system/HealthcareService.ru", "PUT", "/fhir/HealthcareService/harbor"),
        ("system/ServiceRequest.cr", "GET", "/fhir/ServiceRequest/x"),
        ("system/Appointment.cr", "GET", "/fhir/Appointment/x"),
    ],
)
def test_a_scope_that_is_missing_is_refused_before_any_look_up(
    http: FlaskClient, tokens: Any, world: Any, post: Post, our_task: str, missing: str, method: str, path: str
) -> None:
    """Too small a token is 403, decided without opening the vault."""
    tokens.scopes = " ".join(scope for scope in tokens.scopes.split() if scope != missing)
    body = post(wanted_from=NOW + timedelta(days=2)).body
    opened = _touched(world)
    answer = http.open(path.format(task=our_task), method=method, data=body, headers=_headers(If_Match="x"))
    assert answer.status_code == 403
    assert "insufficient_scope" in answer.headers["WWW-Authenticate"]
    assert opened == []


def _touched(world: Any) -> list[str]:
    """From now on: statements that touch anything of a patient."""
    found: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "vault_" in statement or "audit_" in statement:
            found.append(statement)

    event.listen(world.engine, "before_cursor_execute", note)
    return found


UNLISTED_CALLS = [
    ("GET", "/fhir"),
    ("GET", "/fhir/"),
    ("POST", "/fhir/"),
    ("GET", "/fhir/Task?_sort=status"),
    ("GET", "/fhir/Task?status=requested&patient=x"),
    ("GET", "/fhir/Task?status:not=requested"),
    ("GET", "/fhir/Task?status=Requested"),
    ("GET", "/fhir/Task?status="),
    ("GET", "/fhir/Task?status=requested&status=accepted"),
    ("GET", "/fhir/Task?_count=0"),
    ("GET", "/fhir/Task?_count=-1"),
    ("GET", "/fhir/Task?_count=x"),
    ("GET", "/fhir/Task?_lastUpdated=2026-11-24"),
    ("GET", "/fhir/Task?_lastUpdated=ge2026"),
    ("GET", "/fhir/Task?_lastUpdated=sa2026-11-24"),
    ("GET", "/fhir/Task?_lastUpdated=ge2026-11-24&_lastUpdated=le2026-11-25&_lastUpdated=lt2026-11-26"),
    ("GET", "/fhir/Task?_after=x"),
    ("GET", "/fhir/Task?_include=Task:focus"),
    ("GET", "/fhir/Task?_summary=count"),
    ("HEAD", "/fhir/Task"),
    ("POST", "/fhir/Task"),
    ("GET", "/fhir/Task/{task}/$status?x=1"),
    ("PUT", "/fhir/Task/{task}/$status"),
    ("GET", "/fhir/HealthcareService"),
    ("GET", "/fhir/HealthcareService/harbor?_format=json"),
    ("PATCH", "/fhir/HealthcareService/harbor"),
    ("POST", "/fhir/HealthcareService"),
    ("DELETE", "/fhir/HealthcareService/harbor"),
    ("GET", "/fhir/Patient?name=Dana"),
    ("GET", "/fhir/Patient/p-dana"),
    ("POST", "/fhir/Patient"),
    ("POST", "/fhir/Task/_search"),
    ("GET", "/fhir/Slot"),
    ("GET", "/fhir/Appointment"),
    ("GET", "/fhir/Task/{task}?_elements=id"),
    ("GET", "/fhir/Task/{task}?_format=json"),
    ("GET", "/fhir/Task/{task}/_history"),
    ("GET", "/fhir/Task/{task}/_history/1"),
    ("GET", "/fhir/Task/{task}/$meta"),
    ("HEAD", "/fhir/Task/{task}"),
    ("OPTIONS", "/fhir/Task/{task}"),
    ("DELETE", "/fhir/Task/{task}"),
    ("POST", "/fhir/Task/{task}"),
    ("PUT", "/fhir/ServiceRequest/x"),
    ("PUT", "/fhir/Consent/x"),
    ("GET", "/fhir/Consent/x"),
    ("GET", "/fhir/$export"),
    ("GET", "/fhir/Bundle/$validate"),
    ("POST", "/fhir/Task/$validate"),
    ("POST", "/fhir/Bundle/x/$validate"),
    ("POST", "/fhir/Bundle/$validate?profile=x"),
    ("GET", "/fhir/Patient/p-dana/$everything"),
    ("POST", "/fhir/metadata"),
    ("GET", "/fhir/Observation"),
]


@pytest.mark.rule("R18")
@pytest.mark.parametrize(("method", "path"), UNLISTED_CALLS)
def test_rule_R18_what_is_not_offered_is_400_with_constant_bytes(
    http: FlaskClient, world: Any, our_task: str, method: str, path: str
) -> None:
    """Search, history, operations, other types and other methods: the same bytes, and the vault is not opened. Break:
    drop ``refuse_the_unlisted``, or serve a search."""
    opened = _touched(world)
    answer = http.open(path.format(task=our_task), method=method, headers=_headers())
    assert answer.status_code == 400
    assert answer.data == (b"" if method == "HEAD" else UNLISTED)
    assert opened == []


@pytest.mark.rule("R19")
def test_rule_R19_denied_and_absent_are_the_same_bytes_and_headers(
    http: FlaskClient, world: Any, post: Post, our_task: str
) -> None:
    """For another program, what exists and what was made up look the same. Break: answer 403 for a foreign Task."""
    theirs = _refer(http, post(release_a="outcome")).headers["Location"].rsplit("/", 1)[1]
    request_id = world.resource(f"Task/{theirs}")["focus"]["reference"].rsplit("/", 1)[1]
    own = http.get(f"/fhir/Task/{our_task}", headers=_headers())
    pairs = {
        "GET Task": [("GET", f"/fhir/Task/{one}") for one in (theirs, our_task, MADE_UP)],
        "GET ServiceRequest": [("GET", f"/fhir/ServiceRequest/{one}") for one in (request_id, MADE_UP)],
    }
    for calls in pairs.values():
        answers = [http.open(path, method=method, headers=_headers("northside")) for method, path in calls]
        assert {(answer.status_code, answer.data) for answer in answers} == {(404, NOT_FOUND)}
        assert len({tuple(answer.headers) for answer in answers}) == 1
    puts = [
        _put(http, one, {**own.get_json(), "id": one, "status": "accepted"}, own.headers["ETag"], "northside")
        for one in (our_task, MADE_UP)
    ]
    assert {(answer.status_code, answer.data) for answer in puts} == {(404, NOT_FOUND)}


@pytest.mark.rule("R20")
def test_rule_R20_a_status_without_release_is_403_with_constant_bytes(
    http: FlaskClient, world: Any, our_task: str, release_b: Callable[..., Any]
) -> None:
    """Without Consent B a program's status is refused; with it the same body is stored. Break: drop the ``Tier.NONE``
    check in ``update_from_partner``."""
    shown = http.get(f"/fhir/Task/{our_task}", headers=_headers())
    etag = shown.headers["ETag"]
    for status in ("accepted", "rejected", "completed"):
        refused = _put(http, our_task, {**shown.get_json(), "status": status}, etag)
        assert (refused.status_code, refused.data) == (403, FORBIDDEN)
    assert world.resource(f"Task/{our_task}")["status"] == "requested"
    consent = release_b(world.resource(f"Task/{our_task}"), "contact")
    posted = http.post("/fhir/Consent", data=json.dumps(consent), headers=_headers())
    assert posted.status_code == 201
    assert posted.headers["Location"].startswith(f"{BASE}/fhir/Consent/")
    updated = _put(http, our_task, {**shown.get_json(), "status": "accepted"}, etag)
    assert updated.status_code == 200
    assert updated.get_json()["status"] == "accepted"
    outside = _put(http, our_task, {**updated.get_json(), "status": "completed"}, updated.headers["ETag"])
    assert (outside.status_code, outside.data) == (403, FORBIDDEN)


def test_if_match_is_required_and_must_be_current(
    http: FlaskClient, world: Any, our_task: str, release_b: Callable[..., Any]
) -> None:
    """No If-Match is 428, an old one 412, an impossible move 422 with the allowed ones."""
    consent = release_b(world.resource(f"Task/{our_task}"), "outcome")
    http.post("/fhir/Consent", data=json.dumps(consent), headers=_headers())
    shown = http.get(f"/fhir/Task/{our_task}", headers=_headers())
    body = {**shown.get_json(), "status": "accepted"}
    missing = http.put(f"/fhir/Task/{our_task}", data=json.dumps(body), headers=_headers())
    assert missing.status_code == 428
    assert _put(http, our_task, body, 'W/"old"').status_code == 412
    jump = _put(http, our_task, {**body, "status": "completed"}, shown.headers["ETag"])
    assert jump.status_code == 422
    assert "accepted, cancelled, rejected" in jump.get_json()["issue"][0]["details"]["text"]


@pytest.mark.rule("R21")
def test_rule_R21_received_only_until_release_a_lets_day_and_time_through(
    http: FlaskClient, world: Any, post: Post, scheduler: Requester
) -> None:
    """Two requests are booked; the program sees "received" for the one without release A, byte for byte and ETag for
    ETag as before, and day and time for the other. Break: take the ETag from the store."""
    ids = {}
    for number, tier in (("1", None), ("2", "appointment")):
        answer = _refer(http, post(number=number, alias=f"R{number}", release_a=tier))
        ids[tier] = answer.headers["Location"].rsplit("/", 1)[1]
    before = http.get(f"/fhir/Task/{ids[None]}", headers=_headers())
    start = NOW + timedelta(days=1)
    references = {}
    for item in scheduling.queue(world.door, scheduler, NOW):
        references[item.alias] = item.appointment_reference
        arguments = (item.appointment_reference, start, start + timedelta(minutes=30), None, world.services.placement)
        scheduling.book(world.door, world.ehr, scheduler, *arguments, NOW)
    after = http.get(f"/fhir/Task/{ids[None]}", headers=_headers())
    assert (after.data, list(after.headers)) == (before.data, list(before.headers))
    hidden = http.get(f"/fhir/{references['R1']}", headers=_headers())
    assert (hidden.status_code, hidden.data) == (404, NOT_FOUND)
    told = http.get(f"/fhir/Task/{ids['appointment']}", headers=_headers()).get_json()
    assert told["output"][0]["valueReference"]["reference"] == references["R2"]
    visit = http.get(f"/fhir/{references['R2']}", headers=_headers()).get_json()
    assert (visit["status"], visit["start"]) == ("booked", "2026-11-25T15:00:00Z")


@pytest.mark.rule("R19")
def test_rule_R19_a_program_without_agreement_is_no_caller(http: FlaskClient, world: Any, our_task: str) -> None:
    """A client that belongs to no program of the directory gets 401. Break: skip the directory in the guard."""
    from smart_app.gateways.tables import partner

    with world.engine.begin() as connection:
        connection.execute(partner.delete())
    assert http.get(f"/fhir/Task/{our_task}", headers=_headers()).status_code == 401


def test_the_capability_statement_is_public_and_names_what_is_served(http: FlaskClient, app: Any) -> None:
    """Metadata needs no token, and each interaction it lists is a route."""
    answer = http.get("/fhir/metadata")
    assert answer.status_code == 200
    statement = answer.get_json()
    assert statement["implementation"]["url"] == f"{BASE}/fhir"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    served = {
        (rule.rule.removeprefix("/fhir/").split("/")[0], method)
        for rule in app.url_map.iter_rules()
        if rule.endpoint.startswith("partner_fhir.") and not rule.endpoint.endswith("unlisted")
        for method in (rule.methods or set()) - {"HEAD"}
    }
    methods = {"read": "GET", "create": "POST", "update": "PUT", "patch": "PATCH", "search-type": "GET"}
    listed = {(kind, methods[one]) for kind, interactions in INTERACTIONS.items() for one in interactions}
    listed |= {(kind, "POST") for kind in OPERATIONS}
    assert served - {("fhir", "POST"), ("", "POST"), ("/fhir", "POST")} == listed


def test_a_defect_of_ours_is_a_constant_500(
    http: FlaskClient, our_task: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """An error nobody expected is one line of outcome; its text stays away from the caller and the log."""

    def fail(*_: Any) -> None:
        raise RuntimeError("Marlowe")

    monkeypatch.setattr(inbound, "task_for_partner", fail)
    answer = http.get(f"/fhir/Task/{our_task}", headers=_headers())
    assert answer.status_code == 500
    assert answer.get_json()["issue"] == [{"severity": "error", "code": "exception"}]
    assert "Marlowe" not in "".join(capfd.readouterr())

"""The sandbox program over real HTTP: as the clinic's partner, as an advocate's inbox, and broken on purpose.

The clinic at the other end is a small one made here, with our own token endpoint and our own delivery client.
"""

from __future__ import annotations

import html
import json
import re
import stat
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import requests
from flask import Flask, Response, jsonify, request
from joserfc import jwt
from joserfc.jws import JWSRegistry
from sqlalchemy import create_engine
from werkzeug.serving import make_server

from fhir_profiles import validation
from launch import token_endpoint
from launch.backend_services import Client
from launch.errors import BearerError, PartnerSystemError
from launch.keys import KeyRing, create_key_file
from launch.resource_server import PartnerTokens
from launch.tables import metadata

Json = dict[str, Any]
SCOPE = "system/Patient.c system/Consent.c system/ServiceRequest.c system/Task.c"


@dataclass
class SmallClinic:
    """A clinic with a token endpoint and the five FHIR calls a partner makes; it remembers what came."""

    origin: str
    keys: KeyRing
    released: list[Json] = field(default_factory=list)
    referrals: list[Json] = field(default_factory=list)
    tasks: dict[str, Json] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    visits: dict[str, Json] = field(default_factory=dict)
    problems: list[Any] = field(default_factory=list)


def _clinic_app(clinic: SmallClinic, tokens: PartnerTokens) -> Flask:
    app = Flask("small-clinic")

    @app.errorhandler(BearerError)
    def bearer(error: BearerError) -> Response:
        return Response(status=error.status, headers={"WWW-Authenticate": error.www_authenticate})

    @app.get("/.well-known/jwks.json")
    def jwks() -> Response:
        return jsonify(clinic.keys.public_jwks())

    @app.post("/fhir")
    def referral() -> Response:
        token = tokens.require_token(request.headers)
        bundle = validation.parse(request.get_data())
        clinic.problems += validation.validate(bundle, "referral-bundle")
        if clinic.problems:
            return Response("{}", status=422)
        clinic.referrals.append(bundle)
        task = next(e["resource"] for e in bundle["entry"] if e["resource"]["resourceType"] == "Task")
        task_id = str(uuid.uuid4())
        clinic.tasks[task_id], clinic.versions[task_id], clinic.owners[task_id] = task, 1, token.client_id
        return Response("{}", status=202, headers={"Location": f"/fhir/Task/{task_id}"})

    @app.post("/fhir/Consent")
    def release() -> Response:
        tokens.require_scope(tokens.require_token(request.headers), "system/Consent.c")
        consent = validation.parse(request.get_data())
        clinic.problems += validation.validate(consent, "release-consent")
        clinic.released.append(consent)
        return Response("{}", status=422 if clinic.problems else 201)

    @app.route("/fhir/Task/<task_id>", methods=["GET", "PUT"])
    def task(task_id: str) -> Response:
        token = tokens.require_token(request.headers)
        if clinic.owners.get(task_id) != token.client_id:
            return Response("{}", status=404)
        if request.method == "PUT":
            if request.headers.get("If-Match") != f'W/"{clinic.versions[task_id]}"':
                return Response("{}", status=412)
            if not clinic.released:
                return Response("{}", status=403)
            clinic.tasks[task_id] = validation.parse(request.get_data())
            clinic.versions[task_id] += 1
        return Response(json.dumps(clinic.tasks[task_id]), headers={"ETag": f'W/"{clinic.versions[task_id]}"'})

    @app.get("/fhir/Appointment/<visit_id>")
    def visit(visit_id: str) -> Response:
        tokens.require_scope(tokens.require_token(request.headers), "system/Appointment.r")
        return jsonify(clinic.visits[visit_id])

    return app


@dataclass
class Sandbox:
    """A running program and its clinic."""

    clinic: SmallClinic
    web: str
    switches: str
    client: Client

    def control(self, path: str, body: Json | None = None) -> Any:
        method = "GET" if body is None else "POST"
        answer = requests.request(method, self.switches + path, json=body, timeout=30)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def deliver(self, bundle: Json) -> Any:
        return self.client.post(
            fhir_address=self.web + "/fhir",
            token_endpoint=self.web + "/token",
            client_id="care-connections",
            scope=SCOPE,
            body=json.dumps(bundle).encode(),
        )

    def page(self, path: str = "/", form: Any = None) -> requests.Response:
        headers = {"Origin": self.web}
        if form is None:
            return requests.get(self.web + path, timeout=30)
        return requests.post(self.web + path, data=form, headers=headers, timeout=30)

    def outbound(self, alias: str = "Robin") -> Json:
        """A referral of the clinic, as it would arrive: the same shape as an inbound one, the other way round."""
        sent = self.control("/refer", {"alias": alias, "phone": "555-0142", "needs": ["counseling"]})["sent"]
        text = json.dumps(sent).replace("Organization/hc1", "Organization/@@")
        text = text.replace("Organization/harbor", "Organization/hc1").replace("Organization/@@", "Organization/harbor")
        text = text.replace("HealthcareService/nextday", "Organization/harbor")
        bundle: Json = json.loads(text)
        for entry in bundle["entry"]:
            resource, new_id = entry["resource"], str(uuid.uuid4())
            address = f"{resource['resourceType']}/{new_id}"
            moved = json.dumps(bundle).replace(entry["fullUrl"], address)
            bundle.clear()
            bundle.update(json.loads(moved))
        for entry in bundle["entry"]:
            entry["resource"]["id"] = entry["fullUrl"].split("/")[1]
            entry["fullUrl"] = f"{self.clinic.origin}/fhir/{entry['fullUrl']}"
        self.clinic.tasks[task_of(bundle)["id"]] = task_of(bundle)
        self.clinic.versions[task_of(bundle)["id"]] = 1
        self.clinic.owners[task_of(bundle)["id"]] = "harbor-system"
        return bundle


def task_of(bundle: Json) -> Json:
    found: Json = next(e["resource"] for e in bundle["entry"] if e["resource"]["resourceType"] == "Task")
    return found


@pytest.fixture(scope="module")
def running(
    tmp_path_factory: pytest.TempPathFactory, start_process: Callable[..., Any], free_port: Callable[[], int]
) -> Iterator[Sandbox]:
    folder = tmp_path_factory.mktemp("program")
    clinic_port, port, control = free_port(), free_port(), free_port()
    create_key_file(folder / "clinic-keys.json")
    origin, web = f"http://127.0.0.1:{clinic_port}", f"http://localhost:{port}"
    clinic = SmallClinic(origin, KeyRing.load(folder / "clinic-keys.json"))
    engine = create_engine(f"sqlite:///{folder / 'clinic.sqlite'}", connect_args={"timeout": 15})
    metadata.create_all(engine)
    app = _clinic_app(clinic, PartnerTokens(engine, "hc1", lambda client_id: True))
    token_endpoint.install(app, engine, "hc1", origin, lambda event: None, lambda client_id: True, True)
    for name, path in (("harbor-system", "/jwks.json"), ("northside-system", "/northside/jwks.json")):
        registered = token_endpoint.PartnerClient(name, jwks_url=web + path)
        token_endpoint.register_client(engine, "hc1", registered, allows_loopback_http=True)
    server = make_server("127.0.0.1", clinic_port, app, threaded=True)
    Thread(target=server.serve_forever, daemon=True).start()
    start_process(
        *("-m", "launch.sandbox", "program", "--port", str(port), "--control", str(control), "--clinic", origin),
        *("--database", str(folder / "program.sqlite"), "--keys", str(folder / "keys.json")),
    )
    assert stat.S_IMODE((folder / "keys.json").stat().st_mode) == 0o600
    yield Sandbox(clinic, web, f"http://127.0.0.1:{control}", Client(clinic.keys, allows_loopback_http=True))
    server.shutdown()


@pytest.fixture
def sandbox(running: Sandbox) -> Sandbox:
    """The program with an empty inbox and all switches off."""
    running.control("/reset", {})
    for kept in (running.clinic.released, running.clinic.referrals, running.clinic.problems):
        kept.clear()
    running.client = Client(running.clinic.keys, allows_loopback_http=True)
    return running


# --- from the clinic to the program ----------------------------------------------------------------------------------


@pytest.mark.rule("attack 8")
def test_same_referral_twice_is_one_item(sandbox: Sandbox) -> None:
    """A referral that is delivered twice is one item in the inbox, with the same answer, and its bytes are kept."""
    bundle = sandbox.outbound()
    first, second = sandbox.deliver(bundle), sandbox.deliver(bundle)
    assert (first.status, first.body) == (second.status, second.body) == (200, first.body)
    (item,) = sandbox.control("/received")
    assert (item["times_received"], item["status"], item["tier"]) == (2, "requested", "none")
    assert item["bundle"] == json.dumps(bundle)
    assert item["task_url"] == f"{sandbox.clinic.origin}/fhir/Task/{item['task_id']}"
    assert item["task_id"] == task_of(bundle)["id"]


def test_clinic_takes_an_item_back(sandbox: Sandbox) -> None:
    """The clinic says "cancelled", once or twice, and the item is closed; any other change of it is refused."""
    bundle = sandbox.outbound()
    sandbox.deliver(bundle)
    task = task_of(bundle)
    number = f"{task['identifier'][0]['system']}|{task['identifier'][0]['value']}"

    def take_back(identifier: str = number, scope: str = "system/Task.u", **changes: str) -> int:
        return sandbox.client.put(
            fhir_address=sandbox.web + "/fhir",
            token_endpoint=sandbox.web + "/token",
            client_id="care-connections",
            scope=scope,
            path="Task",
            identifier=identifier,
            body=json.dumps({**task, **changes}).encode(),
        ).status

    for wrong in ({"status": "accepted"}, {"status": "cancelled", "identifier": number + "x"}):
        with pytest.raises(PartnerSystemError, match="put-status-422"):
            take_back(**wrong)
    with pytest.raises(PartnerSystemError, match="put-status-403"):
        take_back(scope="system/Task.c", status="cancelled")
    assert [item["status"] for item in sandbox.control("/received")] == ["requested"]
    assert [take_back(status="cancelled") for _ in range(2)] == [200, 200]
    assert [item["status"] for item in sandbox.control("/received")] == ["cancelled"]


def test_mixed_up_identifiers_are_a_conflict(sandbox: Sandbox) -> None:
    """A known item number under a new envelope is not taken silently for either of the two."""
    bundle = sandbox.outbound()
    sandbox.deliver(bundle)
    bundle["identifier"]["value"] = "another"
    with pytest.raises(PartnerSystemError) as refused:
        sandbox.deliver(bundle)
    assert (refused.value.status, refused.value.is_permanent) == (409, True)
    assert len(sandbox.control("/received")) == 1


def _expired(bundle: Json) -> None:
    consent = next(e["resource"] for e in bundle["entry"] if e["resource"]["resourceType"] == "Consent")
    consent["provision"]["period"]["end"] = "2020-01-01"


def _for_another(bundle: Json) -> None:
    consent = next(e["resource"] for e in bundle["entry"] if e["resource"]["resourceType"] == "Consent")
    consent["provision"]["actor"][0]["reference"]["reference"] = "Organization/northside"


def _without_release(bundle: Json) -> None:
    bundle["entry"] = [e for e in bundle["entry"] if e["resource"]["resourceType"] != "Consent"]


@pytest.mark.rule("R9")
@pytest.mark.parametrize("spoil", [_expired, _for_another, _without_release])
def test_program_wants_nothing_without_a_release(spoil: Callable[[Json], None], sandbox: Sandbox) -> None:
    """Without a release to this program that is in force today, the program keeps nothing."""
    bundle = sandbox.outbound()
    spoil(bundle)
    with pytest.raises(PartnerSystemError) as refused:
        sandbox.deliver(bundle)
    assert refused.value.status == 422
    assert sandbox.control("/received") == []


def test_program_that_is_down_comes_back(sandbox: Sandbox) -> None:
    """Down, hanging up and slow are three ways to fail; afterwards the same item is delivered once."""
    bundle = sandbox.outbound()
    for knob, status in (("down", 503), ("refuse", None)):
        sandbox.control("/set", {knob: True})
        with pytest.raises(PartnerSystemError) as refused:
            sandbox.deliver(bundle)
        assert (refused.value.status, refused.value.is_permanent) == (status, False)
        sandbox.control("/set", {knob: False})
    sandbox.deliver(bundle)
    sandbox.control("/set", {"slow_seconds": 0.4})
    began = time.monotonic()
    sandbox.deliver(bundle)
    assert time.monotonic() - began >= 0.4
    assert [item["times_received"] for item in sandbox.control("/received")] == [2]


@pytest.mark.parametrize("wrong", [{"down": "yes"}, {"slow_seconds": 1000}, {"slow_seconds": True}, {"unknown": 1}])
def test_wrong_switch_changes_nothing(wrong: Json, sandbox: Sandbox) -> None:
    """A switch that does not exist is named in one sentence, and no other switch moves."""
    before = sandbox.control("/state")["knobs"]
    answer = requests.post(sandbox.switches + "/set", json={"down": True, **wrong}, timeout=30)
    assert (answer.status_code, list(answer.json())) == (400, ["error"])
    assert sandbox.control("/state")["knobs"] == before


def assertion(sandbox: Sandbox, alg: str = "ES384", header: Json | None = None, **changes: Any) -> str:
    now = int(time.time())
    own = {"iss": "care-connections", "sub": "care-connections", "aud": sandbox.web + "/token", "exp": now + 200}
    claims = {name: value for name, value in ({**own, "jti": str(uuid.uuid4())} | changes).items() if value is not None}
    key = sandbox.clinic.keys.signing_key(alg)
    head = {"alg": alg, "kid": key.kid, "typ": "JWT", **(header or {})}
    return jwt.encode(
        {k: v for k, v in head.items() if v is not None}, claims, key, registry=JWSRegistry(algorithms=[alg])
    )


def ask_token(sandbox: Sandbox, said: str, **changes: Any) -> requests.Response:
    form = {
        "grant_type": "client_credentials",
        "scope": SCOPE,
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": said,
    }
    return requests.post(sandbox.web + "/token", data={**form, **changes}, timeout=30)


def test_program_is_strict_about_who_the_clinic_is(sandbox: Sandbox) -> None:
    """Only a fresh assertion of the clinic, signed by a published key and addressed to this program, gets a token."""
    now = int(time.time())
    used = assertion(sandbox)
    assert ask_token(sandbox, used).status_code == 200
    assert ask_token(sandbox, assertion(sandbox, "RS384")).status_code == 200
    wrong = {
        "second use": used,
        "aud": assertion(sandbox, aud=sandbox.web),
        "iss": assertion(sandbox, iss="other"),
        "long life": assertion(sandbox, exp=now + 3600),
        "expired": assertion(sandbox, exp=now - 60),
        "no exp": assertion(sandbox, exp=None),
        "no jti": assertion(sandbox, jti=None),
        "other typ": assertion(sandbox, header={"typ": "JOSE"}),
        "unknown key": assertion(sandbox, header={"kid": "other"}),
        "changed": assertion(sandbox)[:-6] + "AAAAAA",
        "garbage": "a.b.c",
        "not ascii": "ä",
    }
    for name, said in wrong.items():
        answer = ask_token(sandbox, said)
        assert (answer.status_code, answer.json().get("error")) == (400, "invalid_client"), (name, answer.text)
    assert ask_token(sandbox, assertion(sandbox), scope="system/Patient.r").json()["error"] == "invalid_scope"
    assert ask_token(sandbox, assertion(sandbox), scope="").json()["error"] == "invalid_request"
    assert ask_token(sandbox, assertion(sandbox), grant_type="password").json()["error"] == "unsupported_grant_type"


def test_program_takes_fhir_only_with_a_live_token_that_covers_it(sandbox: Sandbox) -> None:
    """No token, a made-up token, a scope too small or a wrong content type: nothing is kept."""
    body = json.dumps(sandbox.outbound())
    small = ask_token(sandbox, assertion(sandbox), scope="system/Task.c").json()["access_token"]
    whole = ask_token(sandbox, assertion(sandbox)).json()["access_token"]
    for token, kind, content, status in (
        ("", "application/fhir+json", body, 401),
        ("made-up", "application/fhir+json", body, 401),
        (small, "application/fhir+json", body, 403),
        (whole, "text/plain", body, 415),
        (whole, "application/fhir+json", "{", 400),
        (whole, "application/fhir+json", "[" * 100_000, 400),
        (whole, "application/fhir+json", "[]", 422),
        (whole, "application/fhir+json", '{"resourceType":"Bundle","type":"transaction","entry":[1]}', 422),
    ):
        headers = {"Authorization": f"Bearer {token}", "Content-Type": kind}
        answer = requests.post(sandbox.web + "/fhir", data=content, headers=headers, timeout=30)
        assert answer.status_code == status
        assert answer.json()["resourceType"] == "OperationOutcome"
    assert sandbox.control("/received") == []


# --- from the program to the clinic ----------------------------------------------------------------------------------


@pytest.mark.rule("R16")
@pytest.mark.parametrize("phone", ["555-0142", None])
@pytest.mark.parametrize("release_a", [True, False])
def test_referral_keeps_the_shape_agreed(phone: str | None, release_a: bool, sandbox: Sandbox) -> None:
    """What the program sends passes the clinic's own check: a signed, dated release and nothing beyond the list."""
    told = sandbox.control("/refer", {"alias": "Robin", "phone": phone, "release_a": release_a, "language": "es"})
    assert sandbox.clinic.problems == []
    assert (told["status"], told["location"].startswith("/fhir/Task/")) == (202, True)
    (bundle,) = sandbox.clinic.referrals
    consents = [e["resource"] for e in bundle["entry"] if e["resource"]["resourceType"] == "Consent"]
    assert len(consents) == 1 + release_a
    assert ("555-0142" in json.dumps(bundle)) is (phone is not None)
    assert bundle == told["sent"]
    (kept,) = sandbox.control("/sent")
    assert (json.loads(kept["bundle"]), kept["sender"], kept["location"]) == (bundle, "harbor", told["location"])


def test_overrides_change_what_is_sent(sandbox: Sandbox) -> None:
    """A tester can spoil one element of a referral and see the clinic refuse it."""
    spoiled = {"/entry/0/resource/address": [{"line": ["x"]}], "/identifier/value": "same"}
    told = sandbox.control("/refer", {"alias": "Robin", "overrides": spoiled})
    assert (told["status"], told["location"]) == (422, None)
    assert told["sent"]["identifier"]["value"] == "same"
    sandbox.clinic.problems.clear()
    nowhere = requests.post(
        sandbox.switches + "/refer", json={"alias": "R", "overrides": {"/entry/99/x": 1}}, timeout=30
    )
    assert nowhere.status_code == 400


@pytest.mark.rule("R19")
def test_two_programs_have_two_keys(sandbox: Sandbox) -> None:
    """The other program signs with its own key and does not see Harbor's item."""
    keys = [
        requests.get(sandbox.web + path, timeout=30).json()["keys"] for path in ("/jwks.json", "/northside/jwks.json")
    ]
    assert keys[0][0]["kid"] != keys[1][0]["kid"]
    assert all("d" not in key for found in keys for key in found)
    location = sandbox.control("/refer", {"alias": "Robin"})["location"]
    seen = {name: sandbox.control(f"/look?as={name}&url={location}")["status"] for name in ("harbor", "northside")}
    assert seen == {"harbor": 200, "northside": 404}
    away = requests.get(sandbox.switches + "/look", params={"url": "http://127.0.0.1:1/fhir/Task/1"}, timeout=30)
    assert away.status_code == 502, "the token goes to the clinic only"


@pytest.mark.rule("R20")
def test_status_goes_back_only_after_the_survivor_signed(sandbox: Sandbox) -> None:
    """The program may tell the clinic something only after release B, and says what it read before it changes it."""
    bundle = sandbox.outbound()
    sandbox.deliver(bundle)
    url = sandbox.control("/received")[0]["task_url"]
    assert sandbox.control("/status", {"task_url": url, "status": "accepted"})["status"] == 403
    assert sandbox.control("/release", {"task_url": url, "tier": "contact"})["status"] == 201
    assert sandbox.clinic.problems == []
    (consent,) = sandbox.clinic.released
    assert consent["provision"]["data"] == [{"meaning": "instance", "reference": {"reference": url}}]
    assert consent["organization"] == [{"reference": "Organization/harbor"}]
    assert sandbox.control("/status", {"task_url": url, "status": "accepted", "if_match": 'W/"0"'})["status"] == 412
    assert sandbox.control("/status", {"task_url": url, "status": "accepted"})["status"] == 200
    told = sandbox.clinic.tasks[task_of(bundle)["id"]]
    assert told == {**task_of(bundle), "status": "accepted"}
    assert sandbox.control("/received")[0]["status"] == "accepted"
    unknown = requests.post(
        sandbox.switches + "/status", json={"task_url": url + "x", "status": "accepted"}, timeout=30
    )
    assert unknown.status_code == 400


# --- the advocate's pages --------------------------------------------------------------------------------------------


def words_of(page: requests.Response) -> str:
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.text)))


@pytest.mark.rule("R13")
def test_inbox_names_nobody_until_a_person_opens_the_item(sandbox: Sandbox) -> None:
    """The list says "1 item"; name and phone stand only on the opened item, and no refused button is offered."""
    sandbox.deliver(sandbox.outbound("Zyx-Canary"))
    inbox = sandbox.page()
    assert "1 item" in words_of(inbox)
    assert "555-0142" not in inbox.text
    path = re.search(r'href="(/items/[^"]+)"', inbox.text)
    assert path is not None
    closed = sandbox.page(path[1])
    assert "Zyx-Canary" not in closed.text
    opened = sandbox.page(path[1] + "/open", {})
    text = words_of(opened)
    assert "Zyx-Canary" in text
    assert "555-0142" in text
    assert "Do not leave a message" in text
    assert "Someone to talk to" in text
    assert 'value="accept"' not in opened.text
    assert 'value="decline"' not in opened.text
    assert "checked" not in opened.text, "no release is ticked for the survivor"


def test_advocate_records_the_release_and_declines_with_a_code(sandbox: Sandbox) -> None:
    """After the survivor signed, the advocate can accept or decline; a decline carries a code with a fixed wording."""
    bundle = sandbox.outbound()
    sandbox.deliver(bundle)
    path = re.search(r'href="(/items/[^"]+)"', sandbox.page().text)[1]  # type: ignore[index]
    sandbox.page(path + "/open", {})
    assert "Choose how far" in words_of(sandbox.page(path + "/release", {"tier": "outcome"}))
    assert "Choose one of the steps" in words_of(sandbox.page(path + "/status", {"action": "accept"}))
    signed = sandbox.page(path + "/release", {"tier": "contact", "signer": "self"})
    assert "The clinic has the release" in words_of(signed)
    assert 'value="accept"' in signed.text
    assert "A meeting is arranged" not in signed.text.split("The survivor signed")[0]
    assert "a reason if you decline" in words_of(
        sandbox.page(path + "/status", {"action": "decline", "reason": "other"})
    )
    declined = sandbox.page(path + "/status", {"action": "decline", "reason": "no-capacity"})
    assert "The clinic was told" in words_of(declined)
    reason = sandbox.clinic.tasks[task_of(bundle)["id"]]["statusReason"]
    assert (reason["text"], reason["coding"][0]["code"]) == ("No capacity today", "no-capacity")
    assert 'value="accept"' not in declined.text


def test_advocate_refers_someone_and_sees_what_came_back(sandbox: Sandbox) -> None:
    """The form sends nothing without a signed release; day and time appear when the clinic may tell them."""
    form = {"alias": "Robin", "meet": "safe-contact", "phone": "555-0142", "language": "en", "need": ["medical-visit"]}
    refused = sandbox.page("/refer", form)
    assert refused.status_code == 422
    assert "Without a signed release nothing is sent" in words_of(refused)
    assert 'value="Robin"' in refused.text, "what was typed is still there"
    assert not sandbox.clinic.referrals
    sent = sandbox.page("/refer", {**form, "signer": "self", "tells_time": "yes", "voicemail": "none"})
    assert "Sent. The clinic has it." in words_of(sent)
    assert sandbox.clinic.problems == []
    ask = re.search(r'action="(/sent/[^"]+/ask)"', sent.text)
    assert ask is not None
    assert "Visit:" not in words_of(sandbox.page(ask[1], {}))
    (task_id,) = [name for name, task in sandbox.clinic.tasks.items() if task == task_of(sandbox.clinic.referrals[0])]
    start = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    sandbox.clinic.visits["v1"] = {"resourceType": "Appointment", "start": start.isoformat(), "end": start.isoformat()}
    sandbox.clinic.tasks[task_id] = {
        **sandbox.clinic.tasks[task_id],
        "status": "accepted",
        "output": [{"valueReference": {"reference": "Appointment/v1"}}],
    }
    back = words_of(sandbox.page(ask[1], {}))
    assert f"Visit: {start.astimezone(ZoneInfo('America/Chicago')):%A}" in back
    assert "Accepted" in back


@pytest.mark.rule("attack 11")
def test_pages_take_forms_from_themselves_only(sandbox: Sandbox) -> None:
    """A form on another site cannot act as the advocate, and no page loads or frames anything foreign."""
    sandbox.deliver(sandbox.outbound())
    path = re.search(r'href="(/items/[^"]+)"', sandbox.page().text)[1]  # type: ignore[index]
    for headers in ({}, {"Origin": "null"}, {"Origin": sandbox.web, "Sec-Fetch-Site": "cross-site"}):
        answer = requests.post(sandbox.web + path + "/open", headers=headers, timeout=30)
        assert answer.status_code == 403
    other = requests.get(sandbox.web.replace("localhost", "127.0.0.1") + "/", timeout=30)
    assert other.status_code == 421
    for page in ("/", path, "/refer", "/nothing"):
        policy = sandbox.page(page).headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; style-src 'self'")
        assert "frame-ancestors 'none'" in policy
        assert "http" not in re.sub(r'action="[^"]*"', "", sandbox.page(page).text)


def test_program_talks_to_this_machine_only(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A sandbox pointed at a real address refuses to start."""
    from launch.sandbox.__main__ import main

    arguments = [
        "program",
        "--clinic",
        "https://clinic.example",
        "--database",
        str(tmp_path / "p"),
        "--keys",
        str(tmp_path / "k"),
    ]
    assert main(arguments) == 2
    assert "this machine" in capfd.readouterr().err

"""The cases of Inferno's SMART App Launch 2.2 client suite, played against our strict sandbox, which records what came.

Names carry the suite's own numbers. ``alca``: confidential, asymmetric. ``alcs``: confidential, symmetric. ``alp``:
public. The sandbox shares no code with the client; what it let pass is judged here again, from the bytes that reached
it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from threading import Thread
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
import requests
from flask import Flask, jsonify
from joserfc import jws, jwt
from joserfc.jwk import JWKRegistry
from launch_events import noted_in
from sqlalchemy import create_engine
from werkzeug.serving import make_server
from wire_recorder import Heard, Recorder

from launch import routes
from launch import session as launch_session
from launch.keys import KeyRing
from launch.registrations import RegistrationsError, parse
from launch.sandbox import app as ehr_site
from launch.sandbox.addresses import Addresses
from launch.sandbox.database import Database
from launch.sandbox.ehr import Ehr
from launch.sandbox.registered_apps import PUBLIC_CLIENT_ID, SYMMETRIC_CLIENT_ID, SYMMETRIC_SECRET
from launch.sandbox.serving import Sites
from launch.tables import metadata

JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
READ_SCOPES = {"launch", "openid", "fhirUser", "online_access"} | {
    "patient/Patient.rs", "patient/Encounter.rs", "user/Practitioner.rs",
}  # fmt: skip
REGISTRATIONS = {
    "alca-ES384": {"client_id": "care-connections", "signing_alg": "ES384"},
    "alca-RS384": {"client_id": "care-connections", "signing_alg": "RS384", "authorize_method": "get"},
    "alcs": {
        "client_id": SYMMETRIC_CLIENT_ID,
        "token_endpoint_auth_method": "client_secret_basic",
        "client_secret": SYMMETRIC_SECRET,
    },
    "alp": {"client_id": PUBLIC_CLIENT_ID, "token_endpoint_auth_method": "none"},
}
ASYMMETRIC = ("alca-ES384", "alca-RS384")


@dataclass
class Run:
    """One app as one kind of client, from the launch to leaving, and what the EHR heard of it."""

    registration: dict[str, str]
    ours: str
    fhir_base: str
    token_endpoint: str
    jwks: dict[str, Any]
    launch_value: str = ""
    patient: dict[str, Any] = field(default_factory=dict)
    events: list[Any] = field(default_factory=list)
    heard: list[Heard] = field(default_factory=list)

    @property
    def authorization(self) -> tuple[str, dict[str, list[str]]]:
        (asked,) = [one for one in self.heard if one.path.endswith("/oauth/authorize")]
        return asked.method, asked.form if asked.method == "POST" else asked.query

    def at(self, ends: str) -> list[Heard]:
        return [one for one in self.heard if one.path.endswith(ends)]


def _play(run: Run, launched: routes.Launch, ehr: Ehr, recorder: Recorder) -> None:
    """Open the app from a chart, read the patient, let the token run out, read again, leave."""
    cookies: dict[str, dict[str, str]] = {}

    def send(method: str, url: str, data: Any = None) -> requests.Response:
        held = cookies.setdefault(urlsplit(url).netloc, {})
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in held.items())}
        answer = requests.request(method, url, data=data, headers=headers, allow_redirects=False, timeout=20)
        held.update(answer.cookies.get_dict())
        return answer

    recorder.heard.clear()
    run.launch_value = ehr.start_launch("b", "dr-lee", "p-dana")
    query = {"iss": run.fhir_base, "launch": run.launch_value}
    answer = send("GET", requests.Request("GET", run.ours + "/launch", params=query).prepare().url or "")
    if answer.status_code == 200:  # a page whose form the browser sends at once
        page = answer.json()
        answer = send("POST", page["action"], page["members"])
    while answer.status_code in (302, 303):
        answer = send("GET", urljoin(answer.url, answer.headers["Location"]))
    context = answer.json()
    connection = launched.fhir_clients.for_launch(context["launch_id"])
    assert connection.read("Patient/p-dana")["id"] == "p-dana"
    ehr.grants.expire_access_tokens()
    run.patient = connection.read("Patient/p-dana")
    send("POST", f"{run.ours}/v/{context['launch_id']}/leave").raise_for_status()
    run.heard = list(recorder.heard)


@pytest.fixture(scope="module")
def played(
    key_file: Any, free_port: Callable[[], int], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Run]]:
    """Each kind of client once, at one EHR."""
    place, keys = tmp_path_factory.mktemp("inferno"), KeyRing.load(key_file)
    ours, port = free_port(), free_port()
    addresses = Addresses(ehr=f"http://localhost:{port}", app=f"http://127.0.0.1:{ours}")
    ehr = Ehr(addresses, Database(place / "ehr.sqlite3"))
    recorder = Recorder(ehr_site.create_app(ehr))
    sites, runs = Sites([(recorder, port)]), {}
    for name, registration in REGISTRATIONS.items():
        engine = create_engine(f"sqlite:///{place / name}.sqlite3", hide_parameters=True)
        metadata.create_all(engine)
        app, events = Flask(name), list[Any]()
        launched = routes.install(
            app,
            parse(_configuration(key_file, addresses, registration)),
            engine=engine, cipher=_Unsealed(), tenant_id="hc1", on_event=noted_in(events),
            is_partner_open=lambda _: False, keys=keys,
            show_form=lambda wanted: jsonify(action=wanted.endpoint, members=dict(wanted.members)),
        )  # fmt: skip
        _add_pages(app)
        server = make_server("127.0.0.1", ours, app, threaded=True)
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        run = Run(
            registration, addresses.app, addresses.fhir("b"), addresses.token_endpoint("b"), keys.public_jwks(),
            events=events,
        )  # fmt: skip
        _play(run, launched, ehr, recorder)
        runs[name] = run
        server.shutdown()
        server.server_close()
        engine.dispose()
    yield runs
    sites.stop()
    ehr.database.close()


class _Unsealed:
    """These tests look at the wire, not at our tables."""

    def seal(self, plaintext: bytes, *, purpose: str) -> bytes:
        return plaintext

    def open(self, sealed: bytes, *, purpose: str) -> bytes:
        return sealed


def _configuration(key_file: Any, addresses: Addresses, registration: dict[str, str]) -> dict[str, Any]:
    return {
        "public_base_url": addresses.app,
        "keys_file": str(key_file),
        "allows_loopback_http": True,
        "product_name": "Care Connections",
        "ehr": [
            {"id": "b", "issuer": addresses.fhir("b"), "name": "B", "frame_origins": [addresses.ehr], **registration}
        ],
    }


def _add_pages(app: Flask) -> None:
    @app.get("/v/<launch_id>/")
    def home(launch_id: str) -> Any:
        return jsonify(launch_session.current_launch(launch_id).to_json())

    @app.post("/v/<launch_id>/leave")
    def leave(launch_id: str) -> str:
        launch_session.end_launch(launch_id)
        return "left"


@pytest.fixture
def run(request: pytest.FixtureRequest, played: dict[str, Run]) -> Run:
    return played[request.param]


def kinds(*names: str) -> Any:
    return pytest.mark.parametrize("run", names, indirect=True)


# --- registration: 1.01, 2.01, 3.01 ----------------------------------------------------------------------------------


def _registered(key_file: Any, **registration: str) -> Any:
    return parse(
        {
            "public_base_url": "https://app.example.org",
            "keys_file": str(key_file),
            "product_name": "Care Connections",
            "ehr": [
                {"id": "x", "issuer": "https://ehr.example/fhir", "name": "X", "frame_origins": ["https://ehr.example"],
                 "client_id": "any", **registration}
            ],
        }
    )  # fmt: skip


def _require_fixed_https_urls(key_file: Any, **registration: str) -> None:
    found = _registered(key_file, **registration)
    assert found.launch_url == "https://app.example.org/launch"
    assert found.redirect_uri == "https://app.example.org/callback"
    for wrong in ("http://app.example.org", "https://*.example.org", "https://app.example.org/path?x=1"):
        with pytest.raises(RegistrationsError):
            parse({"public_base_url": wrong, "keys_file": str(key_file), "product_name": "x", "ehr": []})


@pytest.mark.requirement("smart@1")
@pytest.mark.requirement("smart@20")
@pytest.mark.requirement("smart@21")
@pytest.mark.requirement("smart@22")
@pytest.mark.requirement("smart@290")
@pytest.mark.requirement("smart@291")
@pytest.mark.requirement("smart@293")
@pytest.mark.requirement("smart@294")
def test_inferno_1_01_smart_client_registration_alca_verification(key_file: Any, keys: KeyRing) -> None:
    """What an asymmetric app registers: one https address to open it, one to return to, and a set of public keys.

    Breaks when ``_scheme`` takes http, or ``public_jwks`` leaves a key out.
    """
    _require_fixed_https_urls(key_file)
    published = keys.public_jwks()["keys"]
    assert {key["alg"] for key in published} == {"ES384", "RS384"}
    for key in published:
        assert not {"d", "p", "q", "k"} & key.keys()
        assert JWKRegistry.import_key(key).kid == key["kid"]


@pytest.mark.requirement("smart@20")
@pytest.mark.requirement("smart@21")
@pytest.mark.requirement("smart@23")
def test_inferno_2_01_smart_client_registration_alcs_verification(key_file: Any) -> None:
    """What a symmetric app registers: the same two addresses, and a secret that is required and never shown."""
    method = {"token_endpoint_auth_method": "client_secret_basic"}
    _require_fixed_https_urls(key_file, **method, client_secret="canary-secret")
    registered = _registered(key_file, **method, client_secret="canary-secret")
    assert registered.ehrs[0].client_secret == "canary-secret"
    assert "canary-secret" not in repr(registered)
    with pytest.raises(RegistrationsError):
        _registered(key_file, **method)


@pytest.mark.requirement("smart@20")
@pytest.mark.requirement("smart@21")
def test_inferno_3_01_smart_client_registration_alp_verification(key_file: Any) -> None:
    """What a public app registers: the same two addresses, and no secret, which it could not keep."""
    _require_fixed_https_urls(key_file, token_endpoint_auth_method="none")
    with pytest.raises(RegistrationsError):
        _registered(key_file, token_endpoint_auth_method="none", client_secret="canary-secret")


# --- access: 5.01, 5.02, 5.03, and 5.12 ------------------------------------------------------------------------------


def _require_access(run: Run) -> None:
    assert run.patient["id"] == "p-dana"
    assert [event.name for event in run.events] == ["launch-begun", "launch-completed", "launch-ended"]
    assert len(run.at("/oauth/token")) == 2
    assert [one.status for one in run.at("/oauth/token")] == [200, 200]


@pytest.mark.requirement("smart@11")
@pytest.mark.requirement("smart@64")
@pytest.mark.requirement("smart@65")
@kinds(*ASYMMETRIC)
def test_inferno_5_01_smart_client_access_alca_interaction(run: Run) -> None:
    """With a signed proof of either kind the app opens from a chart, gets a token, and reads the patient."""
    _require_access(run)


@pytest.mark.requirement("smart@66")
@pytest.mark.requirement("smart@64")
@kinds("alcs")
def test_inferno_5_02_smart_client_access_alcs_interaction(run: Run) -> None:
    """With a shared secret the app opens from a chart, gets a token, and reads the patient."""
    _require_access(run)


@pytest.mark.requirement("smart@12")
@pytest.mark.requirement("smart@63")
@kinds("alp")
def test_inferno_5_03_smart_client_access_alp_interaction(run: Run) -> None:
    """With neither proof nor secret, where an EHR wants it so, the app opens, gets a token, and reads the patient."""
    _require_access(run)


@pytest.mark.requirement("smart@93")
@kinds(*REGISTRATIONS)
def test_inferno_5_12_smart_client_token_use_verification(run: Run) -> None:
    """The token goes in the header as Bearer, and was taken; after it ran out it was renewed once and taken again."""
    reads = run.at("/fhir/Patient/p-dana")
    assert [one.status for one in reads] == [200, 401, 200]
    given = [json.loads(one.answer)["access_token"] for one in run.at("/oauth/token")]
    assert [one.headers["AUTHORIZATION"] for one in reads] == [
        f"Bearer {given[0]}", f"Bearer {given[0]}", f"Bearer {given[1]}",
    ]  # fmt: skip
    assert not any("access_token" in one.query for one in run.heard)


# --- authorization request: 5.05, 5.06, 5.07 -------------------------------------------------------------------------


def _require_sound_authorization(run: Run) -> None:
    _, asked = run.authorization
    assert {name: len(values) for name, values in asked.items()} == dict.fromkeys(asked, 1)
    sent = {name: values[0] for name, values in asked.items()}
    assert sent["response_type"] == "code"
    assert sent["client_id"] == run.registration["client_id"]
    assert sent["redirect_uri"] == run.ours + "/callback"
    assert sent["launch"] == run.launch_value
    assert sent["aud"] == run.fhir_base
    assert sent["code_challenge_method"] == "S256"
    assert len(base64.urlsafe_b64decode(sent["code_challenge"] + "=")) == 32
    assert len(sent["state"]) * 6 >= 122
    assert set(sent["scope"].split()) == READ_SCOPES
    assert set(sent) == {
        "response_type", "client_id", "redirect_uri", "launch", "aud", "scope", "state", "nonce",
        "code_challenge", "code_challenge_method",
    }  # fmt: skip


@pytest.mark.requirement("smart@150")
@pytest.mark.requirement("smart@3")
@pytest.mark.requirement("smart@13")
@pytest.mark.requirement("smart@32")
@pytest.mark.requirement("smart@33")
@pytest.mark.requirement("smart@34")
@pytest.mark.requirement("smart@35")
@pytest.mark.requirement("smart@37")
@pytest.mark.requirement("smart@39")
@pytest.mark.requirement("smart@40")
@pytest.mark.requirement("smart@41")
@pytest.mark.requirement("smart@42")
@pytest.mark.requirement("smart@44")
@pytest.mark.requirement("smart@45")
@pytest.mark.requirement("smart@151")
@pytest.mark.requirement("smart@161")
@pytest.mark.requirement("smart@211")
@kinds(*ASYMMETRIC)
def test_inferno_5_05_smart_client_authorization_request_alca_verification(run: Run) -> None:
    """The request for a code holds everything the standard asks for, once each, and nothing else (no ``max_age``)."""
    _require_sound_authorization(run)


@pytest.mark.requirement("smart@33")
@kinds("alcs")
def test_inferno_5_06_smart_client_authorization_request_alcs_verification(run: Run) -> None:
    """A symmetric client asks for its code exactly as an asymmetric one does."""
    _require_sound_authorization(run)


@pytest.mark.requirement("smart@33")
@kinds("alp")
def test_inferno_5_07_smart_client_authorization_request_alp_verification(run: Run) -> None:
    """A public client asks for its code exactly as the others do, PKCE included."""
    _require_sound_authorization(run)


@pytest.mark.requirement("smart@50")
@pytest.mark.requirement("smart@51")
@pytest.mark.requirement("smart@52")
@pytest.mark.requirement("smart@133")
@kinds(*REGISTRATIONS)
def test_authorization_goes_as_a_form_unless_the_registration_says_get(run: Run) -> None:
    """The EHR lists ``authorize-post``: the request is a form and no member stands in an address. With ``get`` it is a
    query."""
    method, _ = run.authorization
    (asked,) = run.at("/oauth/authorize")
    if run.registration.get("authorize_method") == "get":
        assert (method, asked.body) == ("GET", b"")
    else:
        assert (method, asked.query) == ("POST", {})
        assert asked.headers["CONTENT_TYPE"] == "application/x-www-form-urlencoded"


# --- token request: 5.08, 5.09, 5.10 ---------------------------------------------------------------------------------


def _require_sound_token_requests(run: Run) -> list[Heard]:
    """What holds for every kind of client: the form, the code with its address and verifier, the refresh without scope.
    Returns all requests that need a client to be known: exchange, refresh, revocations."""
    exchange, refresh = run.at("/oauth/token")
    for one in (exchange, refresh):
        assert (one.method, one.query) == ("POST", {})
        assert one.headers["CONTENT_TYPE"].split(";")[0] == "application/x-www-form-urlencoded"
        assert "client_secret" not in one.form
    _, asked = run.authorization
    assert exchange.form["grant_type"] == ["authorization_code"]
    assert exchange.form["redirect_uri"] == asked["redirect_uri"]
    digest = hashlib.sha256(exchange.form["code_verifier"][0].encode()).digest()
    assert asked["code_challenge"] == [base64.urlsafe_b64encode(digest).rstrip(b"=").decode()]
    assert len(exchange.form["code"][0]) > 20
    assert refresh.form["grant_type"] == ["refresh_token"]
    assert refresh.form["refresh_token"] == [json.loads(exchange.answer)["refresh_token"]]
    assert "scope" not in refresh.form
    revocations = run.at("/oauth/revoke")
    assert {one.form["token"][0] for one in revocations} == {
        json.loads(refresh.answer)["refresh_token"], json.loads(refresh.answer)["access_token"],
    }  # fmt: skip
    assert [one.status for one in revocations] == [200, 200]
    return [exchange, refresh, *revocations]


@pytest.mark.requirement("smart@62")
@pytest.mark.requirement("smart@67")
@pytest.mark.requirement("smart@68")
@pytest.mark.requirement("smart@69")
@pytest.mark.requirement("smart@70")
@pytest.mark.requirement("smart@72")
@pytest.mark.requirement("smart@105")
@pytest.mark.requirement("smart@106")
@pytest.mark.requirement("smart@307")
@pytest.mark.requirement("smart@308")
@pytest.mark.requirement("smart@309")
@pytest.mark.requirement("smart@319")
@pytest.mark.requirement("smart@320")
@pytest.mark.requirement("smart@321")
@pytest.mark.requirement("smart@322")
@pytest.mark.requirement("smart@323")
@pytest.mark.requirement("smart@325")
@pytest.mark.requirement("smart@327")
@pytest.mark.requirement("smart@328")
@pytest.mark.requirement("smart@329")
@pytest.mark.requirement("smart@330")
@pytest.mark.requirement("smart@331")
@pytest.mark.requirement("smart@332")
@pytest.mark.requirement("smart@333")
@pytest.mark.requirement("smart@334")
@kinds(*ASYMMETRIC)
def test_inferno_5_08_smart_client_token_request_alca_verification(run: Run) -> None:
    """Every token request, refresh and revocation too, carries a new proof signed by a published key, good for minutes
    at that address.

    Breaks when ``SmartPrivateKeyJWT.sign`` is left out, or ``ASSERTION_SECONDS`` is above 300.
    """
    published = {key["kid"]: key for key in run.jwks["keys"]}
    jtis = []
    for one in _require_sound_token_requests(run):
        form = one.form
        assert form["client_assertion_type"] == [JWT_BEARER]
        assert "client_id" not in form
        assert "AUTHORIZATION" not in one.headers
        (assertion,) = form["client_assertion"]
        header = jws.extract_compact(assertion.encode()).headers()
        assert header["typ"] == "JWT"
        assert header["alg"] == run.registration["signing_alg"]
        assert "jku" not in header
        key = JWKRegistry.import_key(published[header["kid"]])
        claims = jwt.decode(assertion, key, algorithms=[header["alg"]]).claims
        assert claims["iss"] == claims["sub"] == run.registration["client_id"]
        assert claims["aud"] == run.token_endpoint
        assert isinstance(claims["exp"], int)
        assert claims["exp"] <= time.time() + 300
        assert 0 < len(claims["jti"]) <= 151
        jtis.append(claims["jti"])
    assert len(set(jtis)) == 4


@pytest.mark.requirement("smart@23")
@pytest.mark.requirement("smart@72")
@pytest.mark.requirement("smart@345")
@kinds("alcs")
def test_inferno_5_09_smart_client_token_request_alcs_verification(run: Run) -> None:
    """Client id and secret go in the header (HTTP Basic) and nowhere else.

    Breaks when the method is ``client_secret_post``.
    """
    for one in _require_sound_token_requests(run):
        kind, _, value = one.headers["AUTHORIZATION"].partition(" ")
        assert kind == "Basic"
        assert base64.b64decode(value).decode() == f"{SYMMETRIC_CLIENT_ID}:{SYMMETRIC_SECRET}"
        assert not {"client_id", "client_assertion", "client_assertion_type"} & one.form.keys()
    assert not any(SYMMETRIC_SECRET.encode() in one.body for one in run.heard)


@pytest.mark.requirement("smart@63")
@pytest.mark.requirement("smart@71")
@pytest.mark.requirement("smart@317")
@kinds("alp")
def test_inferno_5_10_smart_client_token_request_alp_verification(run: Run) -> None:
    """A public client names itself in the form, and sends no credential of any kind.

    Breaks when ``_secret`` gives a public client our key.
    """
    for one in _require_sound_token_requests(run):
        assert one.form["client_id"] == [PUBLIC_CLIENT_ID]
        assert "AUTHORIZATION" not in one.headers
        assert not {"client_assertion", "client_assertion_type"} & one.form.keys()

"""A real app on a real SQLite file, and a small EHR that listens on a real socket and does what a test tells it."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from databases import PostgresServer
from flask import Flask, Response, jsonify, request, session
from flask.testing import FlaskClient
from joserfc import jws, jwt
from joserfc.jwk import ECKey, JWKRegistry, RSAKey
from sqlalchemy import Engine, create_engine, event
from werkzeug.serving import make_server

from launch import routes
from launch import session as launch_session
from launch.context import LaunchEvent
from launch.errors import LaunchError
from launch.fhir_client import FhirConnection
from launch.keys import KeyRing, create_key_file
from launch.registrations import Registrations, parse
from launch.store import metadata

OUR_BASE = "http://127.0.0.1:8000"
CLIENT_ID = "care-connections"
PATIENT = {"resourceType": "Patient", "id": "p1", "name": [{"family": "Canary-Patient"}]}


class SealingCipher:
    """AES-GCM with the purpose as additional data, as the app's own cipher has it."""

    def __init__(self) -> None:
        self._box = AESGCM(AESGCM.generate_key(256))

    def seal(self, plaintext: bytes, *, purpose: str) -> bytes:
        nonce = os.urandom(12)
        return nonce + self._box.encrypt(nonce, plaintext, purpose.encode())

    def open(self, sealed: bytes, *, purpose: str) -> bytes:
        return self._box.decrypt(sealed[:12], sealed[12:], purpose.encode())


@pytest.fixture(scope="session")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "keys.json"
    create_key_file(path)
    return path


@pytest.fixture
def keys(key_file: Path) -> KeyRing:
    return KeyRing.load(key_file)


@pytest.fixture
def cipher() -> SealingCipher:
    return SealingCipher()


@pytest.fixture
def statements() -> list[str]:
    """Every SQL statement of the test's engine, in order."""
    return []


@pytest.fixture
def launch_engine(tmp_path: Path, statements: list[str]) -> Iterator[Engine]:
    engine = create_engine(f"sqlite:///{tmp_path / 'launch.sqlite'}", hide_parameters=True)

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        for pragma in ("busy_timeout = 5000", "journal_mode = WAL", "foreign_keys = ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        is_read_only = connection.get_execution_options().get("is_read_only", False)
        connection.exec_driver_sql("BEGIN" if is_read_only else "BEGIN IMMEDIATE")

    @event.listens_for(engine, "before_cursor_execute")
    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        statements.append(statement)

    metadata.create_all(engine)
    statements.clear()
    yield engine
    engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def each_engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """An empty database of each kind, for what two workers may touch at once."""
    if request.param == "sqlite":
        yield request.getfixturevalue("launch_engine")
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    url = server.create(f"launch_{uuid.uuid4().hex}")
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"), hide_parameters=True)
    metadata.create_all(engine)
    yield engine
    engine.dispose()
    server.drop(url)


# --- the EHR double --------------------------------------------------------------------------------------------------


@dataclass
class Recorded:
    """One request that the EHR received."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    form: dict[str, list[str]]
    body: bytes


@dataclass
class EhrDouble:
    """What the EHR knows and how it is told to behave. ``changes`` are laid over what it would say; None removes."""

    origin: str
    signing_key: ECKey | RSAKey
    public_keys_of_client: dict[str, Any]
    configuration_changes: dict[str, Any] = field(default_factory=dict)
    openid_changes: dict[str, Any] = field(default_factory=dict)
    token_changes: dict[str, Any] = field(default_factory=dict)
    refresh_changes: dict[str, Any] = field(default_factory=dict)
    claim_changes: dict[str, Any] = field(default_factory=dict)
    header_changes: dict[str, Any] = field(default_factory=dict)
    id_token_key: Any = None
    published_keys: list[Any] | None = None
    token_failure: tuple[int, Any] | None = None
    token_delay_seconds: float = 0.0
    revoke_delay_seconds: float = 0.0
    fhir_answer: Callable[[Recorded], Response | None] = lambda recorded: None
    received: list[Recorded] = field(default_factory=list)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    refresh_tokens: set[str] = field(default_factory=set)
    used_refresh_tokens: list[str] = field(default_factory=list)
    access_tokens: set[str] = field(default_factory=set)
    jtis: set[str] = field(default_factory=set)
    assertions: list[tuple[dict[str, Any], dict[str, Any]]] = field(default_factory=list)
    revoked: list[str] = field(default_factory=list)
    resources: dict[str, dict[str, Any]] = field(default_factory=lambda: {"Patient/p1": PATIENT})

    @property
    def fhir_base(self) -> str:
        return self.origin + "/fhir"

    @property
    def issuer(self) -> str:
        return self.origin + "/openid"  # another address than the FHIR base, as at several real EHRs

    @property
    def token_endpoint(self) -> str:
        return self.origin + "/token"

    def approve(self, authorize_url: str, **instead: Any) -> dict[str, Any]:
        """What the authorization server would put on the callback for this authorization request."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(authorize_url).query).items()}
        code = secrets.token_urlsafe(16)
        self.codes[code] = asked
        query = {"code": code, "state": asked["state"], **instead}
        return {name: value for name, value in query.items() if value is not None}

    def issue(self, asked: dict[str, str], changes: dict[str, Any], with_id_token: bool = True) -> dict[str, Any]:
        access_token, refresh_token = "at-" + secrets.token_urlsafe(16), "rt-" + secrets.token_urlsafe(16)
        self.access_tokens.add(access_token)
        self.refresh_tokens.add(refresh_token)
        answer = {
            "access_token": access_token,
            "refresh_token": refresh_token,
            "token_type": "Bearer",
            "expires_in": 300,
            "scope": asked["scope"],
            "patient": "p1",
            "encounter": "e1",
        }
        if with_id_token:
            answer["id_token"] = self.id_token(asked, access_token)
        return laid_over(answer, changes)

    def id_token(self, asked: dict[str, str], access_token: str) -> str:
        now = int(time.time())
        digest = hashlib.sha384(access_token.encode()).digest()
        claims = {
            "iss": self.issuer,
            "sub": "user-1",
            "aud": CLIENT_ID,
            "iat": now,
            "exp": now + 300,
            "nonce": asked["nonce"],
            "at_hash": base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode(),
            "fhirUser": f"{self.fhir_base}/Practitioner/dr-lee",
        }
        header = laid_over({"alg": "ES384", "kid": self.signing_key.kid, "typ": "JWT"}, self.header_changes)
        key = self.id_token_key or self.signing_key
        return jwt.encode(header, laid_over(claims, self.claim_changes), key, algorithms=[header["alg"]])


def laid_over(values: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**values, **changes}.items() if value is not None}


def _ehr_app(ehr: EhrDouble) -> Flask:
    app = Flask("ehr-double")

    @app.before_request
    def record() -> None:
        ehr.received.append(
            Recorded(
                request.method,
                request.path,
                dict(request.args.lists()),
                dict(request.headers),
                dict(request.form.lists()) if request.mimetype == "application/x-www-form-urlencoded" else {},
                request.get_data(cache=True),
            )
        )

    @app.get("/fhir/.well-known/smart-configuration")
    def smart_configuration() -> Response:
        document = {
            "issuer": ehr.issuer,
            "authorization_endpoint": ehr.origin + "/authorize",
            "token_endpoint": ehr.token_endpoint,
            "revocation_endpoint": ehr.origin + "/revoke",
            "grant_types_supported": ["authorization_code"],
            "code_challenge_methods_supported": ["S256"],
            "capabilities": ["launch-ehr", "client-confidential-asymmetric", "sso-openid-connect", "permission-v2"],
        }
        # text/plain on purpose: real servers get the media type wrong, and the requirement is JSON, not its label
        return Response(json.dumps(laid_over(document, ehr.configuration_changes)), mimetype="text/plain")

    @app.get("/openid/.well-known/openid-configuration")
    def openid_configuration() -> Response:
        return jsonify(laid_over({"issuer": ehr.issuer, "jwks_uri": ehr.origin + "/jwks"}, ehr.openid_changes))

    @app.get("/jwks")
    def jwks() -> Response:
        published = ehr.published_keys
        return jsonify({"keys": [ehr.signing_key.as_dict(private=False)] if published is None else published})

    @app.post("/token")
    def token() -> Response | tuple[Response, int]:
        time.sleep(ehr.token_delay_seconds)
        if ehr.token_failure is not None:
            status, body = ehr.token_failure
            return Response(body if isinstance(body, str) else json.dumps(body), status, mimetype="application/json")
        if not _assertion_holds(ehr):
            return jsonify(error="invalid_client"), 400
        if request.form["grant_type"] == "refresh_token":
            return _refreshed(ehr)
        asked = ehr.codes.pop(request.form["code"], None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(request.form["code_verifier"].encode()).digest())
        if (
            asked is None
            or asked["redirect_uri"] != request.form["redirect_uri"]
            or asked["code_challenge"] != challenge.rstrip(b"=").decode()
        ):
            return jsonify(error="invalid_grant", error_description="canary-from-the-ehr"), 400
        return jsonify(ehr.issue(asked, ehr.token_changes))

    @app.post("/revoke")
    def revoke() -> Response | tuple[Response, int]:
        time.sleep(ehr.revoke_delay_seconds)
        if not _assertion_holds(ehr):
            return jsonify(error="invalid_client"), 400
        ehr.revoked.append(request.form["token"])
        return Response(status=200)

    @app.route("/fhir/<path:path>", methods=["GET", "POST", "PUT", "DELETE"])
    def fhir(path: str) -> Response | tuple[Response, int]:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if token not in ehr.access_tokens:
            return jsonify(resourceType="OperationOutcome"), 401
        answer = ehr.fhir_answer(ehr.received[-1])
        if answer is not None:
            return answer
        resource = ehr.resources.get(path)
        return jsonify(resource) if resource else (jsonify(resourceType="OperationOutcome"), 404)

    return app


def _refreshed(ehr: EhrDouble) -> Response | tuple[Response, int]:
    used = request.form["refresh_token"]
    ehr.used_refresh_tokens.append(used)
    if used not in ehr.refresh_tokens:
        return jsonify(error="invalid_grant"), 400
    ehr.refresh_tokens.discard(used)
    asked = {"scope": "launch openid fhirUser online_access patient/Patient.rs", "nonce": ""}
    return jsonify(ehr.issue(asked, ehr.refresh_changes, with_id_token=False))


def _assertion_holds(ehr: EhrDouble) -> bool:
    """What SMART asks of a client assertion, checked here without the code under test."""
    assertion = request.form.get("client_assertion", "")
    if request.form.get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer":
        return False
    header = jws.extract_compact(assertion.encode()).headers()
    own = [member for member in ehr.public_keys_of_client["keys"] if member["kid"] == header["kid"]]
    token = jwt.decode(assertion, JWKRegistry.import_key(own[0]), algorithms=["ES384", "RS384"])
    claims, now = token.claims, time.time()
    ehr.assertions.append((dict(header), dict(claims)))
    is_sound = (
        header["typ"] == "JWT"
        and claims["iss"] == claims["sub"] == CLIENT_ID
        and claims["aud"] == ehr.token_endpoint
        and now < claims["exp"] <= now + 300
        and claims["jti"] not in ehr.jtis
        and len(claims["jti"]) <= 151
    )
    ehr.jtis.add(claims["jti"])
    return is_sound


@pytest.fixture
def start_ehr(keys: KeyRing) -> Iterator[Callable[[], EhrDouble]]:
    servers = []

    def start() -> EhrDouble:
        signing_key = ECKey.generate_key("P-384", {"alg": "ES384", "use": "sig"}, private=True, auto_kid=True)
        ehr = EhrDouble("", signing_key, keys.public_jwks())
        server = make_server("127.0.0.1", 0, _ehr_app(ehr), threaded=True)
        ehr.origin = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        servers.append(server)
        return ehr

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def ehr(start_ehr: Callable[[], EhrDouble]) -> EhrDouble:
    return start_ehr()


@pytest.fixture
def other_ehr(start_ehr: Callable[[], EhrDouble]) -> EhrDouble:
    return start_ehr()


# --- the app ---------------------------------------------------------------------------------------------------------


@dataclass
class LaunchApp:
    """The app under test, with what a test wants to look at."""

    app: Flask
    launch: routes.Launch
    events: list[LaunchEvent]
    engine: Engine

    def browser(self) -> FlaskClient:
        return self.app.test_client()

    def begin(self, browser: FlaskClient, ehr: EhrDouble, **query: Any) -> str:
        """Open /launch; returns the address of the authorization request."""
        answer = browser.get("/launch", query_string={"iss": ehr.fhir_base, "launch": "canary-launch", **query})
        assert answer.status_code == 303, answer.get_data(as_text=True)
        return answer.headers["Location"]

    def finish(self, browser: FlaskClient, ehr: EhrDouble) -> str:
        """A whole launch; returns the launch id."""
        answer = browser.get("/callback", query_string=ehr.approve(self.begin(browser, ehr)))
        assert answer.status_code == 303, answer.get_data(as_text=True)
        return answer.headers["Location"].split("/")[2]


def registrations_of(key_file: Path, *ehrs: EhrDouble, write_types: tuple[str, ...] = ()) -> Registrations:
    return parse(
        {
            "public_base_url": OUR_BASE,
            "keys_file": str(key_file),
            "allows_loopback_http": True,
            "product_name": "Care Connections",
            "ehr": [
                {
                    "id": "ab"[number],
                    "issuer": ehr.fhir_base,
                    "client_id": CLIENT_ID,
                    "name": f"EHR {number}",
                    "frame_origins": [ehr.origin],
                    "write_types": list(write_types),
                }
                for number, ehr in enumerate(ehrs)
            ],
        }
    )


@pytest.fixture
def make_launch_app(
    key_file: Path, keys: KeyRing, launch_engine: Engine, cipher: SealingCipher
) -> Callable[..., LaunchApp]:
    def make(*ehrs: EhrDouble, write_types: tuple[str, ...] = (), **options: Any) -> LaunchApp:
        app, events = Flask("app-under-test"), []
        launch = routes.install(
            app,
            registrations_of(key_file, *ehrs, write_types=write_types),
            engine=launch_engine,
            cipher=cipher,
            tenant_id="hc1",
            on_event=events.append,
            is_partner_open=lambda client_id: True,
            keys=keys,
            **options,
        )
        _add_pages(app, launch)
        return LaunchApp(app, launch, events, launch_engine)

    return make


@pytest.fixture
def launch_app(make_launch_app: Callable[..., LaunchApp], ehr: EhrDouble) -> LaunchApp:
    return make_launch_app(ehr)


@pytest.fixture
def launched(launch_app: LaunchApp, ehr: EhrDouble) -> tuple[str, FhirConnection]:
    launch_id = launch_app.finish(launch_app.browser(), ehr)
    return launch_id, launch_app.launch.fhir_clients.for_launch(launch_id)


@pytest.fixture
def connection(launched: tuple[str, FhirConnection]) -> FhirConnection:
    return launched[1]


def _add_pages(app: Flask, launch: routes.Launch) -> None:
    """The few pages that these tests look at: what the real pages do with a launch, and no more."""

    @app.errorhandler(LaunchError)
    def render(error: LaunchError) -> tuple[Response, int]:
        return jsonify(code=error.code, words=error.words, next_step=error.next_step), error.status

    @app.get("/v/<launch_id>/")
    def home(launch_id: str) -> Response:
        context = launch_session.current_launch(launch_id)
        return jsonify(context.to_json())

    @app.get("/v/<launch_id>/patient")
    def patient(launch_id: str) -> Response:
        context = launch_session.current_launch(launch_id)
        return jsonify(launch.fhir_clients.for_launch(launch_id).read(f"Patient/{context.patient_id}"))

    @app.post("/v/<launch_id>/note")
    def note(launch_id: str) -> Response:
        launch_session.remember(launch_id, "answer", request.json)
        return jsonify(launch_session.recall(launch_id, "answer"))

    @app.get("/v/<launch_id>/note")
    def noted(launch_id: str) -> Response:
        return jsonify(launch_session.recall(launch_id, "answer"))

    @app.post("/v/<launch_id>/leave")
    def leave(launch_id: str) -> str:
        launch_session.end_launch(launch_id)
        return "left"

    @app.post("/form")
    def form() -> Response:
        session.setdefault("csrf_token", secrets.token_hex(16))
        return jsonify(session["csrf_token"])

    @app.get("/plain")
    def plain() -> str:
        return "nothing kept"

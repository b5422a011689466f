"""A real app on a real SQLite file, and a small EHR that listens on a real socket and does what a test tells it."""

from __future__ import annotations

import os
import secrets
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from databases import PostgresServer
from flask import Flask, Response, jsonify, request, session
from flask.testing import FlaskClient
from joserfc.jwk import ECKey
from sqlalchemy import Engine, create_engine, event
from werkzeug.serving import make_server

sys.path.insert(0, str(Path(__file__).parent))  # the plain modules beside the tests

from ehr_double import CLIENT_ID, WIDE_SCOPE, EhrDouble, ehr_app
from launch_events import noted_in

from launch import routes
from launch import session as launch_session
from launch.context import LaunchEvent
from launch.errors import LaunchError
from launch.fhir_client import FhirConnection
from launch.keys import KeyRing, create_key_file
from launch.registrations import Registrations, parse
from launch.tables import metadata

OUR_BASE = "http://127.0.0.1:8000"


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


@pytest.fixture
def start_ehr(keys: KeyRing) -> Iterator[Callable[[], EhrDouble]]:
    servers = []

    def start() -> EhrDouble:
        signing_key = ECKey.generate_key("P-384", {"alg": "ES384", "use": "sig"}, private=True, auto_kid=True)
        ehr = EhrDouble("", signing_key, keys.public_jwks())
        server = make_server("127.0.0.1", 0, ehr_app(ehr), threaded=True)
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


def registrations_of(
    key_file: Path, *ehrs: EhrDouble, write_types: tuple[str, ...] = (), **registration: str
) -> Registrations:
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
                    **registration,
                }
                for number, ehr in enumerate(ehrs)
            ],
        }
    )


@pytest.fixture
def make_launch_app(
    key_file: Path, keys: KeyRing, launch_engine: Engine, cipher: SealingCipher
) -> Callable[..., LaunchApp]:
    def make(
        *ehrs: EhrDouble,
        write_types: tuple[str, ...] = (),
        registration: dict[str, str] | None = None,
        **options: Any,
    ) -> LaunchApp:
        app, events = Flask("app-under-test"), []
        launch = routes.install(
            app,
            registrations_of(key_file, *ehrs, write_types=write_types, **(registration or {})),
            engine=launch_engine,
            cipher=cipher,
            tenant_id="hc1",
            on_event=noted_in(events),
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
    ehr.token_changes = {"scope": WIDE_SCOPE}
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

"""A running sandbox EHR on real sockets, and a small client that does every step right unless told not to."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import requests
from joserfc.jwk import ECKey, RSAKey
from joserfc.jws import JWSRegistry

from launch.sandbox import app, control
from launch.sandbox.addresses import Addresses
from launch.sandbox.database import Database
from launch.sandbox.ehr import Ehr
from launch.sandbox.serving import Sites

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
SCOPES_B = "launch openid fhirUser online_access patient/Patient.rs patient/Encounter.rs user/Practitioner.rs"
SCOPES_A = SCOPES_B + " patient/Observation.cruds patient/ServiceRequest.cruds user/Appointment.cruds"
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"


def _b64url(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


class Keys:
    """The client's two private keys, and one that is not published."""

    def __init__(self) -> None:
        self.ec = ECKey.generate_key("P-384", parameters={"kid": "ec-1", "alg": "ES384"})
        self.rsa = RSAKey.generate_key(2048, parameters={"kid": "rsa-1", "alg": "RS384"})
        self.stolen = ECKey.generate_key("P-384", parameters={"kid": "ec-1", "alg": "ES384"})

    def public(self) -> dict[str, Any]:
        return {"keys": [self.ec.as_dict(private=False), self.rsa.as_dict(private=False)]}


class World:
    """The EHR and the client's view of it. ``do`` calls need no set-up; knobs go back after each test."""

    def __init__(self, ehr: Ehr, keys: Keys, control_url: str) -> None:
        self.ehr, self.keys, self.control = ehr, keys, control_url
        self.url = ehr.addresses.ehr
        self.redirect_uri = ehr.addresses.redirect_uri

    # control port
    def set(self, **knobs: Any) -> requests.Response:
        return requests.post(f"{self.control}/set", json=knobs, timeout=10)

    def launch(self, base: str = "a", user: str = "dr-lee", patient: str | None = "p-dana", **more: Any) -> str:
        body = {"base": base, "user": user, "patient": patient, **more}
        return str(requests.post(f"{self.control}/launch", json=body, timeout=10).json()["launch"])

    def minted(self, kind: str, **more: Any) -> str:
        answer = requests.post(f"{self.control}/token", json={"kind": kind, **more}, timeout=10)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    # authorization
    def fhir_base(self, base: str = "a") -> str:
        return f"{self.url}/{base}/fhir"

    def authorize_query(self, base: str = "a", launch: str | None = None, **changes: Any) -> dict[str, str]:
        self.verifier = secrets.token_urlsafe(48)
        digest = hashlib.sha256(self.verifier.encode()).digest()
        query = {
            "response_type": "code",
            "client_id": "care-connections",
            "redirect_uri": self.redirect_uri,
            "scope": SCOPES_A if base == "a" else SCOPES_B,
            "state": secrets.token_urlsafe(24),
            "nonce": "nonce-" + secrets.token_urlsafe(12),
            "aud": self.fhir_base(base),
            "launch": launch if launch is not None else self.launch(base),
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        query |= changes
        self.sent = {name: value for name, value in query.items() if value is not None}
        return self.sent

    def authorize(self, base: str = "a", launch: str | None = None, **changes: Any) -> requests.Response:
        query = self.authorize_query(base, launch, **changes)
        return requests.get(f"{self.url}/{base}/oauth/authorize", params=query, allow_redirects=False, timeout=10)

    def answered(self, response: requests.Response) -> dict[str, str]:
        """The parameters of a redirect back to the client."""
        assert response.status_code == 302, response.text
        location = response.headers["Location"]
        assert location.startswith(self.redirect_uri + "?")
        return {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}

    def code(self, base: str = "a", **more: Any) -> str:
        return self.answered(self.authorize(base, **more))["code"]

    # token endpoint
    def assertion(
        self, base: str = "a", *, key: Any = None, header: dict[str, Any] | None = None, **claims: Any
    ) -> str:
        key = key or self.keys.ec
        now = int(time.time())
        body = {
            "iss": "care-connections",
            "sub": "care-connections",
            "aud": f"{self.url}/{base}/oauth/token",
            "exp": now + 240,
            "jti": str(uuid.uuid4()),
        } | claims
        body = {name: value for name, value in body.items() if value is not None}
        head = {"alg": key.alg, "kid": key.kid, "typ": "JWT"} | (header or {})
        head = {name: value for name, value in head.items() if value is not None}
        signed = f"{_b64url(head)}.{_b64url(body)}"
        signature = JWSRegistry.algorithms[head["alg"]].sign(signed.encode(), key)
        return f"{signed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"

    def post_token(self, base: str = "a", *, url: str = "token", **form: Any) -> requests.Response:
        form = {"client_assertion_type": ASSERTION_TYPE} | form
        if "client_assertion" not in form:
            form["client_assertion"] = self.assertion(base)
        form = {name: value for name, value in form.items() if value is not None}
        return requests.post(f"{self.url}/{base}/oauth/{url}", data=form, timeout=10)

    def redeem(self, code: str, /, base: str = "a", **changes: Any) -> requests.Response:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect_uri,
            "code_verifier": self.verifier,
        }
        return self.post_token(base, **(form | changes))

    def token(self, base: str = "a", **more: Any) -> dict[str, Any]:
        answer = self.redeem(self.code(base, **more), base)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def refresh(self, refresh_token: str, base: str = "a", **form: Any) -> requests.Response:
        return self.post_token(base, grant_type="refresh_token", refresh_token=refresh_token, **form)

    # FHIR
    def fhir(
        self, method: str, path: str, token: str | None, body: Any = None, base: str = "a", **headers: str
    ) -> requests.Response:
        sent = {"Accept": "application/fhir+json"}
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        if body is not None:
            sent["Content-Type"] = "application/fhir+json"
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        url = path if path.startswith("http") else f"{self.fhir_base(base)}/{path}"
        return requests.request(method, url, data=data, headers=sent, allow_redirects=False, timeout=10)

    def get(self, path: str, token: str | None, base: str = "a", **headers: str) -> requests.Response:
        return self.fhir("GET", path, token, base=base, **headers)


def observation(patient: str = "p-dana", level: str | None = "V", **more: Any) -> dict[str, Any]:
    """A neutral observation, labelled unless ``level`` is None."""
    payload: dict[str, Any] = {
        "resourceType": "Observation",
        "status": "final",
        "category": [
            {"coding": [{"system": "http://hl7.org/fhir/us/core/CodeSystem/us-core-category", "code": "sdoh"}]}
        ],
        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
        "subject": {"reference": f"Patient/{patient}"},
        "effectiveDateTime": "2026-11-20T10:00:00Z",
    }
    if level:
        labels = [{"system": CONFIDENTIALITY, "code": level}, {"system": ACT_CODE, "code": "SDV"}]
        payload["meta"] = {"security": labels}
    return payload | more


@pytest.fixture(scope="session", name="observation")
def make_observation() -> Callable[..., dict[str, Any]]:
    return observation


@pytest.fixture(scope="session")
def client_keys() -> Keys:
    return Keys()


@pytest.fixture(scope="session")
def published(client_keys: Keys) -> Iterator[tuple[int, list[str], dict[str, Any]]]:
    """The client's JWKS on a port of its own: (port, paths asked for, what is published)."""
    asked: list[str] = []
    what: dict[str, Any] = {"jwks": client_keys.public(), "status": 200}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            body = json.dumps(what["jwks"]).encode()
            self.send_response(what["status"])
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1], asked, what
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def running_world(
    published: Any, client_keys: Keys, free_port: Callable[[], int], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    port, control_port = free_port(), free_port()
    addresses = Addresses(ehr=f"http://localhost:{port}", app=f"http://127.0.0.1:{published[0]}")
    ehr = Ehr(addresses, Database(tmp_path_factory.mktemp("ehr") / "ehr.sqlite3"))
    sites = Sites([(app.create_app(ehr), port), (control.create_app(ehr), control_port)])
    yield World(ehr, client_keys, f"http://127.0.0.1:{control_port}")
    sites.stop()
    ehr.database.close()


@pytest.fixture
def world(running_world: World) -> Iterator[World]:
    """The running EHR, reset after the test when the test changed it."""
    yield running_world
    running_world.ehr.knobs.reset()


@pytest.fixture
def fresh(world: World) -> Iterator[World]:
    """The running EHR for a test that writes: charts start again afterwards."""
    yield world
    world.ehr.reset()


@pytest.fixture(scope="session")
def mini_bundle() -> dict[str, Any]:
    """A transaction bundle in Synthea's shape, as small as it can be."""
    patient, encounter, claim = (f"urn:uuid:{uuid.UUID(int=number)}" for number in (1, 2, 3))
    return {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {
                "fullUrl": patient,
                "resource": {
                    "resourceType": "Patient",
                    "id": patient.removeprefix("urn:uuid:"),
                    "name": [{"family": "Bundled", "given": ["Bo"]}],
                    "birthDate": "1980-02-03",
                },
            },
            {
                "fullUrl": encounter,
                "resource": {
                    "resourceType": "Encounter",
                    "id": encounter.removeprefix("urn:uuid:"),
                    "status": "finished",
                    "subject": {"reference": patient},
                    "period": {"start": "2015-01-01T10:00:00Z"},
                    "diagnosis": [{"condition": {"reference": claim}}],
                },
            },
            {"fullUrl": claim, "resource": {"resourceType": "Claim", "id": claim.removeprefix("urn:uuid:")}},
        ],
    }


@pytest.fixture
def bundle_folder(mini_bundle: dict[str, Any], tmp_path: Path) -> Path:
    (tmp_path / "bo.json").write_text(json.dumps(mini_bundle))
    return tmp_path


@pytest.fixture(scope="session")
def encoded() -> Callable[[dict[str, Any]], str]:
    return urlencode

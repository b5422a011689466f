"""A partner's side of the token endpoint: keys, assertions as they should be or spoiled, and an endpoint to send to."""

from __future__ import annotations

import base64
import json
import time
import uuid
from pathlib import Path
from typing import Any

from flask import Flask
from joserfc.jwk import ECKey, RSAKey
from joserfc.jws import JWSRegistry
from sqlalchemy import Engine, create_engine, func, select
from werkzeug.test import TestResponse

from launch import token_endpoint
from launch.context import LaunchEvent
from launch.tables import metadata
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


def whole_form(**changes: Any) -> Json:
    form = {
        "grant_type": "client_credentials",
        "scope": "system/Task.crus",
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": assertion(),
    }
    return {k: v for k, v in {**form, **changes}.items() if v is not ABSENT}

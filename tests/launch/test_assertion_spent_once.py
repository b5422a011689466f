"""Of two workers that get one signed assertion at the same time, one says yes: on every database the app may run on."""

from __future__ import annotations

import json
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from joserfc import jwt
from joserfc.jwk import ECKey
from sqlalchemy import func, select

from launch import token_endpoint
from launch.tables import launch_jti
from launch.token_endpoint import PartnerClient, register_client

BASE = "https://clinic.example"
KEY = ECKey.generate_key("P-384", {"kid": "ec-1", "alg": "ES384", "use": "sig"}, private=True)


def assertion() -> str:
    now = int(time.time())
    claims = {"iss": "harbor-system", "sub": "harbor-system", "aud": f"{BASE}/token", "exp": now + 240}
    header = {"alg": "ES384", "kid": "ec-1", "typ": "JWT"}
    return str(jwt.encode(header, {**claims, "jti": str(uuid.uuid4())}, KEY, algorithms=["ES384"]))


@pytest.mark.rule("attack 8")
def test_attack_8_an_assertion_is_spent_once_on_each_database(each_engine: Any) -> None:
    """Sixteen times the same signed assertion at once: one token, fifteen refusals, and the refusals are alike.

    Break: compare ``rowcount`` in ``_TokenServer._spend`` (PostgreSQL's driver has none: nobody gets a token), or
    return True there (everybody does).
    """
    app = Flask("station")
    token_endpoint.install(
        app, each_engine, "hc1", BASE, lambda event: None, lambda client_id: True, attempts_per_minute=10_000
    )
    keys = {"keys": [KEY.as_dict(private=False)]}
    register_client(each_engine, "hc1", PartnerClient("harbor-system", jwks=keys))
    form = {
        "grant_type": "client_credentials",
        "scope": "system/Task.crus",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": assertion(),
    }

    def post(_: int) -> tuple[int, bytes]:
        answer = app.test_client().post("/token", data=form)
        return answer.status_code, answer.data

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(post, range(16)))
    assert sorted(status for status, _ in answers) == [200] + [400] * 15
    refused = {body for status, body in answers if status == 400}
    assert [json.loads(body)["error"] for body in refused] == ["invalid_client"]
    with each_engine.connect() as connection:
        spent = select(func.count()).where(launch_jti.c.issuer == "harbor-system")
        assert connection.execute(spent).scalar_one() == 1

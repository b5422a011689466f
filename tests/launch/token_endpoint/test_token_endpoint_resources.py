"""What a token from the endpoint opens in the whole app, and what it does not: nothing here stands in for anything."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask.testing import FlaskClient
from joserfc import jwt
from partner_side import ASSERTION_TYPE, EC, JWKS
from sqlalchemy import Engine, update
from werkzeug.test import TestResponse

from launch.keys import create_key_file
from launch.tables import launch_token
from launch.token_endpoint import PartnerClient, register_client
from smart_app import demo
from smart_app.app import create_app, migrate, seed_demo_partners
from smart_app.foundation import lay_foundation
from smart_app.settings import load

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "post_referral.py"
ALL_NEEDED = "system/Patient.c system/Consent.c system/ServiceRequest.cr system/Task.crus"


@dataclass
class Clinic:
    """The whole app, and two programs with keys of their own names."""

    http: FlaskClient
    engine: Engine
    token_url: str

    def token(self, client_id: str = "harbor-system", scope: str = ALL_NEEDED) -> str:
        now = int(time.time())
        claims = {"iss": client_id, "sub": client_id, "aud": self.token_url, "exp": now + 240, "jti": str(uuid.uuid4())}
        header = {"alg": "ES384", "kid": EC.kid, "typ": "JWT"}
        form = {"grant_type": "client_credentials", "scope": scope, "client_assertion_type": ASSERTION_TYPE}
        form["client_assertion"] = jwt.encode(header, claims, EC, algorithms=["ES384"])
        answer = self.http.post("/token", data=form)
        assert answer.status_code == 200, answer.text
        return str(answer.get_json()["access_token"])

    def call(self, method: str, path: str, token: str | None, body: str | None = None) -> TestResponse:
        headers = {"Accept": "application/fhir+json", "Content-Type": "application/fhir+json"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        return self.http.open(path, method=method, data=body, headers=headers)

    def refer(self, token: str) -> TestResponse:
        return self.call("POST", "/fhir", token, referral())

    def referred(self) -> str:
        """The path of the Task of a new referral from Harbor."""
        answer = self.refer(self.token())
        assert answer.status_code == 202, answer.text
        return urlsplit(answer.headers["Location"]).path


def referral() -> str:
    """The referral of our own example, from Harbor, with ids of its own."""
    source: dict[str, Any] = {}
    exec(EXAMPLE.read_text(encoding="utf-8").split("ask = ", 1)[0], source)
    today: date = datetime.now(UTC).date()
    days = {"today": today.isoformat(), "later": (today + timedelta(days=14)).isoformat()}
    ids = {name: f"urn:uuid:{uuid.uuid4()}" for name in ("n", "patient", "consent", "request", "task")}
    template: Template = source["REFERRAL"]
    return template.substitute(us="Organization/harbor", **days, **source["FIXED"], **ids)


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    place = demo.Place(tmp_path_factory.mktemp("clinic"))
    demo.prepare(place, create_keys=create_key_file)
    place.config.write_text(place.config.read_text().replace('"ehr-and-vault"', '"vault"'))  # that would need a proof
    settings = load(place.config)
    migrate(settings)
    seed_demo_partners(settings, place.program_url)
    engine = lay_foundation(settings).engine
    for client_id in ("harbor-system", "northside-system"):
        register_client(engine, settings.tenant_id, PartnerClient(client_id, jwks=JWKS))
    yield Clinic(create_app(settings).test_client(), engine, f"{settings.public_base_url}/token")
    engine.dispose()


def _expired(clinic: Clinic) -> TestResponse:
    token, path = clinic.token(), clinic.referred()
    assert clinic.call("GET", path, token).status_code == 200
    with clinic.engine.begin() as connection:
        connection.execute(update(launch_token).values(expires_at=int(time.time()) - 1))
    return clinic.call("GET", path, token)


def _beyond(clinic: Clinic) -> TestResponse:
    without_consent = "system/Patient.c system/ServiceRequest.cr system/Task.crus"
    return clinic.refer(clinic.token(scope=without_consent))


RESOURCE: dict[str, tuple[Callable[[Clinic], TestResponse], int, str | None]] = {
    "no_token": (lambda c: c.call("GET", c.referred(), None), 401, "Bearer"),
    "bad_token": (lambda c: c.call("GET", c.referred(), "made-up"), 401, 'Bearer error="invalid_token"'),
    "expired_token": (_expired, 401, 'Bearer error="invalid_token"'),
    "scope_too_small": (
        lambda c: c.call("GET", c.referred(), c.token(scope="system/Task.u")),
        403,
        'Bearer error="insufficient_scope"',
    ),
    "entry_outside_scope": (_beyond, 403, 'Bearer error="insufficient_scope"'),
    "foreign_partner_id": (lambda c: c.call("GET", c.referred(), c.token("northside-system")), 404, None),
}


@pytest.mark.rule("R19")
@pytest.mark.requirement("smart@265")
@pytest.mark.parametrize("name", RESOURCE)
def test_rule_R19_a_token_opens_what_it_names_and_only_to_whom_it_was_given(name: str, clinic: Clinic) -> None:
    """No token, a dead one, too small a one, an entry it does not cover, another program's item: each is refused.

    Break: in ``smart_app/guards.py`` leave out the call of ``require_token``.
    """
    send, status, challenge = RESOURCE[name]
    answer = send(clinic)
    assert (answer.status_code, answer.headers.get("WWW-Authenticate")) == (status, challenge)
    body = json.loads(answer.data)
    assert body["resourceType"] == "OperationOutcome"
    if name == "foreign_partner_id":
        never_was = clinic.call("GET", f"/fhir/Task/{uuid.uuid4()}", clinic.token("northside-system"))
        assert (never_was.status_code, never_was.data) == (404, answer.data)


def test_the_same_item_opens_to_the_program_that_sent_it(clinic: Clinic) -> None:
    """Each refusal above would be an answer for the right program with the right token."""
    assert clinic.call("GET", clinic.referred(), clinic.token()).status_code == 200
    assert clinic.refer(clinic.token()).status_code == 202

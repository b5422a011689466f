"""Every form of every page needs the token of its own browser session, whoever is signed in."""

from __future__ import annotations

import secrets
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from itsdangerous import URLSafeTimedSerializer
from werkzeug.routing import Rule

from launch.context import LaunchContext
from launch.session import COOKIE_NAME
from launch.store import LaunchRow
from smart_app.settings import Settings

REFUSED = "That form did not come from this page"
OTHERS = ("partner_oauth", "partner_fhir")  # bearer tokens and signed assertions: no cookie, so nothing to forge


class SignedIn:
    """A browser with a living launch, made without an EHR."""

    def __init__(self, app: Flask, settings: Settings) -> None:
        self.cookie, self.launch_id, session_id = secrets.token_urlsafe(32), str(uuid.uuid4()), str(uuid.uuid4())
        now, raw_token = int(time.time()), secrets.token_hex(20)
        later = datetime.now(UTC) + timedelta(minutes=5)
        ehr = settings.registrations.for_id("a")
        context = LaunchContext(
            launch_id=self.launch_id,
            registration_id="a",
            fhir_base=ehr.issuer,
            fhir_user="Practitioner/dr-lee",
            patient_id="p-dana",
            encounter_id="e-1",
            granted_scopes=frozenset(),
            needs_patient_banner=True,
            started_at=datetime.now(UTC),
            expires_at=later,
        )
        tokens = {"access_token": "a", "refresh_token": None, "expires_at": now + 300}
        tokens |= {"token_endpoint": "http://localhost:1/", "revocation_endpoint": None}
        row = LaunchRow(self.launch_id, session_id, context.to_json(), tokens, 1, 0, now, now + 3000)
        interface: Any = app.session_interface
        interface._store.create_session(session_id, "first", now=now, expires_at=now + 3000)
        interface._store.add_launch(row, new_cookie=self.cookie, session_expires_at=now + 3000)
        interface._store.save_session(session_id, {"csrf_token": raw_token})
        self.token = URLSafeTimedSerializer(app.secret_key, salt="wtf-csrf-token").dumps(raw_token)
        self.http = app.test_client(use_cookies=False)

    def post(self, path: str, **form: str) -> Any:
        headers = {"Cookie": f"{COOKIE_NAME}={self.cookie}", "Sec-Fetch-Site": "same-origin"}
        return self.http.post(path, data=form, headers=headers)


@pytest.fixture
def signed_in(app: Flask, settings: Settings) -> SignedIn:
    return SignedIn(app, settings)


def forms(app: Flask) -> Iterator[Rule]:
    for rule in app.url_map.iter_rules():
        if (rule.methods or set()) - {"GET", "HEAD", "OPTIONS"} and rule.endpoint.rpartition(".")[0] not in OTHERS:
            yield rule


def path_of(rule: Rule, launch_id: str) -> str:
    values = {name: launch_id if name == "launch_id" else str(uuid.uuid4()) for name in rule.arguments}
    return str(rule.build(values, append_unknown=False)[1])  # type: ignore[index]


@pytest.mark.rule("attack 11")
def test_no_form_is_taken_without_the_token_of_its_session(app: Flask, signed_in: SignedIn) -> None:
    """Whoever is signed in: a form without its token, with a made-up one or another session's is refused everywhere.

    Break: in ``create_app`` say ``csrf.exempt`` for any blueprint of ``pages``.
    """
    another = URLSafeTimedSerializer(app.secret_key, salt="wtf-csrf-token").dumps(secrets.token_hex(20))
    checked, taken = 0, []
    for rule in forms(app):
        path = path_of(rule, signed_in.launch_id)
        for form in ({}, {"csrf_token": "made-up"}, {"csrf_token": another}):
            answer = signed_in.post(path, **form)
            checked += 1
            if answer.status_code != 403 or REFUSED not in answer.get_data(as_text=True):
                taken.append((rule.rule, sorted(form), answer.status_code))
    assert taken == []
    assert checked >= 3 * 10


def test_with_its_token_a_form_is_read(app: Flask, signed_in: SignedIn) -> None:
    """The same request with the right token is not refused for it: the refusals above are the token's doing."""
    for rule in forms(app):
        if rule.rule.endswith(("/leave", "/hide", "/end")):
            continue  # they end the launch that the others need
        answer = signed_in.post(path_of(rule, signed_in.launch_id), csrf_token=signed_in.token)
        assert REFUSED not in answer.get_data(as_text=True), rule.rule


def test_the_check_is_off_only_where_no_cookie_counts(app: Flask) -> None:
    """A blueprint without the token check takes no form at all, or is for machines that show a key instead."""
    exempt: Any = app.extensions["csrf"]._exempt_blueprints
    taking_forms = {rule.endpoint.rpartition(".")[0] for rule in forms(app)}
    assert exempt
    assert not {getattr(one, "name", one) for one in exempt} & taking_forms

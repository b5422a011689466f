"""The partner API with its real guards, workflows and door; only the token look-up is a stand-in."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from launch.errors import BearerError
from launch.resource_server import PartnerToken, PartnerTokens
from smart_app import api, guards
from smart_app.gateways.engine import make_engine

SCOPES = (
    "system/Patient.c system/Consent.c system/ServiceRequest.cr system/Task.crus system/Appointment.cr "
    "system/HealthcareService.ru"
)


class FakeTokens:
    """ "Bearer harbor" is Harbor's token with the partner set of scopes; ``scopes`` changes that."""

    def __init__(self) -> None:
        self.scopes = SCOPES
        self._tokens = PartnerTokens(make_engine("sqlite://"), "hc1", lambda _: True)

    def require_pace(self, address: str | None) -> None:
        self._tokens.require_pace(address)

    def require_token(self, headers: Mapping[str, str]) -> PartnerToken:
        word = headers.get("Authorization", "").removeprefix("Bearer ")
        if word not in ("harbor", "northside"):
            challenge = 'Bearer error="invalid_token"' if word else "Bearer"
            raise BearerError(401, challenge, "no-token")
        return PartnerToken(f"{word}-system", frozenset(self.scopes.split()), "jti", datetime(2026, 12, 1, tzinfo=UTC))

    require_scope = staticmethod(PartnerTokens.require_scope)


@pytest.fixture
def tokens() -> FakeTokens:
    return FakeTokens()


@pytest.fixture
def app(world: Any, tokens: FakeTokens) -> Flask:
    made = Flask("smart_app")
    made.config.update(MAX_CONTENT_LENGTH=1_000_001)
    settings: Any = None
    partner_tokens: Any = tokens
    guards.install(made, services=world.services, settings=settings, partner_tokens=partner_tokens)
    api.register(made)
    return made


@pytest.fixture
def http(app: Flask) -> FlaskClient:
    return app.test_client()

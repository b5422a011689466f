"""Inferno's client cases for Backend Services (``bsca``): our delivery to a program's system, judged from the bytes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask, jsonify
from joserfc import jws, jwt
from joserfc.jwk import JWKRegistry
from wire_recorder import Heard, Recorder

from launch.backend_services import Client
from launch.errors import PartnerSystemError
from launch.keys import KeyRing
from launch.sandbox import partner_program
from launch.sandbox.program_clinic import Clinic as ProgramClinic
from launch.sandbox.program_clinic import ProgramKeys
from launch.sandbox.program_state import Program
from launch.sandbox.program_store import ProgramStore
from launch.sandbox.serving import Sites

JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass
class BackendRun:
    """Our delivery to a program's system, and what that system heard."""

    base: str
    jwks: dict[str, Any]
    statuses: list[int]
    heard: list[Heard]

    def at(self, path: str) -> list[Heard]:
        return [one for one in self.heard if one.path == path]


@pytest.fixture(scope="module")
def backend(
    key_file: Any, free_port: Callable[[], int], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BackendRun]:
    """One process posts twice with one token, then another one posts: two tokens in all."""
    place, keys, port, clinic_port = (
        tmp_path_factory.mktemp("backend"),
        KeyRing.load(key_file),
        free_port(),
        free_port(),
    )
    origin, clinic = f"http://localhost:{port}", f"http://127.0.0.1:{clinic_port}"
    ours = Flask("our-keys")
    ours.add_url_rule("/.well-known/jwks.json", view_func=lambda: jsonify(keys.public_jwks()))
    program_keys = ProgramKeys(place / "program-keys.json")
    program = Program(
        origin, ProgramStore(place / "program.sqlite3"), program_keys, ProgramClinic(clinic, program_keys)
    )
    recorder = Recorder(partner_program.create_app(program))
    sites = Sites([(recorder, port), (ours, clinic_port)])
    wanted = {
        "fhir_address": origin + "/fhir",
        "token_endpoint": origin + "/token",
        "client_id": "care-connections",
        "scope": "system/Task.c",
    }
    statuses = []
    first = Client(keys, allows_loopback_http=True)
    for client in (first, first, Client(keys, allows_loopback_http=True, alg="RS384")):
        try:
            statuses.append(client.post(**wanted, body=b'{"resourceType": "Task"}', path="Task").status)
        except PartnerSystemError as error:
            statuses.append(error.status or 0)
    yield BackendRun(origin, keys.public_jwks(), statuses, list(recorder.heard))
    sites.stop()


@pytest.mark.requirement("smart@225")
@pytest.mark.requirement("smart@293")
def test_inferno_4_01_smart_client_registration_bsca_verification(keys: KeyRing) -> None:
    """As a Backend Service we register the same public keys: one of each algorithm the standard names."""
    assert sorted(key["alg"] for key in keys.public_jwks()["keys"]) == ["ES384", "RS384"]


@pytest.mark.requirement("smart@226")
@pytest.mark.requirement("smart@227")
@pytest.mark.requirement("smart@229")
def test_inferno_5_04_smart_client_access_bsca_interaction(backend: BackendRun) -> None:
    """Our delivery finds the program's token endpoint, gets a token, and posts with it."""
    (discovered, *_) = backend.at("/fhir/.well-known/smart-configuration")
    assert "application/json" in discovered.headers["ACCEPT"]
    assert [one.status for one in backend.at("/token")] == [200, 200]


@pytest.mark.requirement("smart@233")
@pytest.mark.requirement("smart@234")
@pytest.mark.requirement("smart@235")
@pytest.mark.requirement("smart@236")
@pytest.mark.requirement("smart@237")
@pytest.mark.requirement("smart@238")
@pytest.mark.requirement("smart@143")
@pytest.mark.requirement("smart@239")
def test_inferno_5_11_smart_client_token_request_bsca_verification(backend: BackendRun) -> None:
    """Each token request is a form with the grant, the scope and a new proof signed by a published key."""
    published = {key["kid"]: key for key in backend.jwks["keys"]}
    jtis, algorithms = set(), set()
    for one in backend.at("/token"):
        assert one.method == "POST"
        assert one.headers["CONTENT_TYPE"].split(";")[0] == "application/x-www-form-urlencoded"
        assert one.form["grant_type"] == ["client_credentials"]
        assert one.form["scope"] == ["system/Task.c"]
        assert one.form["client_assertion_type"] == [JWT_BEARER]
        (assertion,) = one.form["client_assertion"]
        header = jws.extract_compact(assertion.encode()).headers()
        key = JWKRegistry.import_key(published[header["kid"]])
        claims = jwt.decode(assertion, key, algorithms=[header["alg"]]).claims
        assert header["typ"] == "JWT"
        assert claims["iss"] == claims["sub"] == "care-connections"
        assert claims["aud"] == backend.base + "/token"
        assert claims["exp"] <= time.time() + 300
        jtis.add(claims["jti"])
        algorithms.add(header["alg"])
    assert len(jtis) == 2
    assert algorithms == {"ES384", "RS384"}


@pytest.mark.requirement("smart@264")
def test_inferno_5_12_smart_client_token_use_verification_bsca(backend: BackendRun) -> None:
    """Each post carries the token it was given as Bearer, and none was answered 401."""
    given = [json.loads(one.answer)["access_token"] for one in backend.at("/token")]
    posts = backend.at("/fhir/Task")
    assert [one.headers["AUTHORIZATION"] for one in posts] == [
        f"Bearer {given[0]}", f"Bearer {given[0]}", f"Bearer {given[1]}",
    ]  # fmt: skip
    assert 401 not in [one.status for one in posts]

"""A program says that it is full; and nobody may call without end."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from flask.testing import FlaskClient

from fhir_profiles import validation
from launch import resource_server

PATH = "/fhir/HealthcareService/harbor"
HEADERS = {"Authorization": "Bearer harbor", "Content-Type": "application/fhir+json"}
NOT_FOUND = b'{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"not-found"}]}'
THROTTLED = b'{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"throttled"}]}'


def with_capacity(service: dict[str, Any], code: str) -> dict[str, Any]:
    changed = copy.deepcopy(service)
    changed["extension"][0]["extension"][0]["valueCodeableConcept"]["coding"][0]["code"] = code
    return changed


def put(http: FlaskClient, body: dict[str, Any], etag: str | None, path: str = PATH, who: str = "harbor") -> Any:
    headers = {**HEADERS, "Authorization": f"Bearer {who}", **({"If-Match": etag} if etag else {})}
    return http.put(path, data=json.dumps(body), headers=headers)


def test_a_program_says_that_it_is_full_and_that_it_is_not(http: FlaskClient, world: Any) -> None:
    """Clinicians see it at once, on every page that asks whom to call; another program is as it was."""
    shown = http.get(PATH, headers=HEADERS)
    assert validation.validate(validation.parse(shown.data), "partner-service") == []
    full = put(http, with_capacity(shown.get_json(), "no-capacity"), shown.headers["ETag"])
    assert full.status_code == 200
    assert not world.directory.partner("harbor").has_capacity
    assert world.directory.partner("northside").has_capacity
    stale = put(http, shown.get_json(), shown.headers["ETag"])
    assert stale.status_code == 412
    assert put(http, shown.get_json(), full.headers["ETag"]).data == shown.data
    assert world.directory.partner("harbor").has_capacity


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "Quillfeather"},
        {"providedBy": {"reference": "Organization/northside"}},
        {"active": False},
        {"comment": "Quillfeather"},
        {"telecom": [{"system": "phone", "value": "555-0199"}]},
        {"location": [{"reference": "Location/1"}]},
        {"extension": []},
        {"Quillfeather": 1},
    ],
    ids=str,
)
def test_only_the_capacity_may_change(http: FlaskClient, world: Any, changes: dict[str, Any]) -> None:
    """Name, place, number and narrative are the health center's to keep: refused, nothing of it stays."""
    shown = http.get(PATH, headers=HEADERS)
    before = world.harbor
    answer = put(http, {**with_capacity(shown.get_json(), "no-capacity"), **changes}, shown.headers["ETag"])
    assert answer.status_code == 422
    assert b"Quillfeather" not in answer.data + world.bytes_on_disk()
    assert world.harbor == before


@pytest.mark.rule("R19")
def test_rule_R19_another_program_s_service_is_not_there(http: FlaskClient, world: Any) -> None:
    """Read and update of it, and of a made-up one, are the same 404. Break: answer for ``service_id`` from the
    directory."""
    shown = http.get(PATH, headers=HEADERS)
    for path in ("/fhir/HealthcareService/northside", "/fhir/HealthcareService/none"):
        answers = [http.get(path, headers=HEADERS), put(http, shown.get_json(), shown.headers["ETag"], path)]
        assert {(answer.status_code, answer.data) for answer in answers} == {(404, NOT_FOUND)}
    assert put(http, shown.get_json(), None).status_code == 428


@pytest.mark.rule("attack 7")
def test_attack_7_a_flood_is_refused_before_a_token_is_looked_for(
    http: FlaskClient, tokens: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever tries tokens without end gets 429 and when to come back, and costs no look-up; another network does not
    notice. Break: ask ``require_token`` before ``require_pace``."""
    looked = []
    real = tokens.require_token
    monkeypatch.setattr(tokens, "require_token", lambda headers: looked.append(1) or real(headers))
    most = int(resource_server.CALLS_PER_SECOND * resource_server.SECONDS_AT_ONCE)
    dead = {"Authorization": "Bearer dead"}
    answers = [http.get("/fhir/Task", headers=dead) for _ in range(most * 2)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert {answer.status_code for answer in answers} == {401, 429}
    assert {(answer.data, answer.headers["Retry-After"]) for answer in refused} == {(THROTTLED, "1")}
    assert len(looked) == most * 2 - len(refused)
    other = http.get("/fhir/Task", headers=HEADERS, environ_overrides={"REMOTE_ADDR": "192.0.2.7"})
    assert other.status_code == 200

"""The control port of the sandbox EHR: switches, launches, tokens, and the record of writes."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from launch.sandbox import people


def _post(world, path: str, body) -> requests.Response:
    return requests.post(f"{world.control}/{path}", json=body, timeout=10)


@pytest.mark.parametrize(
    "knobs",
    [
        {"made_up": True},
        {"strip_labels": "yes"},
        {"access_token_seconds": "3"},
        {"access_token_seconds": -1},
        {"slow_seconds": 100_000},
        {"fhir_context": "xml"},
        {"stale_status": 500},
        {"drop_scopes": "patient/*.rs"},
        {"refuse_create": 7},
        {"error_redirect": 7},
        {"intent": 7},
    ],
)
def test_a_switch_that_does_not_exist_is_named(world, knobs) -> None:
    """A wrong switch, or a value of the wrong kind, changes nothing and is answered with what would be right."""
    before = requests.get(f"{world.control}/state", timeout=10).json()["knobs"]
    answer = _post(world, "set", {"empty_create": True, **knobs})
    assert answer.status_code == 400
    assert answer.json()["error"]
    assert requests.get(f"{world.control}/state", timeout=10).json()["knobs"] == before


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("launch", {"base": "c"}),
        ("launch", {"base": "a", "user": "nobody"}),
        ("launch", {"base": "a", "patient": "nobody"}),
        ("launch", [1]),
        ("token", {"kind": "admin"}),
        ("token", {"kind": "patient", "patient": "nobody"}),
        ("token", {"kind": "clinician", "user": "nobody"}),
        ("token", {"kind": "clinician", "expires_in": "soon"}),
    ],
)
def test_a_wrong_control_request_says_what_it_takes(world, path, body) -> None:
    """The control port answers a mistake with a sentence."""
    answer = _post(world, path, body)
    assert (answer.status_code, list(answer.json())) == (400, ["error"])


def test_a_launch_gives_the_address_that_opens_the_app(world) -> None:
    """A launch by the control port is the launch that the chart page would make."""
    answer = _post(world, "launch", {"base": "b", "user": "dr-lee", "patient": "p-tess"}).json()
    assert answer["iss"] == world.fhir_base("b")
    assert answer["url"].startswith(world.ehr.addresses.launch_url + "?")
    assert parse_qs(urlsplit(answer["url"]).query) == {"iss": [answer["iss"]], "launch": [answer["launch"]]}


def test_every_write_is_kept_as_it_came(fresh, observation) -> None:
    """The control port shows each write with its answer and its exact text, refused ones too."""
    clinician, outsider = fresh.minted("clinician"), fresh.minted("patient")
    sent = b'{"resourceType": "Observation",   "status": "banana"}'
    fresh.fhir("POST", "Observation", clinician, observation())
    fresh.fhir("POST", "Observation", clinician, sent)
    fresh.fhir("POST", "Observation", outsider, observation())
    fresh.fhir("DELETE", "Observation/p-dana-bp-1", None)
    fresh.fhir("POST", "Observation", fresh.minted("clinician", base="b"), observation(), base="b")
    writes = requests.get(f"{fresh.control}/writes", timeout=10).json()
    assert [(one["base"], one["method"], one["status"]) for one in writes] == [
        ("a", "POST", 201),
        ("a", "POST", 422),
        ("a", "POST", 403),
        ("a", "DELETE", 401),
        ("b", "POST", 405),
    ]
    assert writes[1]["body"] == sent.decode()
    assert writes[0]["path"] == "/a/fhir/Observation"
    assert "/a/fhir/Observation/" in writes[0]["location"]
    assert {one["location"] for one in writes[1:]} == {None}


def test_reset_starts_the_charts_again(fresh, observation) -> None:
    """After a reset nothing is left of writes, switches and tokens, and the six people are there."""
    token = fresh.minted("clinician")
    fresh.fhir("POST", "Observation", token, observation())
    fresh.set(empty_create=True)
    assert _post(fresh, "reset", {}).json() == {"ok": True}
    state = requests.get(f"{fresh.control}/state", timeout=10).json()
    assert (state["writes"], state["knobs"]["empty_create"]) == (0, False)
    assert fresh.get("Patient/p-dana", token).status_code == 401
    assert len(requests.get(f"{fresh.control}/people", timeout=10).json()) == 6


def test_people_and_staff_are_listed(world) -> None:
    """The control port lists everyone, and the words that must never be found outside the EHR."""
    listed = requests.get(f"{world.control}/people", timeout=10).json()
    assert {one["id"] for one in listed} == {"p-rosa", "p-luz", "p-dana", "p-marcus", "p-tess", "p-walter"}
    assert {one["source"] for one in listed} == {"sandbox"}
    staff = requests.get(f"{world.control}/staff", timeout=10).json()
    assert {one["id"]: one["role"] for one in staff}["clerk-dunn"] == "front-desk"
    assert requests.get(f"{world.control}/canaries", timeout=10).json() == people.canaries()


def test_the_control_port_is_not_on_the_fhir_port(world) -> None:
    """Nothing of the control port answers where the app talks to the EHR."""
    for path in ("set", "token", "launch", "writes", "state", "reset", "people"):
        assert requests.get(f"{world.url}/{path}", timeout=10).status_code in (404, 405)
        assert requests.post(f"{world.url}/{path}", json={}, timeout=10).status_code in (404, 405)

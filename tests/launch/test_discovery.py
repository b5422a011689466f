"""What must stand in an EHR's configuration, and that only the registered EHR is asked for it."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask, Response, redirect, request

from launch.discovery import CACHE_SECONDS, Discovery, is_acceptable_address
from launch.errors import EhrUnreachableError
from launch.registrations import Registration

REGISTRATION = Registration(
    "a", "https://ehr.example/fhir", "care-connections", "EHR", ("https://ehr.example",), frozenset()
)


def registration_of(ehr: Any) -> Registration:
    return Registration("a", ehr.fhir_base, "care-connections", "EHR", (ehr.origin,), frozenset())


@pytest.mark.requirement("smart@29")
def test_configuration_is_asked_as_json_whatever_it_is_labelled(ehr: Any) -> None:
    """We ask for JSON and take it, though the server calls it plain text; no CapabilityStatement is read."""
    found = Discovery().smart_configuration(registration_of(ehr))
    assert found.token_endpoint == ehr.token_endpoint
    assert found.issuer == ehr.issuer
    assert [one.path for one in ehr.received] == ["/fhir/.well-known/smart-configuration"]
    assert ehr.received[0].headers["Accept"] == "application/json"
    assert "Authorization" not in ehr.received[0].headers


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"token_endpoint": None}, "discovery-token-endpoint"),
        ({"authorization_endpoint": None}, "discovery-authorization-endpoint"),
        ({"authorization_endpoint": ""}, "discovery-authorization-endpoint"),
        ({"token_endpoint": 7}, "discovery-token-endpoint"),
        ({"capabilities": None}, "discovery-capabilities"),
        ({"grant_types_supported": None}, "discovery-grant-types-supported"),
        ({"grant_types_supported": ["client_credentials"]}, "discovery-grant-types"),
        ({"code_challenge_methods_supported": None}, "discovery-code-challenge-methods-supported"),
        ({"code_challenge_methods_supported": ["plain"]}, "discovery-pkce"),
        ({"code_challenge_methods_supported": ["S256", "plain"]}, "discovery-pkce"),
        ({"code_challenge_methods_supported": "S256"}, "discovery-code-challenge-methods-supported"),
        ({"token_endpoint": "http://ehr.example/token"}, "discovery-token-endpoint"),
        ({"token_endpoint": "http://127.0.0.1:1/token"}, "discovery-token-endpoint"),
        ({"token_endpoint": "https://localhost/token"}, "discovery-token-endpoint"),
        ({"authorization_endpoint": "javascript:alert(1)"}, "discovery-authorization-endpoint"),
        ({"authorization_endpoint": "https://user@ehr.example/a"}, "discovery-authorization-endpoint"),
        ({"revocation_endpoint": "http://127.0.0.1:1/revoke"}, "discovery-revocation-endpoint"),
        ({"issuer": "http://127.0.0.1:1"}, "discovery-issuer"),
        ({"issuer": 7}, "discovery-issuer"),
    ],
)
def test_configuration_that_lacks_something_is_refused(ehr: Any, changes: dict[str, Any], reason: str) -> None:
    """An EHR without PKCE by S256, without an endpoint, or with one that points elsewhere, is not used.

    Breaks when "plain" is no longer looked for.
    """
    ehr.configuration_changes = changes
    with pytest.raises(EhrUnreachableError) as refusal:
        Discovery().smart_configuration(registration_of(ehr))
    assert refusal.value.reason == reason


def test_launch_needs_an_issuer_that_can_say_who_signed_in(launch_app: Any, ehr: Any) -> None:
    """An EHR that names no issuer for sign-in is not used, and nothing is kept of the attempt."""
    ehr.configuration_changes = {"issuer": None}
    answer = launch_app.browser().get("/launch", query_string={"iss": ehr.fhir_base, "launch": "x"})
    assert (answer.status_code, answer.get_json()["code"]) == (502, "ehr-unreachable")
    assert "Set-Cookie" not in answer.headers


@pytest.mark.requirement("smart@379")
def test_relative_endpoint_counts_from_the_fhir_base(ehr: Any) -> None:
    """Some servers name their endpoints without the host."""
    ehr.configuration_changes = {"token_endpoint": "../token", "authorization_endpoint": "/authorize"}
    found = Discovery().smart_configuration(registration_of(ehr))
    assert found.token_endpoint == ehr.origin + "/token"
    assert found.authorization_endpoint == ehr.origin + "/authorize"


@pytest.mark.parametrize(
    "answer",
    [
        Response("no", 404),
        Response("not json"),
        Response("[]"),
        Response("[" * 100_000),
        Response("x" * 600_000),
    ],
)
def test_unusable_configuration_is_one_plain_error(ehr: Any, answer: Response, monkeypatch: pytest.MonkeyPatch) -> None:
    """Absent, broken, nested or endless: the EHR did not answer."""
    _answer_discovery_with(monkeypatch, ehr, answer)
    with pytest.raises(EhrUnreachableError):
        Discovery().smart_configuration(registration_of(ehr))


@pytest.mark.rule("attack 9")
def test_redirect_is_not_followed(ehr: Any, other_ehr: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A redirect to another machine ends the launch; the other machine hears nothing.

    Breaks when ``BoundedSession.send`` lets redirects through.
    """
    target = other_ehr.fhir_base + "/.well-known/smart-configuration"
    _answer_discovery_with(monkeypatch, ehr, redirect(target))
    with pytest.raises(EhrUnreachableError):
        Discovery().smart_configuration(registration_of(ehr))
    assert other_ehr.received == []


def test_ehr_that_is_off_is_said_to_be_off(free_port: Any) -> None:
    """Nobody listening is one plain error."""
    gone = Registration("a", f"http://127.0.0.1:{free_port()}/fhir", "x", "EHR", (), frozenset())
    with pytest.raises(EhrUnreachableError):
        Discovery().smart_configuration(gone)


def test_configuration_is_kept_for_minutes_only(ehr: Any) -> None:
    """A busy morning asks an EHR once in five minutes, and a change there is noticed after that."""
    now = [0.0]
    discovery = Discovery(monotonic=lambda: now[0])
    for _ in range(3):
        discovery.smart_configuration(registration_of(ehr))
    assert len(ehr.received) == 1
    now[0] = CACHE_SECONDS + 1
    discovery.smart_configuration(registration_of(ehr))
    assert len(ehr.received) == 2


def test_failure_is_not_kept(ehr: Any) -> None:
    """An EHR that comes back is used at once."""
    discovery = Discovery()
    ehr.configuration_changes = {"token_endpoint": None}
    with pytest.raises(EhrUnreachableError):
        Discovery().smart_configuration(registration_of(ehr))
    ehr.configuration_changes = {}
    assert discovery.smart_configuration(registration_of(ehr))


@pytest.mark.parametrize(
    ("address", "is_fine"),
    [
        ("https://ehr.example/token", True),
        ("https://login.example/token", True),
        ("https://ehr.example:8443/token", True),
        ("http://ehr.example/token", False),
        ("https://127.0.0.1/token", False),
        ("https://[::1]/token", False),
        ("https://localhost:8443/token", False),
        ("https://user:pass@ehr.example/token", False),
        ("https://ehr.example/token#x", False),
        ("https://ehr.example:port/token", False),
        ("https:///token", False),
        ("ftp://ehr.example/token", False),
        ("", False),
    ],
)
def test_address_is_https_to_another_machine(address: str, is_fine: bool) -> None:
    """An EHR may keep its sign-in on another host, but always behind https and never on this computer."""
    assert is_acceptable_address(address, REGISTRATION) is is_fine


def _answer_discovery_with(monkeypatch: pytest.MonkeyPatch, ehr: Any, answer: Any) -> None:
    """Let the double answer its configuration address with this instead."""
    original = Flask.full_dispatch_request

    def dispatch(app: Flask) -> Any:
        is_asked = request.path.endswith("/smart-configuration") and f"http://{request.host}" == ehr.origin
        return answer if is_asked else original(app)

    monkeypatch.setattr(Flask, "full_dispatch_request", dispatch)

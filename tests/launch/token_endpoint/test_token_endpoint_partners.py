"""Partners as they are registered, their keys, and what is published to them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import responses
from partner_side import EC, FAILED, JWKS, JWKS_URL, TOKEN_URL, Json, Station, claims, header, jws

from launch import client_authentication


@pytest.mark.rule("R19")
def test_rule_R19_suspended_partner_is_refused_at_once(tmp_path: Path) -> None:
    """An agreement that ends closes the door with the next request, and opens it again when it is renewed.

    Break: let ``may_connect`` be ``bool(row.is_enabled)``.
    """
    made = Station(tmp_path / "open.sqlite")
    made.register("harbor-system")
    assert made.post().status_code == 200
    made.closed.add("harbor-system")
    assert made.post().data == FAILED
    assert made.events[-1].reason == "client-closed"
    made.closed.clear()
    assert made.post().status_code == 200


@pytest.mark.parametrize(
    ("cause", "answer", "reason"),
    [
        ("down", {"status": 503, "json": JWKS}, "jwks-status"),
        (
            "redirect",
            {"status": 302, "json": JWKS, "headers": {"Location": "https://evil.example/jwks.json"}},
            "jwks-status",
        ),
        ("not json", {"body": b"<html>"}, "jwks-not-json"),
        ("huge", {"body": b'{"keys": [' + b" " * 70_000 + b"]}"}, "jwks-too-large-or-slow"),
        ("deep", {"body": b"[" * 50_000}, "jwks-not-json"),
    ],
)
def test_keys_that_cannot_be_had_close_the_door(cause: str, answer: Json, reason: str, tmp_path: Path) -> None:
    """When a partner's key page is down, moved, huge or broken nobody gets in on old trust."""
    made = Station(tmp_path / "down.sqlite")
    made.register("with-url", jwks=None, jwks_url=JWKS_URL)
    with responses.RequestsMock(assert_all_requests_are_fired=False) as answers:
        answers.get(JWKS_URL, **answer)
        refused = made.post(jws(header(), claims("with-url"), EC, "ES384"))
    assert refused.data == FAILED
    assert made.events[-1].reason == reason


@pytest.mark.rule("attack 9")
@pytest.mark.parametrize(
    "address",
    [
        "http://partner.example/jwks.json",
        "http://localhost:9100/jwks.json",
        "https://user:word@partner.example/jwks.json",
        "https://partner.example/jwks.json#part",
        "file:///etc/passwd",
        "https://",
        "https://[::1",
    ],
)
def test_key_addresses_that_are_never_fetched(address: str, station: Station) -> None:
    """Only a plain https address can be registered for a partner's keys."""
    with pytest.raises(ValueError, match="https"):
        station.register("x", jwks=None, jwks_url=address)
    with pytest.raises(client_authentication.KeysUnavailableError, match="jwks-address"):
        client_authentication.JwksCache().keys(address, None)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"jwks_url": JWKS_URL}, "either jwks_url or jwks"),
        ({"jwks": None}, "either jwks_url or jwks"),
        ({"jwks": {"keys": [{"kty": "oct", "k": "AA"}]}}, "no usable public key"),
        ({"scopes": ()}, "scopes must be among"),
        ({"scopes": ("system/*.cruds",)}, "scopes must be among"),
        ({"scopes": ("patient/Task.r",)}, "scopes must be among"),
    ],
)
def test_registration_says_what_is_wrong(change: Json, words: str, station: Station) -> None:
    """Somebody who registers a partner wrongly is told so in one sentence, before the partner finds out."""
    with pytest.raises(ValueError, match=words):
        station.register("x", **change)


@pytest.mark.requirement("smart@285")
@pytest.mark.requirement("smart@286")
@pytest.mark.requirement("smart@287")
@pytest.mark.requirement("smart@288")
@pytest.mark.requirement("smart@289")
@pytest.mark.requirement("smart@372")
@pytest.mark.requirement("smart@373")
def test_discovery_says_what_we_offer_and_no_more(station: Station) -> None:
    """A partner's developer finds the token address, the algorithms and scopes in one public document."""
    answer = station.http.get(
        "/fhir/.well-known/smart-configuration", headers={"Host": "evil.example", "Accept": "x/y"}
    )
    assert (answer.status_code, answer.mimetype) == (200, "application/json")
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    document = json.loads(answer.data)
    assert document["token_endpoint"] == TOKEN_URL
    assert document["grant_types_supported"] == ["client_credentials"]
    assert document["capabilities"] == ["client-confidential-asymmetric", "permission-v2"]
    assert document["token_endpoint_auth_methods_supported"] == ["private_key_jwt"]
    assert document["token_endpoint_auth_signing_alg_values_supported"] == ["RS384", "ES384"]
    assert document["code_challenge_methods_supported"] == ["S256"]
    assert "issuer" not in document
    assert "authorization_endpoint" not in document
    granted = station.post(scope=" ".join(document["scopes_supported"]))
    assert granted.status_code == 200, "all that is offered works"

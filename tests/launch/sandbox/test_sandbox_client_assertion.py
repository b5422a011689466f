"""The sandbox EHR's token endpoint accepts one kind of proof of identity, exactly once."""

from __future__ import annotations

import base64
import json
import threading
import time
import uuid

import pytest
import requests
from joserfc.jwk import ECKey, OctKey


def _b64(value) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _status(world, assertion, **form) -> tuple[int, str]:
    """What a code request with this assertion gets. The code itself is always good."""
    answer = world.redeem(world.code("a"), client_assertion=assertion, **form)
    return answer.status_code, answer.json().get("error", "")


@pytest.mark.parametrize("name", ["ec", "rsa"])
@pytest.mark.requirement("smart@308")
def test_both_algorithms_of_smart_are_accepted(world, name) -> None:
    """An app may sign with ES384 or with RS384."""
    assert _status(world, world.assertion(key=getattr(world.keys, name)))[0] == 200


def test_five_minutes_ahead_is_the_most(world) -> None:
    """A proof that stays valid for five minutes is accepted, one that stays valid longer is not."""
    assert _status(world, world.assertion(exp=int(time.time()) + 300))[0] == 200
    assert _status(world, world.assertion(exp=int(time.time()) + 330)) == (400, "invalid_client")


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": -30},
        {"exp": 3600},
        {"exp": None},
        {"exp": "240"},
        {"exp": True},
        {"exp": float("inf")},
        {"exp": float("nan")},
        {"iss": "another-app"},
        {"sub": "another-app"},
        {"sub": ["care-connections"]},
        {"aud": None},
        {"aud": "fhir-base"},
        {"aud": ["token-url", "http://elsewhere.example/token"]},
        {"jti": None},
        {"jti": 7},
        {"jti": ""},
        {"jti": "x" * 10_000},
        {"nbf": 600},
    ],
    ids=lambda claims: "-".join(f"{name}-{str(value)[:20]}" for name, value in claims.items()),
)
def test_a_proof_with_a_wrong_claim_is_refused(world, claims) -> None:
    """Each claim of the proof is checked; one that is missing, late, early or somebody else's fails."""
    named = {"fhir-base": world.fhir_base("a"), "token-url": f"{world.url}/a/oauth/token"}
    if isinstance(claims.get("exp"), int) and not isinstance(claims["exp"], bool):
        claims = {"exp": int(time.time()) + claims["exp"]}
    if "nbf" in claims:
        claims = {"nbf": int(time.time()) + claims["nbf"]}
    if "aud" in claims:
        aud = claims["aud"]
        claims = {"aud": [named.get(one, one) for one in aud] if isinstance(aud, list) else named.get(aud, aud)}
    assert _status(world, world.assertion(**claims)) == (400, "invalid_client")


@pytest.mark.parametrize(
    "header",
    [
        {"typ": None},
        {"typ": "at+jwt"},
        {"kid": None},
        {"kid": "unknown"},
        {"kid": "rsa-1"},
        {"kid": ["ec-1"]},
        {"jku": "http://elsewhere.example/jwks.json"},
    ],
    ids=lambda header: "-".join(f"{name}-{value}" for name, value in header.items()),
)
def test_a_proof_with_a_wrong_header_is_refused(world, header) -> None:
    """The header must name a JWT and one published key, and no place to fetch keys from."""
    assert _status(world, world.assertion(header=header)) == (400, "invalid_client")


def test_other_algorithms_are_refused(world) -> None:
    """RS256, a shared secret made from the public key, or no signature at all prove nothing here."""
    claims = {
        "iss": "care-connections",
        "sub": "care-connections",
        "aud": f"{world.url}/a/oauth/token",
        "exp": int(time.time()) + 200,
    }
    none = f"{_b64({'alg': 'none', 'typ': 'JWT', 'kid': 'ec-1'})}.{_b64(claims | {'jti': 'n'})}."
    public = json.dumps(world.keys.ec.as_dict(private=False)).encode()
    confused = world.assertion(key=OctKey.import_key(public), header={"alg": "HS256", "kid": "ec-1"})
    rs256 = world.assertion(key=world.keys.rsa, header={"alg": "RS256"})
    for assertion in (none, confused, rs256):
        assert _status(world, assertion) == (400, "invalid_client")


def test_a_signature_of_another_key_is_refused(world) -> None:
    """Knowing the key's name is not having the key."""
    assert _status(world, world.assertion(key=world.keys.stolen)) == (400, "invalid_client")


def test_a_proof_works_once(world) -> None:
    """A proof that was caught and sent again is refused, at the other base as well as here."""
    assertion = world.assertion()
    assert _status(world, assertion)[0] == 200
    assert _status(world, assertion) == (400, "invalid_client")


def test_a_forged_proof_does_not_use_up_the_genuine_one(world) -> None:
    """Somebody who guesses the number of a proof cannot block it by sending a forgery first."""
    jti = str(uuid.uuid4())
    assert _status(world, world.assertion(key=world.keys.stolen, jti=jti))[0] == 400
    assert _status(world, world.assertion(jti=jti))[0] == 200


def test_the_same_proof_at_the_same_moment_works_once(world) -> None:
    """Of eight copies that arrive together, one is accepted."""
    assertion, codes, statuses = world.assertion(), [], []
    for _ in range(8):
        codes.append((world.code("a"), world.verifier))

    def send(code: str, verifier: str) -> None:
        statuses.append(world.redeem(code, client_assertion=assertion, code_verifier=verifier).status_code)

    threads = [threading.Thread(target=send, args=one) for one in codes]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert sorted(statuses) == [200, *[400] * 7]


@pytest.mark.parametrize(
    "assertion",
    [
        "garbage",
        "a.b.c",
        "...",
        "a.b.c.d",
        _b64([1]) + "." + _b64({}) + ".",
        _b64("ES384") + "." + _b64({}) + ".",
        _b64({"alg": ["ES384"], "typ": "JWT", "kid": "ec-1"}) + "." + _b64({"sub": "care-connections"}) + ".AA",
        _b64({"alg": "ES384", "typ": "JWT", "kid": "ec-1"}) + "." + _b64([1]) + ".AA",
        _b64({"alg": "ES384", "typ": "JWT", "kid": "ec-1"}) + "." + _b64(b"\xff\xfe") + ".AA",
        _b64({"alg": "ES384", "typ": "JWT", "kid": "ec-1", "crit": ["x"], "x": 1})
        + "."
        + _b64({"sub": "care-connections"})
        + ".AA",
        _b64({"alg": "ES384", "typ": "JWT", "kid": "ec-1", "b64": False})
        + "."
        + _b64({"sub": "care-connections"})
        + ".AA",
        _b64(b"[" * 20_000) + "." + _b64({}) + ".AA",
        "\u00e9\u00e9.\u00e9.\u00e9",
    ],
)
def test_nonsense_is_refused_calmly(world, assertion) -> None:
    """Whatever is sent as a proof, the answer is a plain refusal and never a crash."""
    assert _status(world, assertion) == (400, "invalid_client")


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"grant_type": "client_credentials"}, "unsupported_grant_type"),
        ({"grant_type": None}, "unsupported_grant_type"),
        ({"client_assertion": None}, "invalid_client"),
        ({"client_assertion_type": "jwt"}, "invalid_client"),
        ({"client_assertion": None, "client_assertion_type": None, "client_id": "care-connections"}, "invalid_client"),
        ({"client_secret": "x"}, "invalid_request"),
        ({"client_id": "another-app"}, "invalid_client"),
        ({"code": None}, "invalid_request"),
        ({"code": "made-up"}, "invalid_grant"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_wrong_token_request_is_refused(world, form, error) -> None:
    """Anything but one code with one proof is refused with the error OAuth names."""
    answer = world.redeem(world.code("a"), **form)
    assert answer.json()["error"] == error
    assert answer.status_code in ((400, 401) if error == "invalid_client" else (400,))
    assert answer.headers["Cache-Control"] == "no-store"


def test_parameters_count_only_in_the_form_and_once(world) -> None:
    """A query string, JSON, a repeated parameter or a second credential is not guessed about."""
    url = f"{world.url}/a/oauth/token"
    form = {
        "grant_type": "authorization_code",
        "code": world.code("a"),
        "redirect_uri": world.redirect_uri,
        "code_verifier": world.verifier,
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": world.assertion(),
    }
    tries = [
        requests.post(f"{url}?scope=launch", data=form, timeout=10),
        requests.post(url, json=form, timeout=10),
        requests.post(url, data=[*form.items(), ("code", "again")], timeout=10),
        requests.post(url, data=form, auth=("care-connections", "x"), timeout=10),
    ]
    assert [(one.status_code, one.json()["error"]) for one in tries] == [(400, "invalid_request")] * 4
    assert requests.get(url, timeout=10).status_code == 405
    assert requests.post(url, data=form, timeout=10).status_code == 200


def test_the_keys_are_read_from_the_registered_address_only(world, published) -> None:
    """The EHR asks the app's own address for its keys, and an unknown key makes it ask again, not often."""
    _, asked, what = published
    new = ECKey.generate_key("P-384", parameters={"kid": "ec-2", "alg": "ES384"})
    good = what["jwks"]
    try:
        what["jwks"] = {"keys": [*good["keys"], new.as_dict(private=False)]}
        time.sleep(1.1)
        asked.clear()
        assert _status(world, world.assertion(key=new))[0] == 200
        assert asked == ["/.well-known/jwks.json"]
        for _ in range(3):
            assert _status(world, world.assertion(header={"kid": "nowhere"}))[0] == 400
        assert len(asked) <= 3
    finally:
        what["jwks"] = good


@pytest.mark.parametrize("jwks", [{}, [], {"keys": {}}, {"keys": [1, {"kty": "EC", "kid": "ec-9", "crv": "P-999"}]}])
def test_a_broken_key_list_of_the_app_is_a_plain_refusal(world, published, jwks) -> None:
    """An app whose key list cannot be read is not who it says it is, and the EHR stays up."""
    what = published[2]
    good = what["jwks"]
    stranger = ECKey.generate_key("P-384", parameters={"kid": "ec-9", "alg": "ES384"})
    try:
        what["jwks"] = jwks
        time.sleep(1.1)
        assert _status(world, world.assertion(key=stranger)) == (400, "invalid_client")
    finally:
        what["jwks"] = good
        time.sleep(1.1)
        assert _status(world, world.assertion(header={"kid": "refetch"}))[0] == 400
        assert _status(world, world.assertion())[0] == 200


def test_two_published_keys_of_one_name_prove_nothing(world, published) -> None:
    """When two keys share a name the EHR does not choose."""
    what = published[2]
    good = what["jwks"]
    twin = ECKey.generate_key("P-384", parameters={"kid": "twin", "alg": "ES384"})
    other = ECKey.generate_key("P-384", parameters={"kid": "twin", "alg": "ES384"})
    try:
        what["jwks"] = {"keys": [*good["keys"], twin.as_dict(private=False), other.as_dict(private=False)]}
        time.sleep(1.1)
        assert _status(world, world.assertion(key=twin)) == (400, "invalid_client")
    finally:
        what["jwks"] = good

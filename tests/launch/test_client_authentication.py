"""Public keys of partners and EHRs: which are taken, where from, and for how long."""

from __future__ import annotations

from typing import Any

import pytest
import responses
from joserfc.jwk import ECKey, RSAKey

from launch.client_authentication import JwksCache, public_keys

JWKS_URL = "https://partner.example/jwks.json"
EC = ECKey.generate_key("P-384", {"kid": "ec-1", "alg": "ES384", "use": "sig"}, private=True)
RSA = RSAKey.generate_key(2048, {"kid": "rsa-1", "alg": "RS384", "use": "sig"}, private=True)
STRANGER = ECKey.generate_key("P-384", {"kid": "ec-1"}, private=True)
JWKS = {"keys": [EC.as_dict(private=False), RSA.as_dict(private=False)]}


def published(answers: responses.RequestsMock, **changes: Any) -> None:
    answers.get(JWKS_URL, **({"json": JWKS, "headers": {"Cache-Control": "max-age=60"}} | changes))


@pytest.mark.requirement("smart@342")
@pytest.mark.requirement("smart@339")
@pytest.mark.requirement("smart@341")
def test_published_keys_are_cached_as_long_as_they_say_and_no_longer() -> None:
    """A partner's keys are fetched once, kept for as long as it allows, and a withdrawn key stops working then."""
    now = [100.0]
    cache = JwksCache(monotonic=lambda: now[0])
    with responses.RequestsMock(assert_all_requests_are_fired=False) as answers:
        published(answers)
        assert {key.kid for key in cache.keys(JWKS_URL, "ec-1")} == {"ec-1", "rsa-1"}
        now[0] += 59
        cache.keys(JWKS_URL, "ec-1")
        assert len(answers.calls) == 1
        now[0] += 2
        answers.reset()
        published(answers, json={"keys": [RSA.as_dict(private=False)]})
        assert {key.kid for key in cache.keys(JWKS_URL, "ec-1")} == {"rsa-1"}


@pytest.mark.requirement("smart@341")
@pytest.mark.parametrize(
    ("header_value", "seconds"),
    [
        (None, 60),
        ("max-age=10", 10),
        ('public, Max-Age="20"', 20),
        ("max-age=999999", 3600),
        ("no-store", 0),
        ("no-cache, max-age=60", 0),
        ("max-age=-1", 60),
    ],
)
def test_key_lifetime_by_cache_control(header_value: str | None, seconds: float) -> None:
    """How long a partner's keys are kept follows what the partner says."""
    assert JwksCache.lifetime(header_value) == seconds


def test_unknown_key_id_fetches_again_once_a_minute_at_most() -> None:
    """A partner that changes its key is understood, and nobody can make us ask it all day long."""
    now = [100.0]
    cache = JwksCache(monotonic=lambda: now[0])
    with responses.RequestsMock(assert_all_requests_are_fired=False) as answers:
        published(answers, headers={"Cache-Control": "max-age=3600"})
        for _ in range(5):
            cache.keys(JWKS_URL, "new")
        assert len(answers.calls) == 1
        now[0] += 61
        cache.keys(JWKS_URL, "new")
        cache.keys(JWKS_URL, "ec-1")
        assert len(answers.calls) == 2


@pytest.mark.filterwarnings("ignore:Key size should be")
def test_one_bad_key_spoils_no_other() -> None:
    """A partner's key page with an odd entry still works for the good ones, and never for a weak or doubled one."""
    weak = RSAKey.generate_key(1024, {"kid": "weak"}, private=True)
    entries = [
        EC.as_dict(private=False),
        {"kty": "EC", "crv": "secp999", "x": "AA", "y": "AA", "kid": "odd-curve"},
        {"kty": "oct", "k": "c2VjcmV0", "kid": "shared"},
        weak.as_dict(private=False),
        STRANGER.as_dict(private=True) | {"kid": "private"},
        RSA.as_dict(private=False) | {"kid": "twice"},
        STRANGER.as_dict(private=False) | {"kid": "twice"},
        RSA.as_dict(private=False) | {"kid": "for-encryption", "use": "enc"},
        "not a key",
        {"kty": "RSA"},
        {"kty": ["RSA"], "kid": "list"},
        {"kty": "EC", "crv": "P-384", "x": 1, "y": None, "kid": "wrong-types"},
    ]
    assert [key.kid for key in public_keys({"keys": entries})] == ["ec-1"]
    for odd in (None, [], {}, {"keys": {}}, {"keys": None}, "x"):
        assert public_keys(odd) == []

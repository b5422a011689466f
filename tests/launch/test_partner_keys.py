"""Keys that others give us: what is taken of a set, and that one bad key spoils no other."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from joserfc.jwk import ECKey, RSAKey

from launch.client_authentication import PublicKey, _fits, public_keys

GOOD_EC = ECKey.generate_key("P-384", {"kid": "good-ec", "use": "sig"}, private=True)
GOOD_RSA = RSAKey.generate_key(2048, {"kid": "good-rsa", "use": "sig"}, private=True)
OTHER = ECKey.generate_key("P-384", {"kid": "other"}, private=True)
P256 = ECKey.generate_key("P-256", {"kid": "p-256"}, private=True)
GOOD = [GOOD_EC.as_dict(private=False), GOOD_RSA.as_dict(private=False)]


def other(**changes: Any) -> dict[str, Any]:
    """A good key but for ``changes``; None removes a member."""
    return {name: value for name, value in {**OTHER.as_dict(private=False), **changes}.items() if value is not None}


def rsa(bits: int, exponent: int = 65537) -> dict[str, Any]:
    """An RSA key of a size and exponent that nobody should use; the modulus need not be a good one."""

    def number(value: int) -> str:
        return base64.urlsafe_b64encode(value.to_bytes((value.bit_length() + 7) // 8, "big")).rstrip(b"=").decode()

    return {"kty": "RSA", "n": number((1 << (bits - 1)) | 1), "e": number(exponent), "kid": "rsa"}


BAD: dict[str, Any] = {
    "rsa-1024": rsa(1024),
    "rsa-2047": rsa(2047),
    "rsa-16384": rsa(16384),
    "rsa-exponent-1": rsa(2048, 1),
    "rsa-exponent-2": rsa(2048, 2),
    "rsa-without-modulus": {"kty": "RSA", "e": "AQAB", "kid": "rsa"},
    "oct": {"kty": "oct", "k": "c2VjcmV0", "kid": "oct"},
    "okp": {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "kid": "okp"},
    "unknown-kty": other(kty="PQC"),
    "no-kty": other(kty=None),
    "kty-list": other(kty=["EC"]),
    "unknown-curve": other(crv="secp999"),
    "secp256k1": other(crv="secp256k1"),
    "curve-of-another-length": other(crv="P-521"),
    "point-not-on-curve": other(x=other()["y"]),
    "coordinate-missing": other(y=None),
    "coordinate-number": other(x=7),
    "coordinate-not-base64": other(x="***"),
    "private-ec": OTHER.as_dict(private=True),
    "private-rsa": RSAKey.generate_key(2048, {"kid": "private"}, private=True).as_dict(private=True),
    "private-prime-alone": {**GOOD_RSA.as_dict(private=False), "kid": "prime", "p": "AQAB"},
    "symmetric-member": other(k="c2VjcmV0"),
    "use-enc": other(use="enc"),
    "use-list": other(use=["sig"]),
    "key-ops-sign": other(key_ops=["sign"]),
    "key-ops-text": other(key_ops="verify"),
    "key-ops-number": other(key_ops=5),
    "key-ops-null": {**other(), "key_ops": None},
    "kid-number": other(kid=5),
    "kid-list": other(kid=["other"]),
    "alg-of-another-kind": other(alg="RS384"),
    "alg-none": other(alg="none"),
    "alg-hs256": other(alg="HS256"),
    "alg-number": other(alg=384),
    "text": "not a key",
    "none": None,
    "list": [],
    "number": 7,
    "empty": {},
    "deep": {"kty": {"kty": {"kty": []}}},
}


@pytest.mark.requirement("smart@338")
@pytest.mark.parametrize("bad", BAD)
def test_one_bad_key_spoils_no_other(bad: str) -> None:
    """Whatever else stands in a program's key set, its good keys work and the bad one never does.

    Break: import the whole set at once in ``public_keys``.
    """
    for entries in ([BAD[bad], *GOOD], [*GOOD, BAD[bad]], [GOOD[0], BAD[bad], GOOD[1]]):
        assert [key.kid for key in public_keys({"keys": entries})] == ["good-ec", "good-rsa"]


def test_a_doubled_kid_names_nobody() -> None:
    """Two keys of one name, even if one of them could never be used: neither counts, the others do."""
    for twin in (
        other(kid="good-ec"),
        {"kty": "oct", "k": "c2VjcmV0", "kid": "good-ec"},
        other(kid="good-ec", use="enc"),
    ):
        assert [key.kid for key in public_keys({"keys": [*GOOD, twin]})] == ["good-rsa"]


@pytest.mark.parametrize("document", [None, [], {}, "x", 7, {"keys": {}}, {"keys": None}, {"keys": "x"}, {"key": GOOD}])
def test_what_is_no_key_set_has_no_keys(document: object) -> None:
    """An answer of another shape gives nothing, and no error page."""
    assert public_keys(document) == []


def test_only_so_many_keys_are_looked_at() -> None:
    """A set of thousands costs no more than a set of fifty."""
    many = [other(kid=f"k{number}") for number in range(500)]
    assert len(public_keys({"keys": many})) == 50


def key(**options: Any) -> PublicKey:
    return public_keys({"keys": [options]})[0]


@pytest.mark.requirement("smart@308")
@pytest.mark.requirement("smart@309")
@pytest.mark.parametrize(
    ("held", "algorithm", "fits"),
    [
        (GOOD[0], "ES384", True),
        (GOOD[0], "RS384", False),
        (GOOD[1], "RS384", True),
        (GOOD[1], "ES384", False),
        (P256.as_dict(private=False), "ES384", False),
        (P256.as_dict(private=False), "RS384", False),
        (other(alg="ES384"), "ES384", True),
        ({**GOOD[1], "alg": "RS384"}, "RS384", True),
        ({**GOOD[1], "alg": "RS256"}, "RS384", False),
        ({**GOOD[1], "alg": "PS384"}, "RS384", False),
    ],
)
def test_a_key_signs_with_its_own_algorithm_and_curve(held: dict[str, Any], algorithm: str, fits: bool) -> None:
    """A key of the wrong kind or curve, or one that was given for another algorithm, verifies nothing."""
    assert _fits(key(**held), algorithm) is fits

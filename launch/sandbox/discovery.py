"""What a base publishes about itself: SMART and OpenID Connect configuration, and the keys of its identity tokens.

Each is right until a switch spoils it in a way that has been seen in the field.
"""

from __future__ import annotations

from typing import Any

from launch.sandbox import scopes
from launch.sandbox.addresses import BASES
from launch.sandbox.ehr import Ehr

ASSERTION_ALGORITHMS = {"both": ["RS384", "ES384"], "RS384": ["RS384"], "RS256": ["RS256"], "unsaid": None}
AUTH_METHODS = ["private_key_jwt", "client_secret_basic", "none"]
WITHOUT_TLS = "http://ehr-login.invalid"
_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "revocation_endpoint", "jwks_uri")
_UNUSABLE_KEYS = [
    {"kty": "EC", "crv": "P-999", "kid": "unknown-curve", "x": "AA", "y": "AA"},
    {"kty": "oct", "kid": "shared-secret", "k": "c2VjcmV0"},
    {"kty": "RSA", "kid": "short", "n": "sXch", "e": "AQAB", "use": "sig"},
    {"kid": "nothing-else"},
    "not a key",
]


def issuer(ehr: Ehr, base: str) -> str:
    """Who signs identity tokens: the FHIR base, or a server of its own as at many real EHRs."""
    return ehr.addresses.oauth(base) if ehr.knobs["separate_issuer"] else ehr.addresses.fhir(base)


def smart_configuration(ehr: Ehr, base: str, registered_scopes: list[str]) -> dict[str, Any]:
    """The SMART configuration of one base."""
    knobs = ehr.knobs
    methods = ["plain", "S256"] if knobs["offer_plain_pkce"] else ["S256"]
    supported = [word for scope in registered_scopes for word in _spelled(ehr, scope)]
    document = {
        **openid_configuration(ehr, base),
        "revocation_endpoint": f"{ehr.addresses.oauth(base)}/revoke",
        "capabilities": _listed(ehr, _capabilities(ehr)),
        "scopes_supported": sorted(set(supported)),
        "code_challenge_methods_supported": methods,
        "grant_types_supported": _listed(ehr, ["authorization_code", "refresh_token"]),
        "authorization_response_iss_parameter_supported": not knobs["without_iss"],
    }
    if knobs["without_revocation"]:
        del document["revocation_endpoint"]
    for name in _ENDPOINTS:
        if name in document:
            document[name] = _address(ehr, document[name])
    return {name: value for name, value in document.items() if name not in knobs["drop_discovery_members"]}


def openid_configuration(ehr: Ehr, base: str) -> dict[str, Any]:
    """The OpenID Connect configuration of one base."""
    addresses = ehr.addresses
    asymmetric = not ehr.knobs["without_asymmetric"]
    algorithms = ASSERTION_ALGORITHMS[ehr.knobs["assertion_algs"]] if asymmetric else None
    methods = AUTH_METHODS if asymmetric else [one for one in AUTH_METHODS if one != "private_key_jwt"]
    return {
        "issuer": issuer(ehr, base),
        "jwks_uri": f"{addresses.oauth(base)}/jwks.json",
        "authorization_endpoint": f"{addresses.oauth(base)}/authorize",
        "token_endpoint": addresses.token_endpoint(base),
        "token_endpoint_auth_methods_supported": methods,
        **({"token_endpoint_auth_signing_alg_values_supported": algorithms} if algorithms else {}),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256", "ES384"],
    }


def jwks(ehr: Ehr, base: str) -> dict[str, Any]:
    """The public keys of one base."""
    if ehr.knobs["jwks"] == "others":
        return ehr.keys.public(next(other for other in BASES if other != base))
    keys = ehr.keys.public(base)["keys"]
    return {"keys": [*_UNUSABLE_KEYS, *keys] if ehr.knobs["jwks"] == "spoiled" else keys}


def _capabilities(ehr: Ehr) -> list[str]:
    knobs = ehr.knobs
    listed = {
        "launch-ehr": True,
        "client-confidential-asymmetric": not knobs["without_asymmetric"],
        "client-confidential-symmetric": True,
        "client-public": True,
        "authorize-post": knobs["authorize_post"] != "unlisted",
        "permission-v1": knobs["without_permission_v2"],
        "permission-v2": not knobs["without_permission_v2"],
    }
    always = [
        "sso-openid-connect", "context-ehr-patient", "context-ehr-encounter", "context-banner", "context-style",
        "permission-online", "permission-patient", "permission-user",
    ]  # fmt: skip
    return [name for name, is_listed in listed.items() if is_listed] + always


def _listed(ehr: Ehr, words: list[str]) -> list[str]:
    return [word for word in words if word not in ehr.knobs["unlisted"]]


def _spelled(ehr: Ehr, scope: str) -> list[str]:
    return [scopes.as_v1(scope)] if ehr.knobs["without_permission_v2"] else [scope]


def _address(ehr: Ehr, address: str) -> str:
    path = address.removeprefix(ehr.addresses.ehr)
    return {"relative": "../.." + path, "http": WITHOUT_TLS + path}.get(ehr.knobs["endpoints"], address)

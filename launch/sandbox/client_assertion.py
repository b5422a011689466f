"""The client's proof of identity at the token endpoint: a signed JWT, checked to the letter and accepted once.

SMART App Launch 2.2 client-confidential-asymmetric, RFC 7523. Authlib finds the assertion in the form and checks
issuer, subject and audience; what it leaves open (algorithm, type, key id, lifetime, reuse) is closed here.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from authlib.oauth2.rfc6749.errors import InvalidClientError
from authlib.oauth2.rfc7523 import JWTBearerClientAssertion
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import import_key
from joserfc.jws import JWSRegistry

from launch.sandbox.grants import Grants

ALGORITHMS = {"RS384": "RSA", "ES384": "EC"}
MAX_LIFETIME_SECONDS = 300
CLOCK_SKEW_SECONDS = 5
MAX_JTI_CHARACTERS = 255
MAX_JWKS_BYTES = 65536
JWKS_CACHE_SECONDS = 60
PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "k", "oth"})


class ClientKeys:
    """The public keys a client publishes at its registered URL; asked again for an unknown key id, not more often."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._lock = threading.Lock()
        self._keys: list[dict[str, Any]] = []
        self._fetched_at = float("-inf")
        self._asked_for: dict[str, float] = {}

    def named(self, kid: str, key_type: str) -> Any:
        """The one key with that id and type; InvalidClientError when there is none or more than one."""
        with self._lock:
            now = time.monotonic()
            found = self._matching(kid, key_type)
            is_stale = now - self._fetched_at > JWKS_CACHE_SECONDS
            if is_stale or (not found and now - self._asked_for.get(kid, float("-inf")) > 1):
                self._asked_for = {kid: now}
                self._keys, self._fetched_at = fetch_keys(self.url), now
                found = self._matching(kid, key_type)
        if len(found) != 1:
            raise InvalidClientError(description="no single key with that kid is published")
        try:
            return import_key(found[0])
        except (JoseError, ValueError) as error:
            raise InvalidClientError(description="the published key cannot be used") from error

    def _matching(self, kid: str, key_type: str) -> list[dict[str, Any]]:
        return [key for key in self._keys if key.get("kid") == kid and key.get("kty") == key_type]


def fetch_keys(url: str) -> list[dict[str, Any]]:
    """The well-formed public keys at a URL. No redirect, no proxy, a time limit and a size limit."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=5)
    try:
        connection.request("GET", parts.path, headers={"Accept": "application/json"})
        response = connection.getresponse()
        body = response.read(MAX_JWKS_BYTES + 1)
        if response.status != 200 or len(body) > MAX_JWKS_BYTES:
            raise InvalidClientError(description="the client's JWKS could not be read")
        keys = json.loads(body)["keys"]
        return [key for key in keys if isinstance(key, dict) and not PRIVATE_MEMBERS & key.keys()]
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as error:
        raise InvalidClientError(description="the client's JWKS could not be read") from error
    finally:
        connection.close()


class ClientAssertion(JWTBearerClientAssertion):  # type: ignore[misc]
    """``private_key_jwt`` for one base. ``audience`` is that base's token URL and nothing else."""

    CLIENT_AUTH_METHOD = "private_key_jwt"

    def __init__(
        self,
        audience: str,
        keys: dict[str, ClientKeys],
        grants: Grants,
        now: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(leeway=CLOCK_SKEW_SECONDS)
        self._now = now
        self._audience = audience
        self._keys = keys
        self._grants = grants

    def __call__(self, query_client: Any, request: Any) -> Any:
        """The authenticated client, or None when the form holds no assertion."""
        try:
            client = super().__call__(query_client, request)
        except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
            raise InvalidClientError(description="the assertion is not a JWT") from error
        if client is not None and request.form.get("client_id") not in (None, client.get_client_id()):
            raise InvalidClientError(description="client_id and the assertion differ")
        return client

    def get_audiences(self) -> list[str]:
        """The token URL."""
        return [self._audience]

    def resolve_client_public_key(self, client: Any) -> Any:
        """The source of the client's keys; the right one is chosen by header below."""
        return self._keys[client.get_client_id()]

    def process_assertion_claims(self, assertion: str, resolve_key: Any) -> Any:
        """Check the header, the signature, then the claims."""
        header = _header(assertion)
        alg, kid = header.get("alg"), header.get("kid")
        if not isinstance(alg, str) or alg not in ALGORITHMS:
            raise InvalidClientError(description="alg must be RS384 or ES384")
        if header.get("typ") != "JWT":
            raise InvalidClientError(description="typ must be JWT")
        if not isinstance(kid, str) or not kid:
            raise InvalidClientError(description="kid is missing")
        if "jku" in header and header["jku"] != resolve_key.url:
            raise InvalidClientError(description="jku is not the registered URL")
        if "crit" in header:
            raise InvalidClientError(description="crit is not understood")
        key = resolve_key.named(kid, ALGORITHMS[alg])
        try:
            token = jwt.decode(assertion, key, registry=JWSRegistry(algorithms=[alg], strict_check_header=False))
        except (JoseError, ValueError, TypeError) as error:
            raise InvalidClientError(description="the signature does not hold") from error
        self.verify_claims(token.claims)
        return token.claims

    def verify_claims(self, claims: dict[str, Any]) -> None:
        """Lifetime, then Authlib's issuer, subject and audience, and last the single use of ``jti``."""
        now, expires, jti = self._now(), claims.get("exp"), claims.get("jti")
        if isinstance(expires, bool) or not isinstance(expires, int | float):
            raise InvalidClientError(description="exp is missing or not a number")
        if not now - CLOCK_SKEW_SECONDS <= expires <= now + MAX_LIFETIME_SECONDS + CLOCK_SKEW_SECONDS:
            raise InvalidClientError(description="exp is past or more than 300 seconds ahead")
        if not isinstance(jti, str) or not 1 <= len(jti) <= MAX_JTI_CHARACTERS:
            raise InvalidClientError(description="jti is missing or too long")
        if claims.get("aud") not in (self._audience, [self._audience]):
            raise InvalidClientError(description="aud must be this token URL")
        super().verify_claims(claims)

    def validate_jti(self, claims: dict[str, Any], jti: str) -> bool:
        """True the first time only."""
        keep_until = claims["exp"] + MAX_LIFETIME_SECONDS
        return self._grants.use_jti(str(claims["sub"]), jti, keep_until)


def _header(assertion: str) -> dict[str, Any]:
    try:
        header = jws.extract_compact(assertion.encode()).headers()
    except (JoseError, ValueError, TypeError) as error:
        raise InvalidClientError(description="the assertion is not a JWT") from error
    if not isinstance(header, dict):
        raise InvalidClientError(description="the assertion is not a JWT")
    return header

"""``private_key_jwt`` from both ends: how we sign our own client assertion, and how we judge a partner's.

Both ends keep SMART App Launch 2.2: RS384 or ES384, ``kid`` and ``typ`` in the header, five minutes at most, a ``jti``
that is used once (https://hl7.org/fhir/smart-app-launch/client-confidential-asymmetric.html). Authlib's own classes
keep neither the algorithms nor the limits, so each is subclassed here (measured with Authlib 1.9.9).
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

import requests
from authlib.oauth2.rfc6749.errors import InvalidClientError
from authlib.oauth2.rfc7523 import JWTBearerClientAssertion, PrivateKeyJWT, private_key_jwt_sign
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, RSAKey
from joserfc.jws import JWSRegistry

from launch.transport import AddressRules, hold, was_refused

PublicKey = RSAKey | ECKey

ASSERTION_TYPE = JWTBearerClientAssertion.CLIENT_ASSERTION_TYPE
ASSERTION_ALGORITHMS = ("RS384", "ES384")
ASSERTION_SECONDS = 240  # the limit is 300; the rest is for clocks that run apart
MAX_ASSERTION_CHARACTERS = 8_000
MAX_JTI_CHARACTERS = 255
MAX_KEYS = 50
MIN_RSA_BITS = 2048
MAX_RSA_BITS = 8192  # a longer key is no safer against anyone, and each check of it costs us more
_PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_ALGORITHMS_OF: Mapping[str, tuple[str, ...]] = {
    "RSA": ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    "EC": ("ES256", "ES384", "ES512"),
}
MAX_JWKS_BYTES = 64_000
FAILED = "client authentication failed"  # one text for every cause; the cause goes to the audit log


# --- our side: we are the client -------------------------------------------------------------------------------------


def signed_assertion(key: PublicKey, client_id: str, token_endpoint: str) -> str:
    """One client assertion, good for one request. ``key`` is a private joserfc key that carries ``alg`` and ``kid``."""
    return cast(
        str,
        private_key_jwt_sign(
            key,
            client_id,
            token_endpoint,
            alg=key.alg,
            header={"kid": key.kid, "typ": "JWT"},
            expires_in=ASSERTION_SECONDS,
        ),
    )


class SmartPrivateKeyJWT(PrivateKeyJWT):  # type: ignore[misc]  # Authlib is untyped
    """Authlib's client method with SMART's header and lifetime; a fresh ``jti`` for each request, refresh too.

    Register it on an ``OAuth2Session`` whose client secret is the private joserfc key:
    ``session.register_client_auth_method(SmartPrivateKeyJWT(token_endpoint))``.
    """

    def sign(self, auth: Any, token_endpoint: str) -> str:
        """Sign with the session's key. As shipped: one hour, RS256, no ``kid``."""
        return signed_assertion(auth.client_secret, auth.client_id, token_endpoint)


# --- public keys of others -------------------------------------------------------------------------------------------


def public_keys(document: object) -> list[PublicKey]:
    """The usable RSA (2048 bits or more) and EC keys of a JWKS, taken one by one.

    A key that is private, symmetric, too short or too long, meant for something else or not understood is left out
    and spoils no other (joserfc refuses a whole set for one unknown curve). A ``kid`` that occurs twice names nobody:
    both are out.
    """
    entries = document.get("keys") if isinstance(document, dict) else None
    found = [key for entry in _listed(entries) if (key := _public_key(entry)) is not None]
    counted: dict[str | None, int] = {}
    for entry in _listed(entries):
        kid = entry.get("kid") if isinstance(entry, dict) else None
        counted[kid if isinstance(kid, str) else None] = counted.get(kid if isinstance(kid, str) else None, 0) + 1
    return [key for key in found if key.kid is None or counted.get(key.kid) == 1]


def _listed(entries: object) -> Sequence[object]:
    return entries[:MAX_KEYS] if isinstance(entries, list) else ()


def _public_key(entry: object) -> PublicKey | None:
    if not isinstance(entry, dict) or entry.get("kty") not in ("RSA", "EC") or _PRIVATE_MEMBERS & set(entry):
        return None
    if not _is_for_verifying(entry):
        return None
    try:
        key = JWKRegistry.import_key(entry)
        bits = key.raw_value.key_size if isinstance(key, RSAKey) else 0
    except (JoseError, ValueError, TypeError, KeyError, AttributeError):
        return None
    if isinstance(key, RSAKey):
        return key if MIN_RSA_BITS <= bits <= MAX_RSA_BITS else None
    return key if isinstance(key, ECKey) else None


def _is_for_verifying(entry: Mapping[str, Any]) -> bool:
    """``use``, ``key_ops`` and ``alg`` may be absent; where one is there it has to allow what we would do with it."""
    operations = entry.get("key_ops", ["verify"])
    is_allowed = isinstance(operations, list) and "verify" in operations and entry.get("use", "sig") == "sig"
    return is_allowed and ("alg" not in entry or entry["alg"] in _ALGORITHMS_OF[entry["kty"]])


class KeysUnavailableError(Exception):
    """A client's JWKS could not be had now. ``reason`` is a short code."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass
class _Cached:
    keys: list[PublicKey] = field(default_factory=list)
    kids: frozenset[str] = frozenset()
    fresh_until: float = 0.0
    tried_at: float = float("-inf")
    reason: str = "jwks-not-fetched"
    lock: threading.Lock = field(default_factory=threading.Lock)


class JwksCache:
    """Fetches registered JWKS URLs: https to a public address (or this computer, where allowed), no redirect, 64 kB.

    A set is kept as long as its ``Cache-Control`` says and never longer (an hour at most; a minute when it says
    nothing). An unknown ``kid`` fetches again, once a minute at most. After a failed fetch it waits two seconds.
    """

    DEFAULT_SECONDS = 60.0
    MAX_SECONDS = 3600.0
    REFETCH_SECONDS = 60.0
    FAILURE_SECONDS = 2.0
    TIMEOUT = (3.0, 5.0)
    DEADLINE_SECONDS = 8.0

    def __init__(self, *, allows_loopback_http: bool = False, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._rules = AddressRules(allows_loopback=allows_loopback_http)
        self._monotonic = monotonic
        self._entries: dict[tuple[str, AddressRules], _Cached] = {}
        self._lock = threading.Lock()

    def keys(self, url: str, kid: str | None, rules: AddressRules | None = None) -> list[PublicKey]:
        """The keys at ``url``, fetched again if ``kid`` is not among them. Raises ``KeysUnavailableError``.

        ``rules``: where this fetch may connect to, if another place than usual (an EHR on the hospital's network).
        """
        rules = rules or self._rules
        with self._lock:
            entry = self._entries.setdefault((url, rules), _Cached())
        with entry.lock:
            now = self._monotonic()
            is_fresh = now < entry.fresh_until
            is_new_kid = kid is not None and kid not in entry.kids
            if is_fresh and not (is_new_kid and now - entry.tried_at >= self.REFETCH_SECONDS):
                return entry.keys
            if not is_fresh and entry.reason and now - entry.tried_at < self.FAILURE_SECONDS:
                raise KeysUnavailableError(entry.reason)
            self._refresh(url, rules, entry, now)
            return entry.keys

    def _refresh(self, url: str, rules: AddressRules, entry: _Cached, now: float) -> None:
        entry.tried_at = now
        try:
            document, lifetime = self._fetch(url, rules)
        except KeysUnavailableError as error:
            entry.keys, entry.kids, entry.fresh_until, entry.reason = [], frozenset(), 0.0, error.reason
            raise
        entry.keys = public_keys(document)
        entry.kids = frozenset(key.kid for key in entry.keys if key.kid is not None)
        entry.fresh_until, entry.reason = now + lifetime, ""

    def _fetch(self, url: str, rules: AddressRules) -> tuple[object, float]:
        if not rules.allow_url(url):
            raise KeysUnavailableError("jwks-address")
        deadline = time.monotonic() + self.DEADLINE_SECONDS
        body = b""
        try:
            with requests.Session() as session:
                hold(session, rules)
                with session.get(
                    url,
                    headers={"Accept": "application/json"},
                    timeout=self.TIMEOUT,
                    allow_redirects=False,
                    stream=True,
                ) as answer:
                    if answer.status_code != 200:
                        raise KeysUnavailableError("jwks-status")
                    for part in answer.iter_content(16_384):
                        body += part
                        if len(body) > MAX_JWKS_BYTES or time.monotonic() > deadline:
                            raise KeysUnavailableError("jwks-too-large-or-slow")
                    cache_control = answer.headers.get("Cache-Control")
        except requests.RequestException as error:
            raise KeysUnavailableError("jwks-address" if was_refused(error) else "jwks-no-answer") from None
        try:
            return json.loads(body), self.lifetime(cache_control)
        except (ValueError, RecursionError):
            raise KeysUnavailableError("jwks-not-json") from None

    @classmethod
    def lifetime(cls, cache_control: str | None) -> float:
        """Seconds a JWKS may be kept under this ``Cache-Control`` header."""
        if not cache_control:
            return cls.DEFAULT_SECONDS
        directives = {part.strip().lower() for part in cache_control.split(",")}
        if directives & {"no-store", "no-cache"}:
            return 0.0
        for directive in directives:
            if match := re.fullmatch(r'max-age="?(\d{1,9})"?', directive):
                return min(float(match[1]), cls.MAX_SECONDS)
        return cls.DEFAULT_SECONDS


# --- their side: we judge a partner's assertion ----------------------------------------------------------------------


class AssertionClient(Protocol):
    """What the judgement needs to know of a client. ``may_connect`` is False for an unknown or suspended one."""

    @property
    def client_id(self) -> str:
        """The id it was registered with, or the one an unknown caller claims."""

    @property
    def jwks_url(self) -> str | None:
        """The registered JWKS URL, the only ``jku`` that is taken."""

    @property
    def may_connect(self) -> bool:
        """Registered, enabled and under a current agreement."""


class AssertionRefusedError(InvalidClientError):  # type: ignore[misc]
    """The assertion does not hold. One text outside; ``reason`` and ``client`` (once looked up) are for the audit."""

    def __init__(self, reason: str) -> None:
        super().__init__(description=FAILED)
        self.reason = reason
        self.client: AssertionClient | None = None


@dataclass(frozen=True)
class UnverifiedAssertion:
    """What an assertion says of itself, before anything is believed. ``client_id`` is its ``sub``."""

    algorithm: str
    kid: str
    jku: object
    client_id: str


class SmartAssertion(JWTBearerClientAssertion):  # type: ignore[misc]
    """Authlib's server side of ``private_key_jwt``, held to SMART App Launch 2.2 and RFC 7523 section 3.

    Stateless: one registered instance serves all requests. Whoever sends a well-formed assertion costs the same work,
    known or not, right or wrong: one look-up of the client, one signature check, one attempt to spend a ``jti``
    (safety section 1, "timing class"). So an unknown client is checked against a key nobody holds.

    ``keys_of(client, kid)`` gives public keys or raises ``KeysUnavailableError``; ``spend(client_id, jti, expires_at)``
    is an atomic insert shared by all workers, False on the second use; ``spend_nothing()`` costs as much and keeps
    nothing.
    """

    CLIENT_AUTH_METHOD = "private_key_jwt"
    EXPIRY_SKEW_SECONDS = 5
    AHEAD_SECONDS = 10  # iat and nbf (FAPI 2.0 section 5.3.2.1)
    MAX_LIFE_SECONDS = 300

    def __init__(
        self,
        token_url: str,
        *,
        keys_of: Callable[[Any, str], Iterable[PublicKey]],
        spend: Callable[[str, str, float], bool],
        spend_nothing: Callable[[], None],
    ) -> None:
        super().__init__(validate_jti=False, leeway=self.AHEAD_SECONDS)  # the jti comes last, below
        self._audience = token_url
        self._keys_of = keys_of
        self._spend = spend
        self._spend_nothing = spend_nothing
        self._nobodys_keys: dict[str, PublicKey] = {
            "RS384": RSAKey.generate_key(2048, private=True),
            "ES384": ECKey.generate_key("P-384", private=True),
        }

    def get_audiences(self) -> list[str]:
        """Our token URL from the setting, never from the Host header."""
        return [self._audience]

    def __call__(self, query_client: Callable[[str], AssertionClient], request: Any) -> AssertionClient | None:
        """The client that signed, None when there is no assertion; its ``jti`` is left on the request.

        Raises ``AssertionRefusedError``.
        """
        form = request.form
        assertion = form.get("client_assertion")
        if form.get("client_assertion_type") != self.CLIENT_ASSERTION_TYPE or not assertion:
            return None
        said = read_unverified(assertion)
        client = query_client(said.client_id)
        try:
            claims = self._verified(assertion, said, client)
            self._judge(claims, said, client, form.get("client_id"))
            is_spent_now = self._spend(client.client_id, claims["jti"], claims["exp"] + self.EXPIRY_SKEW_SECONDS)
            if not is_spent_now:
                raise AssertionRefusedError("replay")
        except AssertionRefusedError as error:
            if error.reason != "replay":
                self._spend_nothing()
            error.client = client
            raise
        request.client, request.jti = client, claims["jti"]
        return client

    def _verified(self, assertion: str, said: UnverifiedAssertion, client: AssertionClient) -> dict[str, Any]:
        """The claims, after exactly one signature check."""
        refusal = "signature"
        try:
            candidates = [key for key in self._keys_of(client, said.kid) if key.kid == said.kid]
        except KeysUnavailableError as error:
            candidates, refusal = [], error.reason
        fitting = [key for key in candidates if _fits(key, said.algorithm)]
        if len(fitting) != 1 and refusal == "signature":
            refusal = "no-such-key"
        key = fitting[0] if len(fitting) == 1 else self._nobodys_keys[said.algorithm]
        registry = JWSRegistry(algorithms=list(ASSERTION_ALGORITHMS), strict_check_header=False)
        try:
            return jwt.decode(assertion, key, registry=registry).claims
        except (JoseError, ValueError) as error:
            raise AssertionRefusedError(refusal) from error

    def _judge(
        self, claims: dict[str, Any], said: UnverifiedAssertion, client: AssertionClient, form_client_id: str | None
    ) -> None:
        if not client.may_connect:
            raise AssertionRefusedError("client-closed")
        if said.jku is not None and said.jku != client.jwks_url:
            raise AssertionRefusedError("jku")
        if form_client_id and form_client_id != client.client_id:
            raise AssertionRefusedError("form-client-id")
        self.verify_claims(claims)

    def verify_claims(self, claims: Any) -> None:
        """``exp`` within 300 s, ``iat`` and ``nbf`` not ahead, a short ``jti``; then iss, sub and aud by Authlib."""
        now = time.time()
        jti, exp = claims.get("jti"), claims.get("exp")
        if not isinstance(jti, str) or not 1 <= len(jti) <= MAX_JTI_CHARACTERS:
            raise AssertionRefusedError("jti")
        if not _is_number(exp) or not (
            now - self.EXPIRY_SKEW_SECONDS <= exp <= now + self.MAX_LIFE_SECONDS + self.EXPIRY_SKEW_SECONDS
        ):
            raise AssertionRefusedError("exp")
        for name in ("iat", "nbf"):
            if name in claims and not (_is_number(claims[name]) and claims[name] <= now + self.AHEAD_SECONDS):
                raise AssertionRefusedError(name)
        try:
            super().verify_claims(claims)
        except InvalidClientError as error:
            raise AssertionRefusedError("iss-sub-aud") from error


def read_unverified(assertion: str) -> UnverifiedAssertion:
    """Read header and ``sub`` of a compact JWS. Refuses, on the text alone, what no partner has a reason to send."""
    if len(assertion) > MAX_ASSERTION_CHARACTERS or not re.fullmatch(r"[\w-]+\.[\w-]+\.[\w-]+", assertion, re.ASCII):
        raise AssertionRefusedError("not-a-jws")
    try:
        parsed = jws.extract_compact(assertion.encode("ascii"))
        header = parsed.headers()
        claims = json.loads(parsed.payload, parse_constant=_refuse_constant)
    except (JoseError, ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        raise AssertionRefusedError("not-a-jws") from error
    if not isinstance(header, dict) or not isinstance(claims, dict) or "crit" in header or "b64" in header:
        raise AssertionRefusedError("not-a-jws")
    algorithm, kid, client_id = header.get("alg"), header.get("kid"), claims.get("sub")
    if not isinstance(algorithm, str) or algorithm not in ASSERTION_ALGORITHMS or header.get("typ") != "JWT":
        raise AssertionRefusedError("alg-or-typ")
    if not isinstance(kid, str) or not kid:
        raise AssertionRefusedError("kid")
    if not isinstance(client_id, str) or not re.fullmatch(r"[\x21-\x7e]{1,255}", client_id):
        raise AssertionRefusedError("sub")
    return UnverifiedAssertion(algorithm, kid, header.get("jku"), client_id)


def _refuse_constant(name: str) -> float:
    raise ValueError("NaN and Infinity are not JSON")


def _is_number(value: object) -> bool:
    return type(value) in (int, float)


def _fits(key: PublicKey, algorithm: str) -> bool:
    if key.alg not in (None, algorithm):  # given for another algorithm
        return False
    if algorithm == "ES384":
        return isinstance(key, ECKey) and key.curve_name == "P-384"
    return isinstance(key, RSAKey)

"""Token endpoint of an EHR, as its client: exchange, refresh, revoke; and what an id_token must hold.

Authlib speaks OAuth, joserfc checks signatures. No exception and no text form here carries a code, a token or what the
EHR wrote: the reasons are constants, and causes are dropped, because Authlib's and requests' own texts quote both.
Source: https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

import requests
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey
from joserfc.jws import JWSRegistry

from launch.client_authentication import JwksCache, KeysUnavailableError, PublicKey, SmartPrivateKeyJWT
from launch.discovery import BoundedSession, Discovery, SmartConfiguration, was_never_sent
from launch.errors import EhrUnreachableError, IdentityError, LaunchError, TokenRefusedError
from launch.keys import KeyRing
from launch.registrations import Registration
from launch.transport import AddressRules, rules_of

TOKEN_TIMEOUT_SECONDS = 20
REVOKE_TIMEOUT_SECONDS = 3
SHORT_LIFE_SECONDS = 60  # an answer without ``expires_in`` promises nothing
MAX_LIFE_SECONDS = 3600
ID_TOKEN_ALGORITHMS = ("RS256", "RS384", "ES256", "ES384")
ID_TOKEN_LEEWAY_SECONDS = 60
_TOLD_ERRORS = frozenset({"invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "invalid_scope"})


@dataclass(frozen=True)
class AuthorizationRequest:
    """What the browser takes to the EHR: as an address for GET, or as members of a form for POST."""

    endpoint: str
    url: str = field(repr=False)
    members: tuple[tuple[str, str], ...] = field(repr=False)
    uses_post: bool


@dataclass(frozen=True)
class Tokens:
    """What lets us in, and where it came from. Kept sealed; its text form shows nothing."""

    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    expires_at: int
    token_endpoint: str
    revocation_endpoint: str | None

    def to_json(self) -> dict[str, Any]:
        """JSON values for the sealed row."""
        return asdict(self)


@dataclass(frozen=True)
class TokenAnswer:
    """One good answer of a token endpoint. ``members``: the whole of it, for the launch context."""

    tokens: Tokens = field(repr=False)
    scopes: frozenset[str]
    id_token: str | None = field(repr=False)
    members: Mapping[str, Any] = field(repr=False)


class NothingSentError(EhrUnreachableError):
    """No connection came about, so nothing was used up."""


class _TokenSession(OAuth2Session, BoundedSession):  # type: ignore[misc]  # Authlib is untyped
    """Authlib's client inside our limits."""

    def __init__(self, rules: AddressRules, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.hold_to_limits(rules)  # Authlib calls the constructor of ``requests.Session`` by name


class TokenClient:
    """Talks to the token endpoints of registered EHRs as the kind of client we are there.

    ``private_key_jwt``: a signed assertion, a new one each time. ``client_secret_basic``: the shared secret in the
    header. ``none``: a public client names itself in the form, and PKCE alone binds the code to us.
    """

    def __init__(self, keys: KeyRing, redirect_uri: str) -> None:
        self._keys = keys
        self._redirect_uri = redirect_uri

    def authorization_request(
        self,
        registration: Registration,
        configuration: SmartConfiguration,
        *,
        scope: str,
        state: str,
        verifier: str,
        **members: str,
    ) -> AuthorizationRequest:
        """The authorization request. ``members``: aud, launch, nonce. A form where the EHR or its registration says so:
        an address has a length limit, and stands in histories and logs."""
        endpoint = configuration.authorization_endpoint
        url = prepare_grant_uri(
            endpoint,
            registration.client_id,
            "code",
            redirect_uri=self._redirect_uri,
            scope=scope,
            state=state,
            code_challenge=create_s256_code_challenge(verifier),
            code_challenge_method="S256",
            **members,
        )
        own = len(_query(endpoint))  # an endpoint may carry a query of its own, which stays in its address
        wanted = registration.authorize_method
        uses_post = wanted == "post" or (wanted == "auto" and configuration.takes_posts)
        return AuthorizationRequest(endpoint, str(url), tuple(_query(str(url))[own:]), uses_post)

    def exchange(
        self,
        registration: Registration,
        *,
        token_endpoint: str,
        revocation_endpoint: str | None,
        code: str,
        verifier: str,
    ) -> TokenAnswer:
        """Exchange a code at the pinned endpoint. ``TokenRefusedError`` or ``EhrUnreachableError``."""

        def fetch(session: Any) -> Any:
            return session.fetch_token(
                token_endpoint, grant_type="authorization_code", code=code, code_verifier=verifier
            )

        members = self._ask(registration, token_endpoint, fetch)
        return _token_answer(members, token_endpoint, revocation_endpoint, None)

    def refresh(self, registration: Registration, tokens: Tokens) -> TokenAnswer:
        """Use a refresh token, once. ``NothingSentError`` when it was certainly not used; otherwise as ``exchange``."""

        def fetch(session: Any) -> Any:
            session.scope = None  # Authlib would send the scope of the first request again; SMART wants none
            return session.refresh_token(tokens.token_endpoint, refresh_token=tokens.refresh_token)

        members = self._ask(registration, tokens.token_endpoint, fetch)
        return _token_answer(members, tokens.token_endpoint, tokens.revocation_endpoint, tokens.refresh_token)

    def revoke(self, registration: Registration, tokens: Tokens) -> bool:
        """Ask the EHR to forget both tokens, best effort and quickly. True when it took each."""
        if tokens.revocation_endpoint is None:
            return False
        hints = (("refresh_token", tokens.refresh_token), ("access_token", tokens.access_token))
        try:
            with self._session(registration, tokens.token_endpoint) as session:
                answers = [
                    session.revoke_token(
                        tokens.revocation_endpoint, token=token, token_type_hint=hint, timeout=REVOKE_TIMEOUT_SECONDS
                    )
                    for hint, token in hints
                    if token is not None
                ]
        except (requests.RequestException, OAuthError, OSError, ValueError):
            return False
        return all(answer.status_code == 200 for answer in answers)

    def _session(self, registration: Registration, token_endpoint: str) -> Any:
        method = registration.token_endpoint_auth_method
        session = _TokenSession(
            rules_of(registration),
            client_id=registration.client_id,
            client_secret=self._secret(registration),
            token_endpoint_auth_method=method,
            revocation_endpoint_auth_method=method,
            redirect_uri=self._redirect_uri,
            default_timeout=TOKEN_TIMEOUT_SECONDS,
        )
        session.register_client_auth_method(SmartPrivateKeyJWT(token_endpoint))
        for kind in ("access_token_response", "refresh_token_response"):
            session.register_compliance_hook(kind, _require_ok)
        return session

    def _secret(self, registration: Registration) -> Any:
        """What this kind of client signs or shows: our key, the shared secret, nothing."""
        if registration.token_endpoint_auth_method == "private_key_jwt":  # noqa: S105 - the name of a method
            return self._keys.signing_key(registration.signing_alg)
        return registration.client_secret

    def _ask(self, registration: Registration, token_endpoint: str, fetch: Callable[[Any], Any]) -> dict[str, Any]:
        try:
            with self._session(registration, token_endpoint) as session:
                return dict(fetch(session))
        except LaunchError:
            raise
        except requests.RequestException as error:
            kind = NothingSentError if was_never_sent(error) else EhrUnreachableError
            raise kind("token-no-answer") from None
        except (OAuthError, JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise TokenRefusedError("token-answer") from None


def _query(address: str) -> list[tuple[str, str]]:
    return parse_qsl(urlsplit(address).query, keep_blank_values=True)


def _require_ok(response: requests.Response) -> requests.Response:
    """Authlib takes any JSON object without ``error`` for a token, whatever the status."""
    if response.status_code == 200:
        return response
    if response.status_code >= 500:
        raise EhrUnreachableError("token-status")
    raise TokenRefusedError(_told_error(response))


def _told_error(response: requests.Response) -> str:
    try:
        error = json.loads(response.content).get("error")
    except (ValueError, AttributeError, RecursionError):
        error = None
    return f"token-{error}".replace("_", "-") if error in _TOLD_ERRORS else "token-status"


def _token_answer(
    members: dict[str, Any], token_endpoint: str, revocation_endpoint: str | None, used_refresh_token: str | None
) -> TokenAnswer:
    access_token, scope = members.get("access_token"), members.get("scope", "")
    token_type, id_token = members.get("token_type"), members.get("id_token")
    refresh_token = members.get("refresh_token") or used_refresh_token
    is_sound = (
        _is_token(access_token)
        and isinstance(token_type, str)
        and token_type.lower() == "bearer"
        and isinstance(scope, str)
        and (refresh_token is None or _is_token(refresh_token))
        and (id_token is None or isinstance(id_token, str))
    )
    if not is_sound:
        raise TokenRefusedError("token-answer")
    expires_at = int(time.time()) + _lifetime(members.get("expires_in"))
    tokens = Tokens(cast(str, access_token), refresh_token, expires_at, token_endpoint, revocation_endpoint)
    return TokenAnswer(tokens, frozenset(scope.split()), id_token, members)


def _is_token(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 16_384 and value.isascii() and value.isprintable()


def _lifetime(expires_in: object) -> int:
    if isinstance(expires_in, str) and expires_in.isascii() and expires_in.isdigit() and len(expires_in) < 10:
        expires_in = int(expires_in)  # some servers send the number as a text
    if not isinstance(expires_in, int | float) or isinstance(expires_in, bool) or not expires_in > 0:
        return SHORT_LIFE_SECONDS
    return int(min(expires_in, MAX_LIFE_SECONDS))


_TOLD_CLAIMS = frozenset({"iss", "aud", "azp", "exp", "iat", "nonce", "at_hash"})


class IdTokenJudge:
    """Says whether an id_token is this EHR's word about this launch."""

    def __init__(self, discovery: Discovery, jwks: JwksCache) -> None:
        self._discovery = discovery
        self._jwks = jwks

    def verified_claims(
        self, registration: Registration, id_token: str, *, issuer: str, nonce: str, access_token: str
    ) -> dict[str, Any]:
        """The claims, once signature, iss, aud, azp, exp, iat, nonce and at_hash hold. ``IdentityError`` otherwise."""
        header = _header(id_token)
        key = self._key(registration, issuer, header)
        registry = JWSRegistry(algorithms=list(ID_TOKEN_ALGORITHMS), strict_check_header=False)
        options = {
            "iss": {"essential": True, "value": issuer},
            "aud": {"essential": True, "value": registration.client_id},
        }
        params = {"nonce": nonce, "client_id": registration.client_id, "access_token": access_token}
        try:
            token = jwt.decode(id_token, key, registry=registry)
            claims = CodeIDToken(token.claims, token.header, options, params)
            claims.validate(leeway=ID_TOKEN_LEEWAY_SECONDS)
        except (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise IdentityError(_id_token_reason(error)) from None
        return dict(claims)

    def _key(self, registration: Registration, issuer: str, header: Mapping[str, Any]) -> PublicKey:
        kid, alg = header.get("kid"), header.get("alg")
        if alg not in ID_TOKEN_ALGORITHMS or not (kid is None or isinstance(kid, str)):
            raise IdentityError("id-token-alg")
        try:
            keys = self._jwks.keys(self._discovery.jwks_uri(registration, issuer), kid, rules_of(registration))
        except KeysUnavailableError:
            raise EhrUnreachableError("ehr-jwks") from None
        fitting = [key for key in keys if kid in (None, key.kid) and isinstance(key, RSAKey) == (alg[0] == "R")]
        if len(fitting) != 1:
            raise IdentityError("id-token-key")
        return fitting[0]


def _id_token_reason(error: Exception) -> str:
    """Which claim did not hold, for whoever sets the EHR up; one of a few constants."""
    claim = getattr(error, "claim", None)
    return f"id-token-{claim.replace('_', '-')}" if claim in _TOLD_CLAIMS else "id-token"


def _header(id_token: str) -> Mapping[str, Any]:
    try:
        header = jws.extract_compact(id_token.encode("ascii")).headers()
    except (JoseError, ValueError, TypeError, AttributeError, KeyError, RecursionError):
        raise IdentityError("id-token") from None
    if not isinstance(header, dict):
        raise IdentityError("id-token")
    return header

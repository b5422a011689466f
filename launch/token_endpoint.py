"""We as authorization server: partners' systems get an access token here (SMART Backend Services).

In front stands a guard that takes one plain form POST and nothing else; behind it Authlib's authorization server with
the assertion of ``client_authentication`` and a grant that gives no scope a client was not registered for. Tokens are
opaque, live 300 s and are kept as a hash. Every fault of an assertion gets the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from authlib.oauth2 import AuthorizationServer, OAuth2Request
from authlib.oauth2.rfc6749 import ClientMixin, OAuth2Payload
from authlib.oauth2.rfc6749.errors import (
    InvalidClientError,
    InvalidRequestError,
    InvalidScopeError,
    OAuth2Error,
)
from authlib.oauth2.rfc6749.grants import ClientCredentialsGrant
from authlib.oauth2.rfc6750 import BearerTokenGenerator
from flask import Blueprint, Flask, Request, Response, request
from sqlalchemy import Connection, Engine, delete, insert, select
from sqlalchemy.dialects import postgresql, sqlite
from werkzeug.exceptions import HTTPException

from launch.client_authentication import (
    ASSERTION_ALGORITHMS,
    FAILED,
    AssertionRefusedError,
    JwksCache,
    PublicKey,
    SmartAssertion,
    public_keys,
    read_unverified,
)
from launch.context import LaunchEvent
from launch.refusal_log import RefusalLog
from launch.scopes import covers_system
from launch.tables import launch_attempt, launch_client, launch_jti, launch_token
from launch.transport import AddressRules

TOKEN_SECONDS: Final = 300
MAX_FORM_BYTES: Final = 65_536
ATTEMPTS_PER_MINUTE: Final = 120
ADDRESS_FACTOR: Final = 5  # several clients may share one address

PARTNER_SCOPES: Final = (
    "system/Patient.c",
    "system/Consent.c",
    "system/ServiceRequest.cr",
    "system/Task.crus",
    "system/Appointment.cr",
    "system/HealthcareService.ru",
)

# Constant words for each error code: an answer never repeats what was sent.
DESCRIPTIONS: Final = {
    "invalid_client": FAILED,
    "invalid_request": "send one form POST: grant_type, scope, client_assertion_type, client_assertion, each once",
    "invalid_scope": "a scope is not registered for this client",
    "unsupported_grant_type": "only client_credentials is supported",
    "unauthorized_client": "this client may not use this grant",
    "temporarily_unavailable": "too many requests",
}
HEADERS: Final = [("Content-Type", "application/json"), ("Cache-Control", "no-store"), ("Pragma", "no-cache")]


@dataclass(frozen=True)
class PartnerClient:
    """A partner's system as registered, out of band: where its public keys are, and the most it may ask for.

    Exactly one of ``jwks_url`` (preferred) and ``jwks`` (inline, public keys only). ``scopes`` are ``system/`` scopes.
    """

    client_id: str
    jwks_url: str | None = None
    jwks: dict[str, Any] | None = None
    scopes: tuple[str, ...] = PARTNER_SCOPES
    is_enabled: bool = True


def register_client(
    engine: Engine, tenant_id: str, client: PartnerClient, *, allows_loopback_http: bool = False
) -> None:
    """Add or replace a partner's client. Raises ``ValueError`` with what is wrong and how to mend it."""
    if (client.jwks_url is None) == (client.jwks is None):
        raise ValueError("give either jwks_url or jwks, not both and not neither")
    if client.jwks_url and not AddressRules(allows_loopback=allows_loopback_http).allow_url(client.jwks_url):
        raise ValueError("jwks_url must be a plain https address of a public host")
    if client.jwks is not None and not public_keys(client.jwks):
        raise ValueError("jwks holds no usable public key: RSA of 2048 bits or more, or EC, without private members")
    if not client.scopes or not all(covers_system(PARTNER_SCOPES, scope) for scope in client.scopes):
        raise ValueError("scopes must be among: " + " ".join(PARTNER_SCOPES))
    row = {
        "jwks_url": client.jwks_url,
        "jwks": None if client.jwks is None else json.dumps(client.jwks),
        "scopes": " ".join(client.scopes),
        "is_enabled": client.is_enabled,
    }
    key = {"tenant_id": tenant_id, "client_id": client.client_id}
    with engine.begin() as connection:
        connection.execute(
            _insert(connection, launch_client)
            .values(**key, **row)
            .on_conflict_do_update(index_elements=list(key), set_=row)
        )


def registered_keys(engine: Engine, tenant_id: str) -> dict[str, str]:
    """Client id -> where its public keys are: the address of its JWK Set, or "kept here"."""
    columns = (launch_client.c.client_id, launch_client.c.jwks_url)
    with engine.connect() as connection:
        rows = connection.execute(select(*columns).where(launch_client.c.tenant_id == tenant_id)).all()
    return {row.client_id: row.jwks_url or "kept here" for row in rows}


def end_tokens(engine: Engine, tenant_id: str, client_id: str) -> int:
    """Forget every token of a client, so that its next request is refused. Returns how many."""
    theirs = (launch_token.c.tenant_id == tenant_id, launch_token.c.client_id == client_id)
    with engine.begin() as connection:
        return connection.execute(delete(launch_token).where(*theirs)).rowcount


def forget_expired(engine: Engine, tenant_id: str) -> None:
    """Sweep out tokens, spent assertions and counts that are over: together they say which program called when."""
    with engine.begin() as connection:
        _delete_expired(connection, tenant_id, int(time.time()))


def install(
    app: Flask,
    engine: Engine,
    tenant_id: str,
    public_base_url: str,
    on_event: Callable[[LaunchEvent], None],
    is_partner_open: Callable[[str], bool],
    allows_loopback_http: bool = False,
    *,
    attempts_per_minute: int = ATTEMPTS_PER_MINUTE,
) -> None:
    """Add ``POST /token`` and ``GET /fhir/.well-known/smart-configuration`` as blueprint ``partner_oauth``.

    Both are public: they take no cookie and no form token of ours. ``is_partner_open`` says whether the agreement with
    the partner of a client id is current; it is asked for unknown ids too.
    """
    base = public_base_url.rstrip("/")
    server = _TokenServer(engine, tenant_id, base + "/token", on_event, is_partner_open, allows_loopback_http)
    limit, refusals = _RateLimit(engine, tenant_id, attempts_per_minute), RefusalLog(on_event)
    blueprint = Blueprint("partner_oauth", __name__)

    @blueprint.route("/token", methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
    def token() -> Response:
        if request.method != "POST":
            return _error(405, "invalid_request", [("Allow", "POST")])
        try:
            _require_plain_form(request)
            client_id, is_form = _claimed_client(request), True
        except InvalidRequestError:
            client_id, is_form = "", False
        wait = limit.seconds_to_wait(request.remote_addr or "", client_id)
        if wait or not is_form:
            reason = "rate" if wait else "form"
            refusals.tell(LaunchEvent("partner-token-refused", reason=reason, address=request.remote_addr))
        if wait:
            return _error(429, "temporarily_unavailable", [("Retry-After", str(wait))])
        if not is_form:
            return _error(400, "invalid_request")
        response: Response = server.create_token_response(request)
        return response

    @blueprint.get("/fhir/.well-known/smart-configuration")
    def smart_configuration() -> Response:
        document = {
            "token_endpoint": base + "/token",
            "token_endpoint_auth_methods_supported": ["private_key_jwt"],
            "token_endpoint_auth_signing_alg_values_supported": list(ASSERTION_ALGORITHMS),
            "grant_types_supported": ["client_credentials"],
            "scopes_supported": list(PARTNER_SCOPES),
            "code_challenge_methods_supported": ["S256"],
            "capabilities": ["client-confidential-asymmetric", "permission-v2"],
        }
        return Response(
            json.dumps(document),
            mimetype="application/json",
            headers={"Access-Control-Allow-Origin": "*", "Cache-Control": "max-age=300"},
        )

    app.register_blueprint(blueprint)


# --- the guard in front ----------------------------------------------------------------------------------------------


def _require_plain_form(received: Request) -> None:
    """One small form, no query string, no name twice, one credential. Raises ``InvalidRequestError``."""
    received.max_content_length = received.max_form_memory_size = MAX_FORM_BYTES
    if received.query_string or received.mimetype != "application/x-www-form-urlencoded":
        raise InvalidRequestError
    if "Authorization" in received.headers:
        raise InvalidRequestError
    try:
        form = received.form
    except (HTTPException, ValueError) as error:
        raise InvalidRequestError from error
    if any(len(values) != 1 for _, values in form.lists()):
        raise InvalidRequestError
    if not form.get("grant_type") or ("client_assertion" in form and "client_secret" in form):
        raise InvalidRequestError


def _claimed_client(received: Request) -> str:
    """Who the caller says it is, unverified; for counting only."""
    try:
        return read_unverified(received.form.get("client_assertion", "")).client_id
    except AssertionRefusedError:
        return ""


def _error(status: int, code: str, headers: Iterable[tuple[str, str]] = ()) -> Response:
    body = json.dumps({"error": code, "error_description": DESCRIPTIONS[code]})
    return Response(body, status=status, headers=[*HEADERS, *headers])


class _RateLimit:
    """Requests per minute, for an address and for a client from an address, counted in the database."""

    def __init__(self, engine: Engine, tenant_id: str, per_minute: int) -> None:
        self._engine = engine
        self._tenant_id = tenant_id
        self._per_minute = per_minute

    def seconds_to_wait(self, address: str, client_id: str) -> int:
        now = int(time.time())
        with self._engine.begin() as connection:
            of_address = self._count(connection, f"address|{address}", now // 60)
            of_client = self._count(connection, f"client|{address}|{client_id}", now // 60)
        is_over = of_address > self._per_minute * ADDRESS_FACTOR or of_client > self._per_minute
        return 60 - now % 60 if is_over else 0

    def _count(self, connection: Connection, name: str, minute: int) -> int:
        statement = (
            _insert(connection, launch_attempt)
            .values(tenant_id=self._tenant_id, bucket=_sha256(name), minute=minute, attempts=1)
            .on_conflict_do_update(
                index_elements=["tenant_id", "bucket", "minute"],
                set_={"attempts": launch_attempt.c.attempts + 1},
            )
            .returning(launch_attempt.c.attempts)
        )
        return int(connection.execute(statement).scalar_one())


# --- Authlib's server, hardened --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Client(ClientMixin):  # type: ignore[misc]
    """A client as the server sees it. One that is unknown has no keys and may not connect."""

    client_id: str
    may_connect: bool = False
    is_known: bool = False
    jwks_url: str | None = None
    jwks: str | None = None
    scopes: tuple[str, ...] = ()

    def get_client_id(self) -> str:
        return self.client_id

    def get_allowed_scope(self, scope: str) -> str:
        return scope  # the grant has judged it already

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return bool(method == SmartAssertion.CLIENT_AUTH_METHOD and endpoint == "token")

    def check_grant_type(self, grant_type: str) -> bool:
        return bool(grant_type == ClientCredentialsGrant.GRANT_TYPE)


class _FormPayload(OAuth2Payload):  # type: ignore[misc]
    """The form alone. Authlib's own Flask payload reads the query string first."""

    def __init__(self, form: dict[str, str]) -> None:
        self._form = form

    @property
    def data(self) -> dict[str, str]:
        return self._form


class _TokenRequest(OAuth2Request):  # type: ignore[misc]
    def __init__(self, received: Request, token_url: str) -> None:
        super().__init__(received.method, token_url, headers=received.headers)
        self._form = received.form.to_dict()
        self.payload = _FormPayload(self._form)
        self.address = received.remote_addr
        self.jti = ""

    @property
    def form(self) -> dict[str, str]:
        return self._form


class _Grant(ClientCredentialsGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS = (SmartAssertion.CLIENT_AUTH_METHOD,)

    def validate_requested_scope(self) -> None:
        """As shipped, Authlib grants whatever is asked."""
        asked = (self.request.payload.scope or "").split()
        if not asked:
            raise InvalidRequestError
        if not all(covers_system(self.request.client.scopes, scope) for scope in asked):
            raise InvalidScopeError

    def create_token_response(self) -> tuple[int, dict[str, Any], list[tuple[str, str]]]:
        """As shipped, Authlib writes the token to the debug log."""
        scope = " ".join(dict.fromkeys(self.request.payload.scope.split()))
        token = self.generate_token(scope=scope, include_refresh_token=False)
        self.save_token(token)
        return 200, {**token, "token_type": "bearer"}, HEADERS


class _TokenServer(AuthorizationServer):  # type: ignore[misc]
    def __init__(
        self,
        engine: Engine,
        tenant_id: str,
        token_url: str,
        on_event: Callable[[LaunchEvent], None],
        is_partner_open: Callable[[str], bool],
        allows_loopback_http: bool,
    ) -> None:
        super().__init__()
        self._engine = engine
        self._tenant_id = tenant_id
        self._token_url = token_url
        self._on_event = on_event
        self._is_partner_open = is_partner_open
        self._jwks_cache = JwksCache(allows_loopback_http=allows_loopback_http)
        generate = BearerTokenGenerator(lambda **_: secrets.token_urlsafe(32), None, TOKEN_SECONDS)
        self.register_token_generator("default", generate)
        self.register_grant(_Grant)
        assertion = SmartAssertion(
            token_url, keys_of=self._keys_of, spend=self._spend, spend_nothing=self._spend_nothing
        )
        self.register_client_auth_method(SmartAssertion.CLIENT_AUTH_METHOD, assertion)

    def query_client(self, client_id: str) -> _Client:
        """Never None: an unknown client costs what a known one does, and fails later."""
        table = launch_client
        with self._engine.connect() as connection:
            row = connection.execute(
                select(table.c.jwks_url, table.c.jwks, table.c.scopes, table.c.is_enabled).where(
                    table.c.tenant_id == self._tenant_id, table.c.client_id == client_id
                )
            ).one_or_none()
        is_open = self._is_partner_open(client_id)
        if row is None:
            return _Client(client_id)
        may_connect = bool(row.is_enabled and is_open)
        return _Client(client_id, may_connect, True, row.jwks_url, row.jwks, tuple(row.scopes.split()))

    def _keys_of(self, client: _Client, kid: str) -> list[PublicKey]:
        if client.jwks_url:
            return self._jwks_cache.keys(client.jwks_url, kid)
        return _inline_keys(client.jwks) if client.jwks else []

    def _spend(self, client_id: str, jti: str, expires_at: float) -> bool:
        """Atomic: of two workers with the same assertion, one inserts the row and the other finds it there."""
        with self._engine.begin() as connection:
            statement = (
                _insert(connection, launch_jti)
                .values(
                    tenant_id=self._tenant_id,
                    issuer=client_id,
                    jti_hash=_sha256(jti),
                    expires_at=int(expires_at) + 1,
                )
                .on_conflict_do_nothing()
                .returning(launch_jti.c.jti_hash)  # not rowcount: PostgreSQL's driver has none for an insert
            )
            return connection.execute(statement).one_or_none() is not None

    def _spend_nothing(self) -> None:
        """The same statement on one fixed row, so that a refusal costs what a replay costs and fills no table."""
        self._spend("", "", 2**40)

    def save_token(self, token: dict[str, Any], received: _TokenRequest) -> None:
        """Keep the hash of a token, and sweep out what is over."""
        now = int(time.time())
        jti_hash = _sha256(received.jti)
        with self._engine.begin() as connection:
            _delete_expired(connection, self._tenant_id, now)
            connection.execute(
                insert(launch_token).values(
                    tenant_id=self._tenant_id,
                    token_hash=_sha256(token["access_token"]),
                    client_id=received.client.client_id,
                    scopes=token["scope"],
                    jti_hash=jti_hash,
                    expires_at=now + TOKEN_SECONDS,
                )
            )
        self._on_event(
            LaunchEvent(
                "partner-token-issued",
                client_id=received.client.client_id,
                scopes=frozenset(token["scope"].split()),
                jti_hash=jti_hash,
                address=received.address,
            )
        )

    def create_oauth2_request(self, received: Request) -> _TokenRequest:
        return _TokenRequest(received, self._token_url)

    def handle_error_response(self, received: _TokenRequest, error: OAuth2Error) -> Response:
        """Constant bytes per error code; the reason goes to the audit only."""
        client: Any = error.client if isinstance(error, AssertionRefusedError) else received.client
        reason = error.reason if isinstance(error, AssertionRefusedError) else error.error
        if client is not None and not client.is_known:
            client, reason = None, "unknown-client"  # an unknown id is a stranger's words: not kept
        self._on_event(
            LaunchEvent(
                "partner-token-refused",
                reason=reason,
                client_id=client.client_id if client else None,
                jti_hash=_sha256(received.jti) if received.jti else None,
                address=received.address,
            )
        )
        return _error(400, "invalid_client" if isinstance(error, InvalidClientError) else error.error)

    def handle_response(self, status: int, body: dict[str, Any], headers: list[tuple[str, str]]) -> Response:
        return Response(json.dumps(body), status=status, headers=headers)

    def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
        """No signals: whoever listens would get tokens."""


@lru_cache(maxsize=512)
def _inline_keys(jwks: str) -> list[PublicKey]:
    """The keys of a registered key set, read once: reading them takes a tenth of a refusal's time, and would tell a
    partner with inline keys from an unknown one. A set that is registered anew is another text, and read anew."""
    return public_keys(json.loads(jwks))


def _delete_expired(connection: Connection, tenant_id: str, now: int) -> None:
    for table in (launch_token, launch_jti):
        connection.execute(delete(table).where(table.c.tenant_id == tenant_id, table.c.expires_at < now))
    connection.execute(
        delete(launch_attempt).where(launch_attempt.c.tenant_id == tenant_id, launch_attempt.c.minute < now // 60)
    )


def _insert(connection: Connection, table: Any) -> Any:
    """An insert that knows ON CONFLICT, spelled the same by SQLite and PostgreSQL."""
    return (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(table)


def _sha256(text: str) -> str:
    # JSON may hold half of a surrogate pair, which plain UTF-8 would refuse with an exception.
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

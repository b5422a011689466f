"""The doors on the street: /launch, /callback, our public keys, and the partners' token endpoint.

They raise ``LaunchError``; what a person then sees is rendered by the app.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Flask, abort, jsonify, redirect, request
from sqlalchemy.engine import Engine
from werkzeug.wrappers import Response as AnyResponse

from launch import token_endpoint
from launch.authorization import Authorization
from launch.client_authentication import JwksCache
from launch.context import LaunchContext, LaunchEvent, LaunchEvents
from launch.discovery import Discovery
from launch.ehr_line import EhrLines
from launch.ehr_style import EhrStyles
from launch.errors import BusyError, CookieLostError, LaunchError, StateError, TooManyLaunchesError
from launch.fhir_client import FhirClients
from launch.keys import KeyRing
from launch.launch_rate import LaunchRate
from launch.refusal_log import RefusalLog
from launch.registrations import Registrations
from launch.resource_server import CALLS_PER_SECOND, PartnerTokens
from launch.session import IDLE_SECONDS, LAUNCH_SECONDS, ServerSideSessionInterface
from launch.store import Cipher, LaunchRow, LaunchStore
from launch.token_endpoint import PartnerClient
from launch.tokens import AuthorizationRequest, IdTokenJudge, TokenClient, Tokens

JWKS_CACHE_SECONDS = 300
EXCHANGES_AT_ONCE = 24
FRAMES = frozenset({"iframe", "frame", "embed", "object"})  # Sec-Fetch-Dest
COOKIE_ASKED = "cookie-asked"


__all__ = [
    "BLUEPRINTS",
    "CALLS_PER_SECOND",
    "Launch",
    "PartnerClient",
    "PartnerClients",
    "install",
    "load_keys",
    "register_partner_client",
]

BLUEPRINTS = ("launch", "partner_oauth")  # open by nature: nobody has a launch or a token yet there


@dataclass(frozen=True)
class PartnerClients:
    """Programs' clients at our token endpoint, for whoever registers them by hand."""

    engine: Engine
    tenant_id: str
    registrations: Registrations

    def keys(self) -> dict[str, str]:
        """Client id -> where its public keys are."""
        return token_endpoint.registered_keys(self.engine, self.tenant_id)

    def register(self, client: PartnerClient) -> int:
        """Add a client, or give the one with this id other keys; its tokens end with the keys it got them by. Returns
        how many ended. Raises ``ValueError`` with what is wrong and how to mend it."""
        register_partner_client(self.engine, self.tenant_id, self.registrations, client)
        return token_endpoint.end_tokens(self.engine, self.tenant_id, client.client_id)


@dataclass(frozen=True)
class Launch:
    """What the app gets back: the way to each EHR, and to partners' tokens."""

    fhir_clients: FhirClients
    partner_tokens: PartnerTokens
    sessions: ServerSideSessionInterface
    styles: EhrStyles
    forget_expired: Callable[[], None]

    def end_expired(self) -> int:
        """Drop and revoke launches that were left alone, and forget programs' tokens that are over; to be called now
        and then. Returns how many launches."""
        self.forget_expired()
        return self.sessions.end_expired()


def load_keys(registrations: Registrations) -> KeyRing:
    """Our signing keys. Raises ``KeyFileError``, which says what to do."""
    return KeyRing.load(registrations.keys_file)


def register_partner_client(
    engine: Engine, tenant_id: str, registrations: Registrations, client: PartnerClient
) -> None:
    """Add or replace a partner's client. ``ValueError`` says what is wrong with it."""
    token_endpoint.register_client(engine, tenant_id, client, allows_loopback_http=registrations.allows_loopback_http)


def install(
    app: Flask,
    registrations: Registrations,
    *,
    engine: Engine,
    cipher: Cipher,
    tenant_id: str,
    on_event: LaunchEvents,
    is_partner_open: Callable[[str], bool],
    keys: KeyRing,
    show_form: Callable[[AuthorizationRequest], AnyResponse] | None = None,
    idle_seconds: int = IDLE_SECONDS,
    launch_seconds: int = LAUNCH_SECONDS,
    exchanges_at_once: int = EXCHANGES_AT_ONCE,
    on_sign_in: Callable[[MutableMapping[str, Any]], None] = lambda session: None,
    partner_calls_per_second: float = CALLS_PER_SECOND,
) -> Launch:
    """Add both directions of the way in to ``app`` and become its session interface.

    ``on_event`` gets codes and opaque ids only; a launch and its row in the audit stand or fall together.
    ``is_partner_open(client_id)`` says whether a partner's agreement is current. ``show_form`` renders the page that
    posts an authorization request; without it the browser goes by address.
    ``exchanges_at_once``: how many sign-ins may wait for an EHR at the same time; fewer than the server has threads.
    ``on_sign_in(session)`` may put into a browser's session what its pages need, so that it is kept with the launch.
    ``partner_calls_per_second``: from one network, at the partner API. The tables must exist already.
    """
    store = LaunchStore(engine, cipher, tenant_id)
    token_client = TokenClient(keys, registrations.redirect_uri)
    sessions = ServerSideSessionInterface(
        store,
        revoke=lambda row: _revoke(row, registrations, token_client),
        on_end=lambda context, reason: on_event(_ended(context, reason)),
        idle_seconds=idle_seconds,
        launch_seconds=launch_seconds,
        on_sign_in=on_sign_in,
    )
    app.session_interface = sessions
    lines = EhrLines()
    discovery = Discovery(lines=lines)
    jwks = JwksCache(allows_loopback_http=registrations.allows_loopback_http)
    authorization = Authorization(
        registrations,
        discovery=discovery,
        token_client=token_client,
        judge=IdTokenJudge(discovery, jwks),
        store=store,
        sessions=sessions,
        events=on_event,
    )
    app.register_blueprint(_blueprint(authorization, keys, on_event, show_form, sessions, exchanges_at_once))
    token_endpoint.install(
        app,
        engine=engine,
        tenant_id=tenant_id,
        public_base_url=registrations.public_base_url,
        on_event=on_event,
        is_partner_open=is_partner_open,
        allows_loopback_http=registrations.allows_loopback_http,
    )
    return Launch(
        FhirClients(
            registrations,
            engine,
            cipher,
            keys,
            tenant_id,
            on_event=on_event,
            idle_seconds=idle_seconds,
            lines=lines,
            seen_row=sessions.seen_row,
        ),
        PartnerTokens(engine, tenant_id, is_partner_open, calls_per_second=partner_calls_per_second),
        sessions,
        EhrStyles(registrations),
        lambda: token_endpoint.forget_expired(engine, tenant_id),
    )


def _blueprint(
    authorization: Authorization,
    keys: KeyRing,
    on_event: Callable[[LaunchEvent], None],
    show_form: Callable[[AuthorizationRequest], AnyResponse] | None,
    sessions: ServerSideSessionInterface,
    exchanges_at_once: int,
) -> Blueprint:
    blueprint = Blueprint("launch", __name__)
    refusals, rate = RefusalLog(on_event), LaunchRate()
    exchanges = threading.BoundedSemaphore(exchanges_at_once)

    @blueprint.before_request
    def only_get() -> None:
        if request.method == "HEAD":  # Flask answers it with GET's view; a preview must not use up a state
            abort(405)

    @blueprint.get("/launch")
    def launch() -> AnyResponse:
        def begin() -> AnyResponse:
            wait = rate.seconds_to_wait(request.remote_addr, sessions.signed_in_session)
            if wait:
                raise TooManyLaunchesError(wait)
            if request.headers.get("Sec-Fetch-Dest") in FRAMES and not sessions.has_session():
                return _ask_for_the_cookie(authorization, sessions)
            return _to_the_ehr(authorization.begin(request.args), show_form)

        return _audited(begin, lambda error: refusals.tell)

    @blueprint.get("/callback")
    def callback() -> AnyResponse:
        # Without a state of ours nobody has begun a launch; whoever has one is told of every time.
        def complete() -> AnyResponse:
            # An EHR that checks our assertion asks us for our keys meanwhile. If every thread waited for an EHR, nobody
            # would be left to answer it, and all would wait in vain.
            if not exchanges.acquire(blocking=False):
                raise BusyError
            try:
                return redirect(f"/v/{authorization.complete(request.args).launch_id}/", 303)
            finally:
                exchanges.release()

        return _audited(complete, whom_to_tell)

    def whom_to_tell(error: LaunchError) -> Callable[[LaunchEvent], None]:
        if isinstance(error, BusyError):
            return lambda event: None  # nothing was refused
        return refusals.tell if isinstance(error, StateError) else on_event

    @blueprint.get("/.well-known/jwks.json")
    def jwks() -> AnyResponse:
        response = jsonify(keys.public_jwks())
        response.headers["Cache-Control"] = f"public, max-age={JWKS_CACHE_SECONDS}"
        response.add_etag()
        return response.make_conditional(request)

    return blueprint


def _ask_for_the_cookie(authorization: Authorization, sessions: ServerSideSessionInterface) -> AnyResponse:
    """In a frame a browser may keep our cookie from us, and the EHR's answer would then find nobody. So a frame without
    one gets it first and comes again; if it comes without, this launch can still be opened in a window of its own,
    because its ``launch`` was not used. Only its two parameters, checked, stand in that address."""
    _, iss, launch = authorization.asked(request.args)
    again = urlencode({"iss": iss, "launch": launch})
    if COOKIE_ASKED in request.args:
        raise CookieLostError(f"/launch?{again}")
    sessions.session_id_to_begin()
    return redirect(f"/launch?{again}&{COOKIE_ASKED}=1", 303)


def _to_the_ehr(
    wanted: AuthorizationRequest, show_form: Callable[[AuthorizationRequest], AnyResponse] | None
) -> AnyResponse:
    return show_form(wanted) if wanted.uses_post and show_form is not None else redirect(wanted.url, 303)


def _audited(
    answer: Callable[[], AnyResponse], tell: Callable[[LaunchError], Callable[[LaunchEvent], None]]
) -> AnyResponse:
    """Run a step of a launch; tell of a refusal, to whom ``tell`` says; keep its addresses (code, state) out of caches
    and referrers."""
    try:
        response = answer()
    except LaunchError as error:
        reason = f"{error.code}/{error.reason}"
        tell(error)(LaunchEvent("launch-refused", reason=reason, address=request.remote_addr))
        raise
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


def _revoke(row: LaunchRow, registrations: Registrations, token_client: TokenClient) -> None:
    try:
        registration = registrations.for_id(row.context["registration_id"])
    except LaunchError:
        return  # the EHR was taken out of configuration: we no longer talk to it
    token_client.revoke(registration, Tokens(**row.tokens))


def _ended(context: LaunchContext, reason: str) -> LaunchEvent:
    return LaunchEvent(
        "launch-ended",
        reason=reason,
        launch_id=context.launch_id,
        registration_id=context.registration_id,
        user_reference=context.fhir_user,
    )

"""The EHR launch of SMART App Launch 2.2: what goes to the authorization server, and what is believed on return.

What must not be seen or changed in the browser (verifier, nonce, pinned endpoints) is kept server-side under the hash
of ``state`` and taken out once, by the browser session that began.
Source: https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html
"""

from __future__ import annotations

import secrets
import time
import uuid
from datetime import UTC, datetime
from typing import Any

from werkzeug.datastructures import MultiDict

from launch import scopes
from launch.context import AnsweredContext, LaunchContext, LaunchEvent, LaunchEvents, parse, parse_fhir_user
from launch.discovery import Discovery, SmartConfiguration
from launch.errors import (
    AuthorizationRefusedError,
    EhrUnreachableError,
    IdentityError,
    LaunchError,
    LaunchRequestError,
    StandaloneLaunchError,
    StateError,
)
from launch.registrations import Registration, Registrations
from launch.scopes import Shortfall
from launch.session import ServerSideSessionInterface
from launch.store import LaunchStore
from launch.tokens import AuthorizationRequest, IdTokenJudge, TokenAnswer, TokenClient

MAX_ISS = 1024
MAX_LAUNCH = 4096
MAX_CODE = 4096
MAX_STATE = 128
_TOLD_ERRORS = frozenset(
    {
        "access_denied",
        "invalid_request",
        "invalid_scope",
        "login_required",
        "server_error",
        "temporarily_unavailable",
        "unauthorized_client",
        "unsupported_response_type",
    }
)


class Authorization:
    """Begins and completes launches. Holds no state of its own between requests."""

    def __init__(
        self,
        registrations: Registrations,
        *,
        discovery: Discovery,
        token_client: TokenClient,
        judge: IdTokenJudge,
        store: LaunchStore,
        sessions: ServerSideSessionInterface,
        events: LaunchEvents,
    ) -> None:
        self._registrations = registrations
        self._discovery = discovery
        self._token_client = token_client
        self._judge = judge
        self._store = store
        self._sessions = sessions
        self._events = events

    def asked(self, args: MultiDict[str, str]) -> tuple[Registration, str, str]:
        """The registration, ``iss`` and ``launch`` of a query of ``/launch``. Raises a ``LaunchError``."""
        if "launch" not in args:
            raise StandaloneLaunchError
        iss = _exactly_one(args, "iss", MAX_ISS, LaunchRequestError)
        launch = _exactly_one(args, "launch", MAX_LAUNCH, LaunchRequestError)
        return self._registrations.for_issuer(iss), iss, launch

    def begin(self, args: MultiDict[str, str]) -> AuthorizationRequest:
        """What the browser takes to the EHR, from the query of ``/launch``. Raises a ``LaunchError``.

        Nothing goes out before the issuer is found on the allow-list, and then only to what is registered there.
        """
        registration, iss, launch = self.asked(args)
        configuration = self._discovery.smart_configuration(registration)
        if configuration.issuer is None:
            raise EhrUnreachableError("discovery-issuer")  # without it nobody can say who signed in
        scope = scopes.requested(
            registration.write_types, _scope_syntax(registration, configuration), registration.read_types
        )
        state, nonce, verifier = (secrets.token_urlsafe(size) for size in (32, 32, 64))
        pending = {
            "registration_id": registration.id,
            "issuer": configuration.issuer,
            "token_endpoint": configuration.token_endpoint,
            "revocation_endpoint": configuration.revocation_endpoint,
            "sends_iss": configuration.sends_iss,
            "scope": scope,
            "nonce": nonce,
            "verifier": verifier,
        }
        begun = LaunchEvent("launch-begun", registration_id=registration.id)
        self._sessions.keep_pending(state, pending, lambda ours: self._events.record(begun, ours))
        self._events.tell(begun)
        return self._token_client.authorization_request(
            registration,
            configuration,
            scope=scope,
            state=state,
            verifier=verifier,
            nonce=nonce,
            launch=launch,
            aud=iss,
        )

    def complete(self, args: MultiDict[str, str]) -> LaunchContext:
        """The finished launch, from the query of ``/callback``; its tokens are kept, the cookie is rotated.

        In this order: state, RFC 9207 ``iss``, ``error``, ``code``. Raises a ``LaunchError``, and then keeps nothing.
        """
        state = _exactly_one(args, "state", MAX_STATE, StateError)
        session_id = self._sessions.session_id_to_complete()
        pending = self._store.take_pending(state, session_id, now=int(time.time()))
        if pending is None:
            raise StateError
        registration = self._registrations.for_id(pending["registration_id"])
        _require_pinned_issuer(args, pending)
        if "error" in args:
            raise AuthorizationRefusedError(_told_error(args))
        code = _exactly_one(args, "code", MAX_CODE, AuthorizationRefusedError)
        answer = self._token_client.exchange(
            registration,
            token_endpoint=pending["token_endpoint"],
            revocation_endpoint=pending["revocation_endpoint"],
            code=code,
            verifier=pending["verifier"],
        )
        try:
            context = self._context(registration, pending, answer)
            completed = _completed(context, registration)
            kept = answer.tokens.to_json()
            self._sessions.keep_launch(context, kept, lambda ours: self._events.record(completed, ours))
        except LaunchError:
            self._token_client.revoke(registration, answer.tokens)
            raise
        self._events.tell(completed)
        return context

    def _context(self, registration: Registration, pending: dict[str, Any], answer: TokenAnswer) -> LaunchContext:
        fhir_user = self._fhir_user(registration, pending, answer)
        told = _told_context(registration, answer)
        # RFC 6749 5.1: an answer without ``scope`` grants what was asked. One with an empty scope grants nothing.
        granted = answer.scopes if "scope" in answer.members else frozenset(pending["scope"].split())
        return LaunchContext(
            launch_id=str(uuid.uuid4()),
            registration_id=registration.id,
            fhir_base=registration.issuer,
            fhir_user=fhir_user,
            patient_id=told.patient_id,
            encounter_id=told.encounter_id,
            granted_scopes=granted,
            needs_patient_banner=told.needs_patient_banner,
            started_at=datetime.now(UTC),
            expires_at=datetime.fromtimestamp(answer.tokens.expires_at, UTC),
            intent=told.intent,
            tenant=told.tenant,
            fhir_context=told.fhir_context,
            style_url=told.style_url,
            can_renew=answer.tokens.refresh_token is not None,
        )

    def _fhir_user(self, registration: Registration, pending: dict[str, Any], answer: TokenAnswer) -> str:
        if answer.id_token is None:
            raise IdentityError("no-id-token")
        claims = self._judge.verified_claims(
            registration,
            answer.id_token,
            issuer=pending["issuer"],
            nonce=pending["nonce"],
            access_token=answer.tokens.access_token,
        )
        try:
            return parse_fhir_user(claims.get("fhirUser"), registration.issuer)
        except ValueError:
            raise IdentityError("fhir-user") from None


def _completed(context: LaunchContext, registration: Registration) -> LaunchEvent:
    return LaunchEvent(
        "launch-completed",
        launch_id=context.launch_id,
        registration_id=registration.id,
        user_reference=context.fhir_user,
        scopes=context.granted_scopes,
        tenant=context.tenant,
        reason=" ".join(one.code for one in missing(context, registration)),
    )


def missing(context: LaunchContext, registration: Registration) -> tuple[Shortfall, ...]:
    """What this launch was not granted of all that the registration is set to do."""
    return scopes.shortfalls(
        context.granted_scopes,
        registration.write_types,
        has_patient=context.patient_id is not None,
        can_renew=context.can_renew,
    )


def _scope_syntax(registration: Registration, configuration: SmartConfiguration) -> str:
    return configuration.scope_syntax if registration.scope_syntax == "auto" else registration.scope_syntax


def _told_context(registration: Registration, answer: TokenAnswer) -> AnsweredContext:
    try:
        return parse(answer.members, registration.issuer)
    except ValueError:
        raise AuthorizationRefusedError("launch-context") from None


def _require_pinned_issuer(args: MultiDict[str, str], pending: dict[str, Any]) -> None:
    """RFC 9207: an answer that names another server was mixed up; one that should name its server and does not, too."""
    named = args.getlist("iss")
    if named != [pending["issuer"]] and (named or pending["sends_iss"]):
        raise AuthorizationRefusedError("iss")


def _exactly_one(args: MultiDict[str, str], name: str, max_length: int, error: type[LaunchError]) -> str:
    values = args.getlist(name)
    if len(values) != 1 or not 0 < len(values[0]) <= max_length or not values[0].isprintable():
        raise error(name)
    return values[0]


def _told_error(args: MultiDict[str, str]) -> str:
    error = args.get("error")
    return error.replace("_", "-") if error in _TOLD_ERRORS else "error"

"""FHIR REST at the launched EHR: fhirclient speaks it, our pinned session carries it.

The token goes to the FHIR base it was given for and nowhere else: not along a page link, a redirect, a ``..`` or a
look-alike host. The check sits in ``send``, where the address is final. One 401 leads to one refresh; a refresh token
is used by one worker, once.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote, urlencode, urljoin, urlsplit

import requests
from fhirclient.server import (
    FHIRNotFoundException,
    FHIRPermissionDeniedException,
    FHIRServer,
    FHIRUnauthorizedException,
)
from sqlalchemy.engine import Engine

from launch import scopes
from launch.context import LaunchContext, LaunchEvent, parse, relative_reference
from launch.discovery import BoundedSession, was_never_sent
from launch.errors import EhrAuthorizationEndedError, EhrError, EhrOutcomeUnknownError, LaunchError, UnknownIssuerError
from launch.keys import KeyRing
from launch.registrations import Registration, Registrations
from launch.session import IDLE_SECONDS
from launch.store import Cipher, LaunchRow, LaunchStore
from launch.tokens import NothingSentError, TokenAnswer, TokenClient, Tokens

# fhirclient logs launch context at DEBUG; urllib3 logs whole addresses, at WARNING too when a header is malformed.
logging.getLogger("fhirclient").setLevel(logging.WARNING)
logging.getLogger("urllib3").setLevel(logging.WARNING)
logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)

MAX_PAGES = 20
MAX_RESOURCES = 1_000
LEASE_SECONDS = 60
REFRESH_EARLY_SECONDS = 5
_POLL_SECONDS = 0.05
_TYPE = re.compile(r"[A-Z][A-Za-z]{1,63}")
_REFERENCE = re.compile(r"[A-Z][A-Za-z]{1,63}/[A-Za-z0-9\-.]{1,64}")
_LOCATION = re.compile(r"(?:^|/)([A-Z][A-Za-z]{1,63}/[A-Za-z0-9\-.]{1,64})(?:/_history/[A-Za-z0-9\-.]{1,64})?/?\Z")

Payload = dict[str, Any]


@dataclass(frozen=True)
class Created:
    """A create that the EHR took. ``payload``: what it sent back, None for an empty answer."""

    reference: str
    payload: Payload | None


class PinnedSession(BoundedSession):
    """HTTP for one launch: bearer token to the FHIR base only, no redirect, limits on time and size."""

    max_answer_bytes = 5 * 1024 * 1024

    def __init__(self, base: str, access_token: Callable[[], str]) -> None:
        super().__init__()
        self._base = base.rstrip("/") + "/"
        self._access_token = access_token

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Put the token on and send. ``PermissionError`` for an address outside the base, or a redirect."""
        require_inside(request.url or "", self._base)
        request.headers["Authorization"] = "Bearer " + self._access_token()
        if request.method in ("POST", "PUT", "PATCH"):
            request.headers.setdefault("Prefer", "return=representation")
        response = super().send(request, **kwargs)
        if response.is_redirect or 300 <= response.status_code < 400:
            raise PermissionError("redirect")
        return response


def require_inside(url: str, base: str) -> None:
    """Raise ``PermissionError`` unless ``url`` (final, absolute) lies inside ``base`` (which ends with a slash)."""
    address, _, _ = url.partition("?")
    segments = re.split(r"[/\\]", unquote(unquote(urlsplit(url).path)))
    if not (address + "/").startswith(base) or ".." in segments or "#" in url:
        raise PermissionError("outside the FHIR base")


class FhirClients:
    """Gives a FHIR connection for a live launch. One object per process; connections are one per use."""

    def __init__(
        self,
        registrations: Registrations,
        engine: Engine,
        cipher: Cipher,
        keys: KeyRing,
        tenant_id: str,
        *,
        on_event: Callable[[LaunchEvent], None] = lambda event: None,
        idle_seconds: int = IDLE_SECONDS,
    ) -> None:
        self._registrations = registrations
        self._store = LaunchStore(engine, cipher, tenant_id)
        self._token_client = TokenClient(keys, registrations.redirect_uri)
        self._on_event = on_event
        self._idle_seconds = idle_seconds

    def for_launch(self, launch_id: str) -> FhirConnection:
        """A connection with this launch's token. ``EhrAuthorizationEndedError`` if the launch is over.

        Whether the launch belongs to the browser that asks was checked before, by ``session.current_launch``.
        """
        row = self._live(launch_id)
        registration = self._registration(row)
        access = _Access(self._store, self._token_client, registration, row, self._live, self._on_event)
        return FhirConnection(registration.issuer, access)

    def _live(self, launch_id: str) -> LaunchRow:
        row = self._store.launch(launch_id, now=int(time.time()), idle_seconds=self._idle_seconds)
        if row is None:
            raise EhrAuthorizationEndedError("launch-over", 401)
        return row

    def _registration(self, row: LaunchRow) -> Registration:
        try:
            return self._registrations.for_id(row.context["registration_id"])
        except UnknownIssuerError:
            raise EhrAuthorizationEndedError("registration-gone", 401) from None


class _Access:
    """The token of one launch, renewed when needed."""

    def __init__(
        self,
        store: LaunchStore,
        token_client: TokenClient,
        registration: Registration,
        row: LaunchRow,
        live: Callable[[str], LaunchRow],
        on_event: Callable[[LaunchEvent], None],
    ) -> None:
        self._store = store
        self._token_client = token_client
        self._registration = registration
        self._row = row
        self._live = live
        self._on_event = on_event

    @property
    def context(self) -> LaunchContext:
        return LaunchContext.from_json(self._row.context)

    @property
    def _tokens(self) -> Tokens:
        return Tokens(**self._row.tokens)

    def access_token(self) -> str:
        tokens = self._tokens
        if tokens.refresh_token is not None and tokens.expires_at - REFRESH_EARLY_SECONDS <= time.time():
            self.renew()
        return self._tokens.access_token

    def renew(self) -> None:
        """Get the next access token, by ourselves or from whoever is at it. ``EhrAuthorizationEndedError``."""
        row = self._live(self._row.launch_id)
        if row.token_version != self._row.token_version:
            self._row = row  # somebody else has renewed it meanwhile
            return
        if Tokens(**row.tokens).refresh_token is None:
            raise self._ended(row, "no-refresh-token")
        lease_until = int(time.time()) + LEASE_SECONDS
        if self._store.lease_refresh(row.launch_id, row.token_version, until=lease_until):
            self._row = self._refresh(row)
        else:
            self._row = self._wait(row)

    def _refresh(self, row: LaunchRow) -> LaunchRow:
        try:
            answer = self._token_client.refresh(self._registration, Tokens(**row.tokens))
        except NothingSentError:
            self._store.release_refresh(row.launch_id, row.token_version)
            raise EhrError("token-no-connection") from None
        except LaunchError as error:
            # Refused, or perhaps used without our hearing of it. Either way it is not sent again.
            raise self._ended(row, error.reason) from None
        context = self._renewed_context(row, answer)
        is_kept = self._store.replace_tokens(
            row.launch_id, row.token_version, tokens=answer.tokens.to_json(), context=context.to_json()
        )
        if not is_kept:  # the person left while we were asking
            self._token_client.revoke(self._registration, answer.tokens)
        return self._live(row.launch_id)

    def _renewed_context(self, row: LaunchRow, answer: TokenAnswer) -> LaunchContext:
        """The context after a refresh. A changed patient or encounter means that the chart is another one."""
        before = LaunchContext.from_json(row.context)
        try:
            told = parse(answer.members, self._registration.issuer)
        except ValueError:
            raise self._ended(row, "launch-context", answer.tokens) from None
        if "patient" in answer.members and told.patient_id != before.patient_id:
            raise self._ended(row, "patient-changed", answer.tokens)
        if answer.members.get("encounter") not in (None, before.encounter_id):
            raise self._ended(row, "encounter-changed", answer.tokens)
        granted = answer.scopes if "scope" in answer.members else before.granted_scopes
        return before.refreshed(granted, datetime.fromtimestamp(answer.tokens.expires_at, UTC))

    def _wait(self, row: LaunchRow) -> LaunchRow:
        """Another worker is using the refresh token: take what it gets."""
        while True:
            time.sleep(_POLL_SECONDS)
            now = self._live(row.launch_id)
            if now.token_version != row.token_version:
                return now
            if now.refresh_lease_until == 0:
                raise EhrError("token-no-connection")
            if now.refresh_lease_until <= time.time():
                raise self._ended(now, "refresh-unknown")  # it may have been used: never a second time

    def _ended(self, row: LaunchRow, reason: str, new_tokens: Tokens | None = None) -> EhrAuthorizationEndedError:
        """End the launch here and at the EHR; returns the error to raise."""
        self._store.end_launch(row.launch_id)
        self._token_client.revoke(self._registration, new_tokens or Tokens(**row.tokens))
        context = LaunchContext.from_json(row.context)
        self._on_event(
            LaunchEvent(
                "launch-ended",
                reason=reason,
                launch_id=row.launch_id,
                registration_id=context.registration_id,
                user_reference=context.fhir_user,
            )
        )
        return EhrAuthorizationEndedError(reason, 401)


class FhirConnection:
    """FHIR REST for one launch. Payloads are plain dicts; a reference is "Type/<id>"; errors are ``EhrError``."""

    def __init__(self, base: str, access: _Access) -> None:
        self._base = base + "/"
        self._access = access
        self._session = PinnedSession(base, access.access_token)
        self._server = FHIRServer(None, base_uri=base)
        self._server.session, self._server.auth = self._session, None

    def is_granted(self, resource_type: str, interaction: str) -> bool:
        """Whether the grant covers an interaction ("c", "r", "u", "d", "s") on a type, as far as scopes tell."""
        return scopes.covers(self._access.context.granted_scopes, resource_type, interaction)

    def own_reference(self, value: object) -> str | None:
        """ "Type/<id>" of a relative reference or of one inside this EHR's base; None for another server's."""
        return relative_reference(value, self._base)

    def read(self, reference: str) -> Payload:
        """One resource. ``EhrError`` with the status; 404 too when the EHR sends another resource than asked."""
        _require_reference(reference)
        payload = _object(self._get(reference))
        if _reference_of(payload) != reference:
            raise EhrError("another-resource", 404)
        return payload

    def search(self, resource_type: str, params: Mapping[str, str | Sequence[str]] | None = None) -> list[Payload]:
        """All matches of a search, page after page as long as the links stay inside the base. Repeats are dropped."""
        _require_type(resource_type)
        query = urlencode(params or {}, doseq=True)
        address: str | None = f"{resource_type}?{query}" if query else resource_type
        found: dict[str, Payload] = {}
        for _ in range(MAX_PAGES):
            if address is None:
                return list(found.values())
            bundle = _object(self._get(address))
            for payload in _resources(bundle):
                found.setdefault(_reference_of(payload), payload)
            if len(found) > MAX_RESOURCES:
                break
            address = self._next_page(bundle)
        raise EhrError("too-many-results")

    def create(self, payload: Payload) -> Created:
        """Create once. ``EhrOutcomeUnknownError`` when it may exist without our knowing where."""
        resource_type = _require_type(payload.get("resourceType"))
        response = self._once(lambda: self._server.post_json(resource_type, payload), is_write=True)
        if response.status_code not in (200, 201):
            raise EhrOutcomeUnknownError("status", response.status_code)
        echoed = _echoed(response, resource_type)
        reference = _reference_of(echoed) if echoed else _located(response.headers.get("Location"), resource_type)
        if reference is None:
            raise EhrOutcomeUnknownError("no-location", response.status_code)
        return Created(reference, echoed)

    def update(self, payload: Payload, *, if_match: str | None = None) -> Payload | None:
        """Replace a resource by its whole new version; returns what the EHR sent back, None for an empty answer.

        ``if_match``: the version id this was made from; a newer one at the EHR gives ``EhrError`` 409 or 412.
        """
        reference = _require_reference(_reference_of(payload))
        self._session.headers["If-Match"] = f'W/"{if_match}"' if if_match else None  # type: ignore[assignment]
        try:
            response = self._once(lambda: self._server.put_json(reference, payload), is_write=True)
        finally:
            self._session.headers.pop("If-Match", None)
        return _echoed(response, reference.split("/")[0])

    def delete(self, reference: str) -> None:
        """Delete a resource. ``EhrError`` when the EHR does not."""
        _require_reference(reference)
        self._once(lambda: self._server.delete_json(reference), is_write=True)

    def _get(self, address: str) -> bytes:
        body: bytes = self._once(lambda: self._server.request_data(address), is_write=False)
        return body

    def _once(self, call: Callable[[], Any], *, is_write: bool) -> Any:
        """Run a call; after a 401, which did nothing, renew the token and run it one more time."""
        try:
            return self._translated(call, is_write)
        except EhrError as error:
            if error.status != 401 or isinstance(error, EhrAuthorizationEndedError):
                raise
        self._access.renew()
        try:
            return self._translated(call, is_write)
        except EhrError as error:
            if error.status == 401 and not isinstance(error, EhrAuthorizationEndedError):
                raise EhrAuthorizationEndedError("401-after-refresh", 401) from None
            raise

    def _translated(self, call: Callable[[], Any], is_write: bool) -> Any:
        """Run a call and turn what fails into an ``EhrError``. Causes are dropped: they quote addresses and bodies."""
        unknown = EhrOutcomeUnknownError if is_write else EhrError
        try:
            return call()
        except FHIRUnauthorizedException:
            raise EhrError("status", 401) from None
        except FHIRPermissionDeniedException:
            raise EhrError("status", 403) from None
        except FHIRNotFoundException:
            raise EhrError("status", 404) from None
        except requests.HTTPError as error:
            status = error.response.status_code
            # 501 and 503 say that nothing was done; the other 5xx may come after it was.
            raise (unknown if status >= 500 and status not in (501, 503) else EhrError)("status", status) from None
        except PermissionError as error:
            raise (unknown if str(error) == "redirect" else EhrError)(str(error).replace(" ", "-")) from None
        except (requests.RequestException, OSError) as error:
            raise (EhrError if was_never_sent(error) else unknown)("no-answer") from None

    def _next_page(self, bundle: Payload) -> str | None:
        links = bundle.get("link")
        for link in links if isinstance(links, list) else []:
            if isinstance(link, dict) and link.get("relation") == "next" and isinstance(link.get("url"), str):
                address: str = urljoin(self._base, link["url"])
                try:
                    require_inside(address, self._base)
                except (PermissionError, ValueError):
                    raise EhrError("foreign-link") from None
                return address
        return None


def _object(body: bytes) -> Payload:
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError):
        raise EhrError("not-json") from None
    if not isinstance(payload, dict):
        raise EhrError("not-json")
    return payload


def _resources(bundle: Payload) -> list[Payload]:
    """The resources of a search page, each by itself, so that a bad entry spoils no other. Outcomes are left out."""
    entries = bundle.get("entry") if bundle.get("resourceType") == "Bundle" else None
    resources = [entry.get("resource") for entry in entries or [] if isinstance(entry, dict)]
    return [
        resource
        for resource in resources
        if isinstance(resource, dict) and resource.get("resourceType") != "OperationOutcome" and resource.get("id")
    ]


def _reference_of(payload: Payload) -> str:
    return f"{payload.get('resourceType')}/{payload.get('id')}"


def _require_reference(reference: str) -> str:
    if not _REFERENCE.fullmatch(reference) or reference.split("/")[1] in (".", ".."):
        raise EhrError("not-a-reference")
    return reference


def _require_type(resource_type: object) -> str:
    if not isinstance(resource_type, str) or not _TYPE.fullmatch(resource_type):
        raise EhrError("not-a-type")
    return resource_type


def _echoed(response: requests.Response, resource_type: str) -> Payload | None:
    """The resource in the answer, None when the EHR sent none (or an OperationOutcome instead)."""
    try:
        payload = _object(response.content) if response.content.strip() else None
    except EhrError:
        return None
    if payload is None or payload.get("resourceType") != resource_type:
        return None
    return payload if _REFERENCE.fullmatch(_reference_of(payload)) else None


def _located(location: str | None, resource_type: str) -> str | None:
    """The new resource's reference out of ``Location``, which is read and never followed."""
    found = _LOCATION.search(urlsplit(location).path) if location else None
    reference = str(found[1]) if found else ""
    return reference if reference.startswith(f"{resource_type}/") else None

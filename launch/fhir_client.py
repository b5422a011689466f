"""FHIR REST at the launched EHR: fhirclient speaks it, our pinned session carries it.

EHRs differ. A create may be answered by nothing but a relative address; a stale change by 409 or 412; a refusal by an
empty body; a page of a search may repeat the one before or point to another host; and none promises conditional create,
so our own ledger keeps a create from being sent twice, and one of unknown outcome is looked up, not sent again.
"""

from __future__ import annotations

import json
import logging
import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

import requests
from fhirclient.server import (
    FHIRJSONMimeType,
    FHIRNotFoundException,
    FHIRPermissionDeniedException,
    FHIRServer,
    FHIRUnauthorizedException,
)
from sqlalchemy.engine import Engine

from launch import scopes
from launch.context import LaunchEvent, relative_reference
from launch.create_ledger import CreateLedger
from launch.discovery import was_never_sent
from launch.ehr_line import EhrLine, EhrLines, EhrWaitError, wait_seconds
from launch.errors import (
    EhrAuthorizationEndedError,
    EhrError,
    EhrNotGrantedError,
    EhrOutcomeUnknownError,
    EhrStaleError,
    UnknownIssuerError,
)
from launch.keys import KeyRing
from launch.pinned_session import PinnedSession, require_inside
from launch.registrations import Registration, Registrations
from launch.session import IDLE_SECONDS
from launch.store import Cipher, LaunchRow, LaunchStore
from launch.token_renewal import LaunchAccess
from launch.tokens import TokenClient
from launch.transport import AddressRules, rules_of

# fhirclient logs launch context at DEBUG; urllib3 logs whole addresses, at WARNING too when a header is malformed.
logging.getLogger("fhirclient").setLevel(logging.WARNING)
logging.getLogger("urllib3").setLevel(logging.WARNING)
logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)

MAX_PAGES = 20
MAX_RESOURCES = 1_000
STALE = (409, 412)
NO_POSTED_SEARCH = (404, 405, 415, 501)
_TYPE = re.compile(r"[A-Z][A-Za-z]{1,63}")
_REFERENCE = re.compile(r"[A-Z][A-Za-z]{1,63}/[A-Za-z0-9\-.]{1,64}")
_LOCATION = re.compile(r"(?:^|/)([A-Z][A-Za-z]{1,63}/[A-Za-z0-9\-.]{1,64})(?:/_history/[A-Za-z0-9\-.]{1,64})?/?\Z")

Payload = dict[str, Any]


@dataclass(frozen=True)
class Created:
    """A create that the EHR took. ``payload``: what it sent back, None for an empty answer."""

    reference: str
    payload: Payload | None


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
        lines: EhrLines | None = None,
        seen_row: Callable[[str], LaunchRow | None] = lambda launch_id: None,
    ) -> None:
        """``seen_row(launch_id)``: the launch, if the request under way has read it a moment ago."""
        self._seen_row = seen_row
        self._registrations = registrations
        self._store = LaunchStore(engine, cipher, tenant_id)
        self._token_client = TokenClient(keys, registrations.redirect_uri)
        self._on_event = on_event
        self._idle_seconds = idle_seconds
        self._lines = lines or EhrLines()

    def for_launch(self, launch_id: str) -> FhirConnection:
        """A connection with this launch's token. ``EhrAuthorizationEndedError`` if the launch is over.

        Whether the launch belongs to the browser that asks was checked before, by ``session.current_launch``.
        """
        row = self._seen_row(launch_id) or self._live(launch_id)
        registration = self._registration(row)
        access = LaunchAccess(self._store, self._token_client, registration, row, self._live, self._on_event)
        ledger = CreateLedger(self._store, launch_id)
        line = self._lines.of(registration.issuer)
        return FhirConnection(registration.issuer, access, ledger, line, rules_of(registration))

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


class FhirConnection:
    """FHIR REST for one launch. Payloads are plain dicts; a reference is "Type/<id>"; errors are ``EhrError``."""

    def __init__(
        self, base: str, access: LaunchAccess, ledger: CreateLedger, line: EhrLine, rules: AddressRules
    ) -> None:
        self._base = base + "/"
        self._access = access
        self._ledger = ledger
        self._line = line
        self._session = PinnedSession(base, access.access_token, line, rules)
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
        self._require_granted(reference.split("/")[0], "r")
        payload = _object(self._get(reference))
        if _reference_of(payload) != reference:
            raise EhrError("another-resource", 404)
        return payload

    def search(self, resource_type: str, params: Mapping[str, str | Sequence[str]] | None = None) -> list[Payload]:
        """All matches of a search, page after page as long as the links stay inside the base. Repeats are dropped."""
        _require_type(resource_type)
        self._require_granted(resource_type, "s")
        query = urlencode(params or {}, doseq=True)
        found: dict[str, Payload] = {}
        bundle, pages = _object(self._first_page(resource_type, query)), 1
        while True:
            for payload in _resources(bundle):
                found.setdefault(_reference_of(payload), payload)
            address = self._next_page(bundle)
            if address is None:
                return list(found.values())
            if len(found) > MAX_RESOURCES or pages == MAX_PAGES:
                raise EhrError("too-many-results")
            bundle, pages = _object(self._get(address)), pages + 1

    def _first_page(self, resource_type: str, query: str) -> bytes:
        """A search as a form, so that no search value stands in an address that somebody logs; as an address at an EHR
        that takes no form."""
        if query and self._line.takes_posted_searches:
            try:
                return self._post_search(resource_type, query)
            except EhrError as error:
                if error.status not in NO_POSTED_SEARCH:
                    raise
            page = self._get(f"{resource_type}?{query}")
            self._line.takes_posted_searches = False  # only now: the same might have failed by address too
            return page
        return self._get(f"{resource_type}?{query}" if query else resource_type)

    def _post_search(self, resource_type: str, query: str) -> bytes:
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": FHIRJSONMimeType}

        def post() -> bytes:
            response = self._session.post(f"{self._base}{resource_type}/_search", data=query, headers=headers)
            self._server.raise_for_status(response)
            return response.content

        body: bytes = self._once(post, is_write=False)
        return body

    def create(self, payload: Payload) -> Created:
        """Create once: the same content a second time in this launch gives what the first time made.

        ``EhrOutcomeUnknownError`` when it may exist without our knowing where; then it was looked for, too.
        """
        resource_type = _require_type(payload.get("resourceType"))
        self._require_granted(resource_type, "c")
        if not self._ledger.open(payload):
            return self._made_before(payload)
        try:
            created = self._create(resource_type, payload)
        except EhrOutcomeUnknownError:
            found = self.look_up(payload)
            if found is None:
                raise
            created = found
        except EhrError:
            self._ledger.not_made(payload)
            raise
        self._ledger.made(payload, created.reference)
        return created

    def _create(self, resource_type: str, payload: Payload) -> Created:
        response = self._once(lambda: self._server.post_json(resource_type, payload), is_write=True)
        if response.status_code not in (200, 201):
            raise EhrOutcomeUnknownError("status", response.status_code)
        echoed = _echoed(response, resource_type)
        reference = _reference_of(echoed) if echoed else _located(response.headers.get("Location"), resource_type)
        if reference is None:
            raise EhrOutcomeUnknownError("no-location", response.status_code)
        return Created(reference, echoed)

    def _made_before(self, payload: Payload) -> Created:
        reference = self._ledger.reference(payload)
        if reference is not None:
            return Created(reference, None)
        found = self.look_up(payload)
        if found is None:
            raise EhrOutcomeUnknownError("sent-before")
        self._ledger.made(payload, found.reference)
        return found

    def look_up(self, payload: Payload) -> Created | None:
        """The one resource of the same patient that says the same in every element we send, labels aside. None when
        there is none, or more than one, or when it cannot be searched for."""
        patient = _patient_of(payload)
        if patient is None:
            return None
        try:
            found = self.search(str(payload["resourceType"]), {"patient": patient})
        except EhrError:
            return None
        sent = {name: value for name, value in payload.items() if name not in ("id", "meta")}
        same = [one for one in found if all(one.get(name) == value for name, value in sent.items())]
        return Created(_reference_of(same[0]), same[0]) if len(same) == 1 else None

    def update(self, payload: Payload, *, if_match: str | None = None) -> Payload | None:
        """Replace a resource by its whole new version; returns what the EHR sent back, None for an empty answer.

        ``if_match``: the version id this was made from; a newer one at the EHR gives ``EhrStaleError``.
        """
        reference = _require_reference(_reference_of(payload))
        self._require_granted(reference.split("/")[0], "u")
        self._session.headers["If-Match"] = f'W/"{if_match}"' if if_match else None  # type: ignore[assignment]
        try:
            response = self._once(lambda: self._server.put_json(reference, payload), is_write=True)
        finally:
            self._session.headers.pop("If-Match", None)
        return _echoed(response, reference.split("/")[0])

    def delete(self, reference: str) -> None:
        """Delete a resource. ``EhrError`` when the EHR does not."""
        _require_reference(reference)
        self._require_granted(reference.split("/")[0], "d")
        self._once(lambda: self._server.delete_json(reference), is_write=True)

    def _require_granted(self, resource_type: str, interaction: str) -> None:
        if not self.is_granted(resource_type, interaction):
            raise EhrNotGrantedError

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
            raise _http_error(error.response, unknown) from None
        except EhrWaitError as error:
            raise EhrError("ehr-waiting", retry_after_seconds=error.seconds) from None
        except PermissionError as error:
            raise (unknown if str(error) == "redirect" else EhrError)(str(error).replace(" ", "-")) from None
        except (requests.RequestException, OSError) as error:
            raise (EhrError if was_never_sent(error) else unknown)("no-answer") from None

    def _next_page(self, bundle: Payload) -> str | None:
        links = bundle.get("link")
        for link in links if isinstance(links, list) else []:
            if isinstance(link, dict) and link.get("relation") == "next" and isinstance(link.get("url"), str):
                try:
                    address: str = urljoin(self._base, link["url"])
                    require_inside(address, self._base)
                except (PermissionError, ValueError):
                    raise EhrError("foreign-link") from None
                return address
        return None


def _http_error(response: requests.Response, unknown: type[EhrError]) -> EhrError:
    """501 and 503 say that nothing was done; the other 5xx may come after it was. 409 and 412 both mean stale."""
    status = response.status_code
    kind = EhrStaleError if status in STALE else unknown if status >= 500 and status not in (501, 503) else EhrError
    wait = wait_seconds(response)
    return kind("status", status, retry_after_seconds=None if wait is None else math.ceil(wait))


def _patient_of(payload: Payload) -> str | None:
    """The id of the patient that a resource of ours is about: its subject, or the one who takes part in a visit."""
    people = payload.get("participant")
    actors = [person.get("actor") for person in people if isinstance(person, dict)] if isinstance(people, list) else []
    for one in (payload.get("subject"), *actors):
        reference = one.get("reference") if isinstance(one, dict) else None
        if isinstance(reference, str) and re.fullmatch(r"Patient/[A-Za-z0-9\-.]{1,64}", reference):
            return reference.split("/")[1]
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

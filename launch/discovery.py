"""Where an EHR's authorization server is: from ``.well-known/smart-configuration`` of a registered issuer, only.

The CapabilityStatement's oauth-uris are deprecated and not looked at. What is fetched is bounded in time and size, and
no redirect is followed: the address was chosen by whoever registered the EHR, not by whoever answers.
Source: https://hl7.org/fhir/smart-app-launch/STU2.2/conformance.html
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from urllib3.exceptions import NewConnectionError

from launch import transport
from launch.ehr_line import EhrLine, EhrLines, EhrWaitError
from launch.errors import EhrUnreachableError
from launch.registrations import Registration
from launch.transport import PUBLIC_ONLY, AddressRules

CACHE_SECONDS = 300.0
MAX_ANSWER_BYTES = 512 * 1024
TIMEOUT = (5.0, 15.0)
DEADLINE_SECONDS = 30.0


class AnswerTooLargeError(requests.RequestException):
    """The other side sent more, or for longer, than we take."""


class BoundedSession(requests.Session):
    """Follows no redirect, keeps no cookie, reads no .netrc, and takes a limited answer in limited time."""

    max_answer_bytes = MAX_ANSWER_BYTES
    deadline_seconds = DEADLINE_SECONDS

    def __init__(self, rules: AddressRules = PUBLIC_ONLY) -> None:
        super().__init__()
        self.hold_to_limits(rules)

    def hold_to_limits(self, rules: AddressRules) -> None:
        """Connect to checked addresses only; switch off what ``requests`` takes from the environment (.netrc and proxy
        variables would put headers on, or send the token elsewhere) and what it would remember."""
        transport.hold(self, rules)
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Send one request; ``RequestException`` on anything but a complete answer within the limits."""
        deadline = time.monotonic() + self.deadline_seconds
        kwargs.update(allow_redirects=False, stream=True, timeout=kwargs.get("timeout") or TIMEOUT)
        response = super().send(request, **kwargs)
        body = bytearray()
        with response:
            for part in response.iter_content(65_536):
                body += part
                if len(body) > self.max_answer_bytes or time.monotonic() > deadline:
                    raise AnswerTooLargeError("answer beyond the limits")
        response._content = bytes(body)
        return response


def was_never_sent(error: Exception) -> bool:
    """Whether a request certainly did not reach the other side: no connection came about at all."""
    if isinstance(error, requests.ConnectTimeout | EhrWaitError):
        return True
    cause = error.args[0] if isinstance(error, requests.ConnectionError) and error.args else None
    return isinstance(getattr(cause, "reason", None), NewConnectionError)


@dataclass(frozen=True)
class SmartConfiguration:
    """What we use of an EHR's configuration. ``issuer`` is what id_tokens carry; it may differ from the FHIR base."""

    fhir_base: str
    authorization_endpoint: str
    token_endpoint: str
    issuer: str | None
    revocation_endpoint: str | None
    sends_iss: bool
    capabilities: frozenset[str] = frozenset()

    @property
    def scope_syntax(self) -> str:
        """ "v2" where the EHR lists ``permission-v2``, else "v1"."""
        return "v2" if "permission-v2" in self.capabilities else "v1"

    @property
    def takes_posts(self) -> bool:
        """Whether the authorization request may come as a form."""
        return "authorize-post" in self.capabilities


@dataclass
class _Kept:
    value: Any
    until: float


class Discovery:
    """Fetches and keeps, for minutes, what registered EHRs publish. One object per process, safe for threads."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic, lines: EhrLines | None = None) -> None:
        self._monotonic = monotonic
        self._lines = lines or EhrLines()
        self._kept: dict[tuple[str, str], _Kept] = {}
        self._lock = threading.Lock()

    def smart_configuration(self, registration: Registration) -> SmartConfiguration:
        """The SMART configuration of a registered EHR. ``EhrUnreachableError``."""
        base = registration.issuer
        document = self._document(registration, base + "/.well-known/smart-configuration")
        return _smart_configuration(document, registration)

    def jwks_uri(self, registration: Registration, issuer: str) -> str:
        """Where the keys of id_tokens are: through ``{issuer}/.well-known/openid-configuration``, which must name the
        same issuer. ``EhrUnreachableError``."""
        document = self._document(registration, issuer.removesuffix("/") + "/.well-known/openid-configuration")
        if document.get("issuer") != issuer:
            raise EhrUnreachableError("openid-issuer-differs")
        return _endpoint(document, "jwks_uri", registration)

    def _document(self, registration: Registration, url: str) -> dict[str, Any]:
        key = (registration.id, url)
        with self._lock:
            kept = self._kept.get(key)
        if kept is not None and self._monotonic() < kept.until:
            return dict(kept.value)
        document = _fetch(url, self._lines.of(registration.issuer), transport.rules_of(registration))
        with self._lock:
            self._kept[key] = _Kept(document, self._monotonic() + CACHE_SECONDS)
        return document


def _fetch(url: str, line: EhrLine, rules: AddressRules) -> dict[str, Any]:
    try:
        with BoundedSession(rules) as session:
            answer = line.carry(lambda: session.get(url, headers={"Accept": "application/json"}))
    except EhrWaitError:
        raise EhrUnreachableError("ehr-waiting") from None
    except (requests.RequestException, OSError) as error:
        is_refused = transport.was_refused(error)
        raise EhrUnreachableError("discovery-private-address" if is_refused else "discovery-no-answer") from None
    if answer.status_code != 200:
        raise EhrUnreachableError("discovery-status")
    try:
        document = json.loads(answer.content)
    except (ValueError, RecursionError):
        raise EhrUnreachableError("discovery-not-json") from None
    if not isinstance(document, dict):
        raise EhrUnreachableError("discovery-not-json")
    return document


def _smart_configuration(document: dict[str, Any], registration: Registration) -> SmartConfiguration:
    methods = _texts(document, "code_challenge_methods_supported")
    if "S256" not in methods or "plain" in methods:
        raise EhrUnreachableError("discovery-pkce")
    capabilities = frozenset(_texts(document, "capabilities"))
    if "authorization_code" not in _texts(document, "grant_types_supported"):
        raise EhrUnreachableError("discovery-grant-types")
    issuer = document.get("issuer")
    if issuer is not None and not (isinstance(issuer, str) and is_acceptable_address(issuer, registration)):
        raise EhrUnreachableError("discovery-issuer")
    has_revocation = isinstance(document.get("revocation_endpoint"), str)
    return SmartConfiguration(
        fhir_base=registration.issuer,
        authorization_endpoint=_endpoint(document, "authorization_endpoint", registration),
        token_endpoint=_endpoint(document, "token_endpoint", registration),
        issuer=issuer,
        revocation_endpoint=_endpoint(document, "revocation_endpoint", registration) if has_revocation else None,
        sends_iss=document.get("authorization_response_iss_parameter_supported") is True,
        capabilities=capabilities,
    )


def _texts(document: dict[str, Any], name: str) -> list[str]:
    value = document.get(name)
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise EhrUnreachableError("discovery-" + name.replace("_", "-"))
    return value


def _endpoint(document: dict[str, Any], name: str, registration: Registration) -> str:
    """An endpoint as an absolute address; a relative one counts from the FHIR base."""
    value, address = document.get(name), ""
    if isinstance(value, str) and value and transport.is_plain_text(value):
        with suppress(ValueError):  # an IPv6 address that is none
            address = urljoin(registration.issuer + "/", value)
    if not is_acceptable_address(address, registration):
        raise EhrUnreachableError("discovery-" + name.replace("_", "-"))
    return address


def is_acceptable_address(address: str, registration: Registration) -> bool:
    """https to another machine, or the exact origin that was registered.

    So http, and this computer, are reached only where registration itself allowed that origin: an EHR's answer cannot
    point us at what listens beside us.
    """
    own = urlsplit(registration.issuer)
    if transport.plain_host(address) is None:
        return False
    parts = urlsplit(address)
    if (parts.scheme, parts.hostname, parts.port) == (own.scheme, own.hostname, own.port):
        return True
    return AddressRules(allows_private=registration.private_network).allow_url(address)

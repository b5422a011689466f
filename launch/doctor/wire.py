"""HTTP of a check-up: one bounded request at a time, to registered addresses only, and how it went.

It sends no token and no patient; no redirect is followed. What it may reach is what a launch may reach: the registered
EHR, what that EHR names over https, and our own public address.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.structures import CaseInsensitiveDict

from launch.discovery import AnswerTooLargeError, BoundedSession, is_acceptable_address
from launch.registrations import Registration, Registrations
from launch.transport import AddressRules, rules_of, was_refused

JSON = {"Accept": "application/json"}
FHIR_JSON = {"Accept": "application/fhir+json"}


@dataclass(frozen=True)
class Reply:
    """One answer, or why there is none: ``failure`` is a key of ``FAILURE_WORDS``, and then ``status`` is 0."""

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    seconds: float = 0.0
    failure: str | None = None

    def json(self) -> Any:
        """The body as JSON; None when it is none."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    def json_object(self) -> dict[str, Any] | None:
        """The body as a JSON object; None when it is none."""
        payload = self.json()
        return payload if isinstance(payload, dict) else None

    @property
    def media_type(self) -> str:
        """The media type, without parameters, in lower case."""
        return self.headers.get("Content-Type", "").split(";")[0].strip().lower()


class Wire:
    """Requests for one registration. ``trusted`` names a file of extra root certificates, or None for the system's."""

    def __init__(self, registrations: Registrations, registration: Registration, *, trusted: str | None = None) -> None:
        self._registration = registration
        self._ours = origin(registrations.public_base_url)
        self.trusted = trusted

    def may_reach(self, url: str) -> bool:
        """Whether a launch at this EHR could reach ``url``, or it is our own."""
        return origin(url) == self._ours or is_acceptable_address(url, self._registration)

    def rules_for(self, url: str) -> AddressRules:
        """Our own address may be anywhere; an EHR's only where a launch would find it."""
        is_ours = origin(url) == self._ours
        return AddressRules(allows_loopback=True, allows_private=True) if is_ours else rules_of(self._registration)

    def get(self, url: str, headers: Mapping[str, str] = JSON) -> Reply:
        """One GET. Never raises for what the network does."""
        return self._ask("GET", url, headers)

    def post_form(self, url: str, form: Mapping[str, str]) -> Reply:
        """One POST of a form, as a browser sends it. Never raises for what the network does."""
        return self._ask("POST", url, {"Accept": "text/html"}, form)

    def _ask(self, method: str, url: str, headers: Mapping[str, str], form: Mapping[str, str] | None = None) -> Reply:
        if not self.may_reach(url):
            return Reply(failure="not-allowed")
        started = time.monotonic()
        try:
            with BoundedSession(self.rules_for(url)) as session:
                if self.trusted is not None:
                    session.verify = self.trusted
                answer = session.request(method, url, headers=dict(headers), data=form)
        except (requests.RequestException, OSError, ValueError) as error:
            return Reply(failure=_failure(error), seconds=time.monotonic() - started)
        return Reply(
            answer.status_code,
            CaseInsensitiveDict(answer.headers),
            answer.content,
            time.monotonic() - started,
        )


FAILURE_WORDS = {
    "not-allowed": "the address is not one that a launch may reach",
    "refused-address": "its name leads to a private network or to this computer. If the EHR really is on your own "
    "network, set private_network = true for it",
    "certificate": "its certificate is not valid for this name, or no authority we trust signed it",
    "timeout": "no answer came in time",
    "no-connection": "no connection came about",
    "too-large": "the answer was larger, or came slower, than any launch accepts",
}


def origin(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port of an address; blanks for what is none."""
    try:
        parts = urlsplit(url)
        return parts.scheme, parts.hostname or "", parts.port
    except ValueError:
        return "", "", None


def _failure(error: Exception) -> str:
    if was_refused(error):
        return "refused-address"
    if isinstance(error, AnswerTooLargeError):
        return "too-large"
    if isinstance(error, requests.exceptions.SSLError):
        return "certificate"
    return "timeout" if isinstance(error, requests.Timeout) else "no-connection"

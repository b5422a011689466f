"""We as client of a partner's system: an access token of our own, then one write of bytes (SMART Backend Services).

The registered addresses are the only ones connected to: no redirect is followed, a partner whose discovery document
names another token endpoint than the registered one gets nothing, and the token goes to its FHIR address alone. Every
answer is limited in time and size. What went wrong is told by ``PartnerSystemError``, which never holds a body.
"""

from __future__ import annotations

import io
import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import requests

from launch.client_authentication import ASSERTION_TYPE, signed_assertion
from launch.errors import PartnerSystemError
from launch.keys import KeyRing
from launch.transport import AddressRules, hold, was_refused

TIMEOUT: Final = (5.0, 20.0)
DEADLINE_SECONDS: Final = 30.0
MAX_ANSWER_BYTES: Final = 1_000_000
MAX_DOCUMENT_BYTES: Final = 64_000
DISCOVERY_SECONDS: Final = 600.0
TOKEN_MARGIN_SECONDS: Final = 30.0
DEFAULT_TOKEN_SECONDS: Final = 60.0  # an absent expires_in is a short life
MAX_RETRY_AFTER_SECONDS: Final = 86_400
# Sending the same bytes again cannot help. 404 is not here: a partner's server that forgot its path is an outage.
PERMANENT: Final = frozenset({400, 405, 410, 412, 413, 415, 422})


@dataclass(frozen=True)
class PartnerAnswer:
    """A 2xx answer. ``location`` is the header as sent: parsed for an id by the caller, never followed."""

    status: int
    body: bytes
    location: str | None


@dataclass
class _Connection:
    """What is kept of one partner between calls: its token and when its discovery document was last compared."""

    access_token: str = ""
    token_ends_at: float = 0.0
    discovered_until: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)


class Client:
    """Writes to partners' FHIR systems with our ``private_key_jwt``. One per process; safe between threads."""

    def __init__(self, keys: KeyRing, *, allows_loopback_http: bool = False, alg: str = "ES384") -> None:
        self._keys = keys
        self._alg = alg
        self._rules = AddressRules(allows_loopback=allows_loopback_http)
        self._connections: dict[tuple[str, str, str, str], _Connection] = {}
        self._lock = threading.Lock()

    @classmethod
    def from_key_file(cls, file: Path, *, allows_loopback_http: bool = False) -> Client:
        """With our signing keys, read again whenever the file is replaced. Raises ``KeyFileError``."""
        return cls(KeyRing.load(file), allows_loopback_http=allows_loopback_http)

    def post(
        self,
        *,
        fhir_address: str,
        token_endpoint: str,
        client_id: str,
        scope: str,
        body: bytes | Callable[[], bytes],
        path: str = "",
        last_look: Callable[[], None] | None = None,
    ) -> PartnerAnswer:
        """POST ``body`` to ``<fhir_address>/<path>``; one fresh token and one more try after a 401.

        A callable ``body`` is asked after the token is there, right before each POST connects. ``last_look`` is called
        on the open connection, right before the first byte of the body is written: connecting may have taken long.
        What either raises comes out unchanged, and nothing of the body has left then. Raises ``PartnerSystemError``
        for everything but a 2xx answer.
        """
        return self._call("POST", fhir_address, token_endpoint, client_id, scope, path, body, last_look)

    def put(
        self,
        *,
        fhir_address: str,
        token_endpoint: str,
        client_id: str,
        scope: str,
        path: str,
        identifier: str,
        body: bytes | Callable[[], bytes],
        last_look: Callable[[], None] | None = None,
    ) -> PartnerAnswer:
        """Conditional update: PUT ``body`` to the one resource of type ``path`` that has ``identifier``, written
        "<system>|<value>". Everything else as in ``post``."""
        where = f"{path}?identifier={quote(identifier, safe='')}"
        return self._call("PUT", fhir_address, token_endpoint, client_id, scope, where, body, last_look)

    def _call(
        self,
        method: str,
        fhir_address: str,
        token_endpoint: str,
        client_id: str,
        scope: str,
        path: str,
        body: bytes | Callable[[], bytes],
        last_look: Callable[[], None] | None,
    ) -> PartnerAnswer:
        base = fhir_address.rstrip("/")
        for address in (base, token_endpoint):
            if not self._rules.allow_url(address):
                raise PartnerSystemError("address-not-allowed", is_permanent=True)
        if path and not re.fullmatch(r"[A-Za-z]+(/[A-Za-z0-9\-.]{1,64}|\?identifier=[A-Za-z0-9\-._~%]{1,500})?", path):
            raise ValueError("path is a resource type, a type and an id, or a type and an identifier")
        url = f"{base}/{path}" if path else base
        connection = self._connection(base, token_endpoint, client_id, scope)
        token = self._token(connection, base, token_endpoint, client_id, scope)
        answer = self._send(method, url, body, last_look, token)
        if answer.status_code == 401:
            with connection.lock:
                connection.access_token = ""
            token = self._token(connection, base, token_endpoint, client_id, scope)
            answer = self._send(method, url, body, last_look, token)
        return _judged(method.lower(), answer)

    def _connection(self, *key: str) -> _Connection:
        with self._lock:
            return self._connections.setdefault((key[0], key[1], key[2], key[3]), _Connection())

    def _session(self) -> requests.Session:
        session = requests.Session()
        hold(session, self._rules)
        return session

    def _send(
        self,
        method: str,
        url: str,
        body: bytes | Callable[[], bytes],
        last_look: Callable[[], None] | None,
        token: str,
    ) -> requests.Response:
        content = body() if callable(body) else body
        headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/fhir+json",
            "Accept": "application/fhir+json",
        }
        with self._session() as session:
            data = content if last_look is None else _LookedAtLast(content, last_look)
            return _bounded(session, method, url, MAX_ANSWER_BYTES, data=data, headers=headers)

    def _token(self, connection: _Connection, base: str, token_endpoint: str, client_id: str, scope: str) -> str:
        with connection.lock:
            now = time.monotonic()
            if connection.access_token and now < connection.token_ends_at:
                return connection.access_token
            if now >= connection.discovered_until:
                self._compare_discovery(base, token_endpoint)
                connection.discovered_until = now + DISCOVERY_SECONDS
            granted = self._fetch_token(token_endpoint, client_id, scope)
            connection.access_token = granted["access_token"]
            connection.token_ends_at = now + _lifetime(granted.get("expires_in"))
            return connection.access_token

    def _compare_discovery(self, base: str, token_endpoint: str) -> None:
        with self._session() as session:
            answer = _bounded(
                session,
                "GET",
                f"{base}/.well-known/smart-configuration",
                MAX_DOCUMENT_BYTES,
                headers={"Accept": "application/json"},
            )
        if answer.status_code != 200:
            raise _refusal("discovery", answer, is_permanent=False)
        try:
            said = json.loads(answer.content)["token_endpoint"]
        except (ValueError, TypeError, KeyError, RecursionError):
            raise PartnerSystemError("discovery-unreadable", status=200) from None
        if said != token_endpoint:
            raise PartnerSystemError("discovery-names-another-token-endpoint", status=200)

    def _fetch_token(self, token_endpoint: str, client_id: str, scope: str) -> dict[str, Any]:
        form = {
            "grant_type": "client_credentials",
            "scope": scope,
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": signed_assertion(self._keys.signing_key(self._alg), client_id, token_endpoint),
        }
        with self._session() as session:
            answer = _bounded(
                session,
                "POST",
                token_endpoint,
                MAX_DOCUMENT_BYTES,
                data=form,
                headers={"Accept": "application/json"},
            )
        if answer.status_code != 200:
            raise _refusal("token", answer, is_permanent=False)  # a key or an agreement can be mended: try again
        try:
            token = json.loads(answer.content)
            is_bearer = token["token_type"].lower() == "bearer" and isinstance(token["access_token"], str)
        except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
            raise PartnerSystemError("token-unreadable", status=200) from None
        if not is_bearer or not re.fullmatch(r"[\x21-\x7e]{1,8000}", token["access_token"]):
            raise PartnerSystemError("token-not-bearer", status=200)
        return dict(token)


class _LookedAtLast(io.BytesIO):
    """A body that asks ``last_look`` whenever the connection, open by then, comes for its bytes."""

    def __init__(self, content: bytes, last_look: Callable[[], None]) -> None:
        super().__init__(content)
        self._last_look = last_look

    def read(self, size: int | None = -1, /) -> bytes:
        self._last_look()
        return super().read(size)


def _bounded(session: requests.Session, method: str, url: str, limit: int, **kwargs: Any) -> requests.Response:
    """One request without redirect, its whole body read within the limits. Raises ``PartnerSystemError``."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    kwargs.update(timeout=TIMEOUT, allow_redirects=False, stream=True)
    body = b""
    try:
        with session.request(method, url, **kwargs) as answer:
            for part in answer.iter_content(65_536):
                body += part
                if len(body) > limit:
                    raise PartnerSystemError("answer-too-large", status=answer.status_code)
                if time.monotonic() > deadline:
                    raise PartnerSystemError("answer-too-slow", status=answer.status_code)
    except requests.RequestException as error:
        raise PartnerSystemError("address-refused" if was_refused(error) else "no-answer") from None
    answer._content = body  # the streamed body, read above, for .content and .json()
    return answer


def _judged(step: str, answer: requests.Response) -> PartnerAnswer:
    status = answer.status_code
    if 200 <= status < 300:
        return PartnerAnswer(status, answer.content, answer.headers.get("Location"))
    is_permanent = status in PERMANENT or (status == 409 and not _is_still_in_flight(answer.content))
    raise _refusal(step, answer, is_permanent=is_permanent)


def _is_still_in_flight(body: bytes) -> bool:
    """409 ``duplicate``: the same delivery is being handled now, so asking again later is right."""
    try:
        return any(issue["code"] == "duplicate" for issue in json.loads(body)["issue"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return False


def _refusal(step: str, answer: requests.Response, *, is_permanent: bool) -> PartnerSystemError:
    reason = "redirect" if answer.is_redirect else f"status-{answer.status_code}"
    return PartnerSystemError(
        f"{step}-{reason}",
        status=answer.status_code,
        retry_after_seconds=_retry_after(answer.headers.get("Retry-After")),
        is_permanent=is_permanent,
    )


def _retry_after(header: str | None) -> int | None:
    """Seconds, or a date, as the partner said; a day at most."""
    if header is None:
        return None
    if re.fullmatch(r"\d{1,9}", header):
        seconds = int(header)
    else:
        try:
            seconds = int((parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds())
        except (ValueError, TypeError):
            return None
    return max(0, min(seconds, MAX_RETRY_AFTER_SECONDS))


def _lifetime(expires_in: object) -> float:
    try:
        seconds = float(str(expires_in))
    except ValueError:
        seconds = DEFAULT_TOKEN_SECONDS
    if not seconds > 0:
        seconds = 0.0
    return max(0.0, min(seconds, 3600.0) - TOKEN_MARGIN_SECONDS)

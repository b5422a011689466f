"""All that would leave this computer, caught at the last step before the socket, and answered from here.

``Wire`` keeps every outgoing HTTP call of the app and every mail. The EHR and the program behind it are a few lines:
an EHR that has everybody's chart and an open visit, and a program that takes what it is sent.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter

from smart_app.gateways.mail import SmtpMail

BORN = {"p-dana": "1997-02-03", "p-marcus": "1984-07-21", "p-child": "2019-05-05"}
VISIT = "visit-of-"  # an encounter's id says whose it is


@contextmanager
def replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """``owner.name`` is ``value`` meanwhile."""
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


@dataclass
class Wire:
    """``calls`` and ``mails`` since the last ``take``; ``writes`` and their ``bodies``: every write
    to an EHR, and ``sent``: every body to a program's FHIR address, until somebody clears them."""

    calls: list[str] = field(default_factory=list)
    mails: list[str] = field(default_factory=list)
    writes: list[tuple[str, str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    sent: list[bytes] = field(default_factory=list)

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Nothing of this process reaches a socket meanwhile."""

        def carry(_adapter: HTTPAdapter, request: requests.PreparedRequest, **_more: Any) -> requests.Response:
            return self._carry(request)

        def post(mail: SmtpMail, address: str, now: datetime) -> None:
            self.mails.append(str(mail._message(address, now)))

        with replaced(HTTPAdapter, "send", carry), replaced(SmtpMail, "send", post):
            yield

    def take(self) -> tuple[str, str]:
        """Calls and mails since the last time, each as one text."""
        taken = "\n".join(self.calls), "\n".join(self.mails)
        self.calls, self.mails = [], []
        return taken

    def _carry(self, request: requests.PreparedRequest) -> requests.Response:
        body = _whole(request.body)
        headers = "; ".join(f"{name}: {value}" for name, value in sorted(request.headers.items()))
        self.calls.append(f"{request.method} {request.url} [{headers}] {body!r}")
        path = urlsplit(request.url or "").path
        is_search = path.endswith("/_search")
        if request.method != "GET" and "/fhir/" in path and path.startswith(("/a/", "/b/")) and not is_search:
            self.writes.append((str(request.method), path))
            self.bodies.append(body)
        if path.startswith("/fhir"):
            self.sent.append(body)
        status, payload = _answer(str(request.method), path, urlsplit(request.url or ""))
        return _response(request, status, payload)


def _whole(body: Any) -> bytes:
    """A body as bytes; one that is made while it is sent is made now."""
    if body is None or isinstance(body, bytes | str):
        return body.encode() if isinstance(body, str) else body or b""
    return b"".join(body)


def _answer(method: str, path: str, url: Any) -> tuple[int, dict[str, Any]]:
    base = f"{url.scheme}://{url.netloc}"
    before, _, own = path.rpartition("/")
    kind = before.rpartition("/")[2]
    if path.endswith("/token"):
        scopes = "system/Bundle.c system/Task.u system/Patient.c system/Consent.c system/ServiceRequest.c system/Task.c"
        return 200, {"access_token": "prove-token", "token_type": "bearer", "expires_in": 300, "scope": scopes}
    if path.endswith("/smart-configuration"):
        return 200, {"token_endpoint": f"{base}/token", "token_endpoint_auth_methods_supported": ["private_key_jwt"]}
    if path.endswith("/_search"):
        return 200, {"resourceType": "Bundle", "type": "searchset", "entry": []}
    if method == "GET" and kind == "Patient" and own in BORN:
        name = [{"family": "Provewell", "given": ["Ada"]}]
        return 200, {"resourceType": "Patient", "id": own, "birthDate": BORN[own], "name": name}
    if method == "GET" and kind == "Encounter":
        subject = {"reference": f"Patient/{own.removeprefix(VISIT)}"}
        return 200, {"resourceType": "Encounter", "id": own, "status": "in-progress", "subject": subject}
    if path.startswith("/fhir"):
        return 200, {"resourceType": "Bundle", "type": "transaction-response"}
    return 404, {"resourceType": "OperationOutcome"}


def _response(request: requests.PreparedRequest, status: int, payload: dict[str, Any]) -> requests.Response:
    answer = requests.Response()
    answer.status_code, answer.request, answer.url = status, request, str(request.url)
    answer._content = json.dumps(payload).encode()
    answer._content_consumed = True  # type: ignore[attr-defined]
    answer.headers["Content-Type"] = "application/fhir+json"
    return answer

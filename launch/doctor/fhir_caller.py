"""FHIR calls of a check-up: one base, a token per call, nothing followed anywhere else."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests

TIMEOUT_SECONDS = (5.0, 20.0)
MAX_BYTES = 5_000_000
LOGICAL_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")

Payload = dict[str, Any]


class NoAnswerError(Exception):
    """The server did not answer, or answered with something that is no FHIR answer."""


@dataclass(frozen=True)
class Answer:
    """One answer. ``payload`` is None when the body was empty or no JSON object; ``text`` is the body as it came."""

    status: int
    payload: Payload | None
    text: str
    location: str | None

    @property
    def is_ok(self) -> bool:
        """2xx."""
        return 200 <= self.status < 300

    def created_id(self, kind: str) -> str | None:
        """The id of what a create made, from the body or else from Location, which is read and never followed."""
        if self.payload and self.payload.get("resourceType") == kind:
            found = str(self.payload.get("id", ""))
        else:
            segments = urlsplit(self.location or "").path.split("/")
            found = segments[segments.index(kind) + 1] if kind in segments[:-1] else ""
        return found if LOGICAL_ID.fullmatch(found) else None

    def mentions(self, resource_id: str) -> bool:
        """Whether a good answer names this id anywhere. A searchset's links only repeat what was asked."""
        if not self.is_ok:
            return False
        if self.payload is None:
            return resource_id in self.text
        return resource_id in json.dumps({key: value for key, value in self.payload.items() if key != "link"})

    def resources(self, kind: str, resource_id: str) -> list[Payload]:
        """Every resource with this type and id in the answer: itself, or the entries of a Bundle."""
        if self.payload is None:
            return []
        entries = [e.get("resource") or {} for e in self.payload.get("entry") or [] if isinstance(e, dict)]
        return [
            one for one in (self.payload, *entries) if one.get("resourceType") == kind and one.get("id") == resource_id
        ]


class FhirCaller:
    """Calls one FHIR base. A token goes to that base only: no redirect is followed, no .netrc is read."""

    def __init__(self, base: str) -> None:
        self.base = base.rstrip("/")
        self._session = requests.Session()
        self._session.trust_env = False

    def ask(
        self,
        method: str,
        path: str,
        *,
        token: str | None = None,
        params: Mapping[str, str] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """``path`` is relative to the base, such as "Observation/55". Raises ``NoAnswerError``."""
        sent = {"Accept": "application/fhir+json", **(headers or {})}
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        if body is not None:
            sent.setdefault("Content-Type", "application/fhir+json")
            sent.setdefault("Prefer", "return=representation")
        try:
            with self._session.request(
                method,
                f"{self.base}/{path}",
                params=params,
                data=None if body is None else json.dumps(body).encode(),
                headers=sent,
                timeout=TIMEOUT_SECONDS,
                allow_redirects=False,
                stream=True,
            ) as response:
                raw = response.raw.read(MAX_BYTES + 1, decode_content=True)
        except (requests.RequestException, OSError) as error:
            raise NoAnswerError(f"{self.base} did not answer") from error
        if len(raw) > MAX_BYTES:
            raise NoAnswerError(f"{self.base} answered with more than {MAX_BYTES} bytes")
        text = raw.decode("utf-8", errors="replace")
        return Answer(response.status_code, _parsed(text), text, response.headers.get("Location"))


def _parsed(text: str) -> Payload | None:
    try:
        payload = json.loads(text)
    except ValueError:
        return None
    return payload if isinstance(payload, dict) else None

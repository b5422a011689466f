"""The sandbox program as a client of the clinic: its own keys, its tokens, and the few calls a partner may make."""

from __future__ import annotations

import json
import os
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from joserfc import jwt
from joserfc.jwk import ECKey
from joserfc.jws import JWSRegistry

from launch.sandbox.program_messages import SENDERS, Payload

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
SCOPE = "system/Patient.c system/Consent.c system/ServiceRequest.cr system/Task.crus system/Appointment.cr"
TIMEOUT = (5, 20)


class ClinicError(Exception):
    """The clinic could not be asked. The text is one plain sentence."""


@dataclass(frozen=True)
class Answer:
    """What the clinic answered. ``body`` is its text, ``payload`` the same as JSON when it is an object."""

    status: int
    body: str
    location: str | None = None
    etag: str | None = None

    @property
    def payload(self) -> Payload:
        """The body as a JSON object, empty when it is none."""
        try:
            parsed = json.loads(self.body)
        except ValueError:
            return {}
        return parsed if isinstance(parsed, dict) else {}


class ProgramKeys:
    """One ES384 key per program of this sandbox, made at first start, readable by its owner only."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            made = {
                name: ECKey.generate_key(
                    "P-384", {"kid": f"{name}-{uuid.uuid4().hex[:12]}", "alg": "ES384", "use": "sig"}, private=True
                ).as_dict(private=True)
                for name in SENDERS
            }
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w", encoding="ascii") as file:
                json.dump(made, file)
        self._keys = {name: ECKey.import_key(jwk) for name, jwk in json.loads(path.read_text("ascii")).items()}

    def key(self, name: str) -> ECKey:
        """The private key of "harbor" or "northside"."""
        return self._keys[name]

    def public(self, name: str) -> dict[str, Any]:
        """The JWK Set to publish."""
        return {"keys": [self._keys[name].as_dict(private=False)]}


class Clinic:
    """The clinic's FHIR address, called as one of our programs. Tokens are kept until shortly before they end."""

    def __init__(self, origin: str, keys: ProgramKeys) -> None:
        self.origin = origin.rstrip("/")
        self.base = self.origin + "/fhir"
        self._keys = keys
        self._tokens: dict[str, tuple[str, float]] = {}
        self._lock = threading.Lock()

    def post_referral(self, sender: str, body: bytes) -> Answer:
        """POST a referral bundle."""
        return self._call(sender, "POST", self.base, body)

    def post_release(self, sender: str, consent: Payload) -> Answer:
        """POST release B."""
        return self._call(sender, "POST", self.base + "/Consent", json.dumps(consent).encode())

    def get(self, sender: str, address: str) -> Answer:
        """GET one resource: "Task/<id>", "/fhir/Task/<id>" or the whole address at this clinic."""
        return self._call(sender, "GET", self.address(address))

    def put(self, sender: str, address: str, payload: Payload, etag: str | None) -> Answer:
        """PUT one resource with If-Match."""
        headers = {"If-Match": etag} if etag else {}
        return self._call(sender, "PUT", self.address(address), json.dumps(payload).encode(), headers)

    def address(self, reference: str) -> str:
        """The address below the clinic's FHIR base; ``ClinicError`` for any other place: the token stays here."""
        path = urlsplit(reference).path if "://" in reference else reference
        if "://" in reference and not reference.startswith(self.base + "/"):
            raise ClinicError("That address is not at the clinic.")
        path = path.removeprefix("/fhir").lstrip("/")
        if not path or ".." in path or "%" in path or "\\" in path:
            raise ClinicError("That address is not at the clinic.")
        query = urlsplit(reference).query
        return f"{self.base}/{path}" + (f"?{query}" if query else "")

    def _call(
        self, sender: str, method: str, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        for is_last_try in (False, True):
            sent = {
                "Authorization": f"Bearer {self._token(sender)}",
                "Accept": "application/fhir+json",
                **({"Content-Type": "application/fhir+json"} if body is not None else {}),
                **(headers or {}),
            }
            got = self._http(method, url, data=body, headers=sent)
            if got.status_code != 401 or is_last_try:
                return Answer(got.status_code, got.text, got.headers.get("Location"), got.headers.get("ETag"))
            with self._lock:
                self._tokens.pop(sender, None)
        raise AssertionError("the second try always answers")

    def _token(self, sender: str) -> str:
        with self._lock:
            token, ends_at = self._tokens.get(sender, ("", 0.0))
        if time.monotonic() < ends_at:
            return token
        client_id, url = SENDERS[sender].client_id, self.origin + "/token"
        now = int(time.time())
        claims = {
            "iss": client_id,
            "sub": client_id,
            "aud": url,
            "iat": now,
            "exp": now + 240,
            "jti": str(uuid.uuid4()),
        }
        key = self._keys.key(sender)
        signed = jwt.encode(
            {"alg": "ES384", "typ": "JWT", "kid": key.kid}, claims, key, registry=JWSRegistry(algorithms=["ES384"])
        )
        form = {
            "grant_type": "client_credentials",
            "scope": SCOPE,
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": signed,
        }
        got = self._http("POST", url, data=form)
        if got.status_code != 200:
            raise ClinicError(f"The clinic gave no token (HTTP {got.status_code}). Is this program registered there?")
        granted = got.json()
        with self._lock:
            lifetime = min(float(granted.get("expires_in", 60)), 300.0)
            self._tokens[sender] = (granted["access_token"], time.monotonic() + max(0.0, lifetime - 30))
        return str(granted["access_token"])

    def _http(self, method: str, url: str, **options: Any) -> requests.Response:
        try:
            with requests.Session() as session:
                session.trust_env = False
                return session.request(method, url, timeout=TIMEOUT, allow_redirects=False, **options)
        except requests.RequestException as error:
            raise ClinicError("The clinic did not answer. Try again, or call the clinic.") from error


def now_utc() -> datetime:
    """The time, aware."""
    return datetime.now(UTC)

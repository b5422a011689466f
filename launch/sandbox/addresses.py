"""Where the sandbox EHR and the one app registered with it live. Everything is loopback; every URL is derived here."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

BASES = ("a", "b")
WRITE_BASES = frozenset({"a"})
"""``/a`` takes write-back and filters labelled content; ``/b`` is read only."""

CLIENT_ID = "care-connections"
APP_NAME = "Care Connections"
"""The tile under which this EHR lists the app: it says nothing about anybody who opens it."""

LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True)
class Addresses:
    """``ehr`` and ``app`` are origins such as "http://localhost:9000", without a trailing slash."""

    ehr: str
    app: str

    def __post_init__(self) -> None:
        for origin in (self.ehr, self.app):
            parts = urlsplit(origin)
            if parts.hostname not in LOOPBACK_HOSTS or parts.path or parts.query:
                raise ValueError(f"{origin} must be a loopback origin such as http://127.0.0.1:8000, without a path")

    def fhir(self, base: str) -> str:
        """The FHIR base URL, which is also the issuer."""
        return f"{self.ehr}/{base}/fhir"

    def oauth(self, base: str) -> str:
        """Prefix of the authorize, token, revoke and jwks endpoints."""
        return f"{self.ehr}/{base}/oauth"

    def token_endpoint(self, base: str) -> str:
        """The only ``aud`` a client assertion may carry."""
        return f"{self.oauth(base)}/token"

    @property
    def launch_url(self) -> str:
        """Where the registered app wants to be opened."""
        return f"{self.app}/launch"

    @property
    def redirect_uri(self) -> str:
        """The only redirect URI registered for the app."""
        return f"{self.app}/callback"

    @property
    def client_jwks_url(self) -> str:
        """Where the registered app publishes its public keys."""
        return f"{self.app}/.well-known/jwks.json"

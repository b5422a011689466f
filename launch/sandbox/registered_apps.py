"""The app as it is registered at each base, once for each way SMART App Launch lets a client show who it is.

One redirect URI and one set of scopes; they differ in how the token endpoint knows them: by a signed assertion, by a
shared secret in the header, or not at all (a public client, which PKCE alone protects).
"""

from __future__ import annotations

import hmac
from collections.abc import Callable

from authlib.oauth2.rfc6749 import ClientMixin

from launch.sandbox.addresses import CLIENT_ID, WRITE_BASES, Addresses

SYMMETRIC_CLIENT_ID = "care-connections-symmetric"
PUBLIC_CLIENT_ID = "care-connections-public"
SYMMETRIC_SECRET = "known-to-everybody-and-good-for-this-sandbox-only"  # noqa: S105
READ_SCOPES = "launch openid fhirUser online_access patient/Patient.rs patient/Encounter.rs user/Practitioner.rs"
WRITE_SCOPES = "patient/Observation.cruds patient/ServiceRequest.cruds user/Appointment.cruds"
METHODS = {
    CLIENT_ID: "private_key_jwt",
    SYMMETRIC_CLIENT_ID: "client_secret_basic",
    PUBLIC_CLIENT_ID: "none",
}


class RegisteredApp(ClientMixin):  # type: ignore[misc]
    """The app at one base as one kind of client: exact redirect URI, one method, the scopes approved for it."""

    def __init__(self, addresses: Addresses, base: str, client_id: str, on_file: Callable[[], str | None]) -> None:
        self._on_file = on_file
        self.client_id = client_id
        self.method = METHODS[client_id]
        self.redirect_uri = addresses.redirect_uri
        self.scopes = (READ_SCOPES + (" " + WRITE_SCOPES if base in WRITE_BASES else "")).split()

    def get_client_id(self) -> str:
        """The client id."""
        return self.client_id

    def get_default_redirect_uri(self) -> None:
        """There is no default: the redirect URI is part of every request."""

    def get_allowed_scope(self, scope: str | None) -> str:
        """Authlib asks once before the launch is known; narrowing to the launch happens in ``CodeGrant``."""
        return scope or ""

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        """Byte for byte; a switch puts another address on file, or takes any."""
        on_file = self._on_file() or self.redirect_uri
        return redirect_uri == on_file or (on_file == "any" and bool(redirect_uri))

    def check_client_secret(self, client_secret: str) -> bool:
        """The secret of the symmetric client; the others have none."""
        is_right = hmac.compare_digest(client_secret.encode(), SYMMETRIC_SECRET.encode())
        return is_right and self.method == "client_secret_basic"

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        """The one method of its registration, at every endpoint."""
        return method == self.method

    def check_response_type(self, response_type: str) -> bool:
        """Codes only."""
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        """Codes and refresh."""
        return grant_type in ("authorization_code", "refresh_token")


def registered_apps(
    addresses: Addresses, base: str, on_file: Callable[[], str | None] = lambda: None
) -> dict[str, RegisteredApp]:
    """Client id -> the app, for one base. ``on_file()``: the redirect address to go by, if not the app's own."""
    return {client_id: RegisteredApp(addresses, base, client_id, on_file) for client_id in METHODS}

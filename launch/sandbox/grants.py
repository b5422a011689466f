"""Launch values, authorization codes and tokens: stored as hashes, single use made atomic by the database."""

from __future__ import annotations

import hashlib
import secrets
import time
from dataclasses import dataclass
from typing import Any

from launch.sandbox.database import Database

LAUNCH_SECONDS = 300
CODE_SECONDS = 60
REFRESH_SECONDS = 8 * 3600


@dataclass(frozen=True)
class LaunchValue:
    """What an EHR launch stands for: who is signed in at which base, and which chart is open."""

    value_hash: str
    base: str
    user: str
    patient: str | None
    encounter: str | None


@dataclass(frozen=True)
class Code:
    """An authorization code that was claimed; Authlib asks it for its redirect URI and scope."""

    code_hash: str
    base: str
    client_id: str
    redirect_uri: str
    scope: str
    code_challenge: str
    nonce: str | None
    user: str
    patient: str | None
    encounter: str | None
    family: str
    expires_at: float

    code_challenge_method = "S256"

    def get_redirect_uri(self) -> str:
        """The redirect URI of the authorization request."""
        return self.redirect_uri

    def get_scope(self) -> str:
        """The scope that was granted."""
        return self.scope


@dataclass(frozen=True)
class Token:
    """One access token with its refresh token, as a row; the token strings themselves are not kept."""

    access_hash: str
    refresh_hash: str | None
    base: str
    client_id: str
    kind: str
    user: str
    patient: str | None
    encounter: str | None
    scope: str
    family: str
    expires_at: float
    refresh_expires_at: float
    is_refreshed: bool
    is_revoked: bool

    def get_scope(self) -> str:
        """The scope that was granted."""
        return self.scope

    def check_client(self, client: Any) -> bool:
        """Whether the token was issued to this client."""
        return self.client_id == str(client.get_client_id())


def hashed(secret: str) -> str:
    """What is stored in place of a launch value, code or token."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


class Grants:
    """Issue and spend launch values, codes and tokens."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def new_launch(self, base: str, user: str, patient: str | None, encounter: str | None) -> str:
        """A launch value good for five minutes and one authorization."""
        value = secrets.token_urlsafe(24)
        self._database.run(
            "INSERT INTO launch VALUES (?,?,?,?,?,?,0)",
            hashed(value), base, user, patient, encounter, time.time() + LAUNCH_SECONDS,
        )  # fmt: skip
        return value

    def find_launch(self, base: str, value: str) -> LaunchValue | None:
        """The unused, unexpired launch of this base behind a value."""
        row = self._database.one(
            "SELECT * FROM launch WHERE value_hash=? AND base=? AND is_used=0 AND expires_at>?",
            hashed(value), base, time.time(),
        )  # fmt: skip
        return LaunchValue(row["value_hash"], base, row["user"], row["patient"], row["encounter"]) if row else None

    def spend_launch(self, launch: LaunchValue) -> bool:
        """Mark a launch used; False if somebody else was faster."""
        return bool(
            self._database.run("UPDATE launch SET is_used=1 WHERE value_hash=? AND is_used=0", launch.value_hash)
        )

    def save_code(self, code: str, launch: LaunchValue, *, lifetime: float = CODE_SECONDS, **request: Any) -> None:
        """Store a new code. ``request``: client_id, redirect_uri, scope, code_challenge, nonce."""
        self._database.run(
            "INSERT INTO code VALUES (?,?,?,?,?,?,?,?,?,?,?,?,0)",
            hashed(code), launch.base, request["client_id"], request["redirect_uri"], request["scope"],
            request["code_challenge"], request["nonce"], launch.user, launch.patient, launch.encounter,
            secrets.token_hex(16), time.time() + lifetime,
        )  # fmt: skip

    def claim_code(self, base: str, code: str, client_id: str) -> Code | None:
        """Spend a code, whatever comes of it. A second use revokes everything the first one gave (RFC 6749 4.1.2)."""
        row = self._database.one("SELECT * FROM code WHERE code_hash=?", hashed(code))
        if row is None or row["base"] != base or row["client_id"] != client_id:
            return None
        is_first = self._database.run("UPDATE code SET is_used=1 WHERE code_hash=? AND is_used=0", hashed(code))
        if not is_first:
            self.revoke_family(row["family"])
            return None
        if row["expires_at"] <= time.time():
            return None
        return Code(**{name: row[name] for name in Code.__dataclass_fields__})

    def save_token(self, access: str, refresh: str | None, lifetime: float, **values: Any) -> Token:
        """Store a token pair. ``values``: base, client_id, kind, user, patient, encounter, scope, family."""
        now = time.time()
        self._database.run(
            "INSERT INTO token VALUES (?,?,?,?,?,?,?,?,?,?,?,?,0,0)",
            hashed(access), hashed(refresh) if refresh else None, values["base"], values["client_id"], values["kind"],
            values["user"], values["patient"], values["encounter"], values["scope"], values["family"],
            now + lifetime, now + REFRESH_SECONDS,
        )  # fmt: skip
        found = self._token("access_hash", access)
        assert found is not None
        return found

    def live_token(self, base: str, access: str) -> Token | None:
        """The token of this base behind an access token string, if it is neither expired nor revoked."""
        token = self._token("access_hash", access)
        if token is None or token.base != base or token.is_revoked or token.expires_at <= time.time():
            return None
        return token

    def claim_refresh(self, base: str, refresh: str, client_id: str, *, rotates: bool = True) -> Token | None:
        """Spend a refresh token. An old one that comes back ends its whole family. Without rotation it stays good."""
        token = self._token("refresh_hash", refresh)
        if token is None or token.base != base or token.client_id != client_id or token.is_revoked:
            return None
        is_first = not rotates or self._database.run(
            "UPDATE token SET is_refreshed=1 WHERE refresh_hash=? AND is_refreshed=0", token.refresh_hash
        )
        if not is_first:
            self.revoke_family(token.family)
            return None
        return token if token.refresh_expires_at > time.time() else None

    def find_token(self, value: str) -> Token | None:
        """The token behind an access or a refresh token string."""
        return self._token("access_hash", value) or self._token("refresh_hash", value)

    def revoke_family(self, family: str) -> None:
        """End every access and refresh token that came from one authorization."""
        self._database.run("UPDATE token SET is_revoked=1 WHERE family=?", family)

    def expire_access_tokens(self) -> int:
        """Make every access token too old, as time would; refresh tokens stay."""
        return self._database.run("UPDATE token SET expires_at=? WHERE is_revoked=0", time.time() - 1)

    def use_jti(self, client_id: str, jti: str, expires_at: float) -> bool:
        """Remember an assertion id until it could no longer be valid; False if it was seen before."""
        self._database.run("DELETE FROM jti WHERE expires_at < ?", time.time())
        return bool(self._database.run("INSERT OR IGNORE INTO jti VALUES (?,?,?)", client_id, jti, expires_at))

    def _token(self, column: str, value: str) -> Token | None:
        row = self._database.one(f"SELECT * FROM token WHERE {column}=?", hashed(value))  # noqa: S608 - two names, ours
        if row is None:
            return None
        values = {name: row[name] for name in Token.__dataclass_fields__}
        values["is_refreshed"], values["is_revoked"] = bool(row["is_refreshed"]), bool(row["is_revoked"])
        return Token(**values)

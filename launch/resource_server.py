"""Is this partner's access token alive, and does it open this? Raises; what a caller sees is rendered elsewhere.

401 for no token or a dead one, 403 for a scope too small, decided before anything else is looked up
(https://hl7.org/fhir/smart-app-launch/backend-services.html, RFC 6750 section 3).
"""

from __future__ import annotations

import hashlib
import math
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from sqlalchemy import Engine, bindparam, select

from launch.buckets import Buckets
from launch.errors import BearerError, TooManyCallsError
from launch.prepared import prepared
from launch.refusal_log import network_of
from launch.scopes import covers_system
from launch.tables import launch_client, launch_token

# For one network, each process for itself: a program's system posts and polls far less, a flood far more.
CALLS_PER_SECOND: Final = 50.0
SECONDS_AT_ONCE: Final = 10
# Built once: a statement costs more to make than to run.
_TOKEN = prepared(
    select(
        launch_token.c.client_id,
        launch_token.c.scopes,
        launch_token.c.jti_hash,
        launch_token.c.expires_at,
        launch_client.c.is_enabled,
    )
    .join(
        launch_client,
        (launch_client.c.tenant_id == launch_token.c.tenant_id)
        & (launch_client.c.client_id == launch_token.c.client_id),
    )
    .where(launch_token.c.tenant_id == bindparam("tenant"), launch_token.c.token_hash == bindparam("hash"))
)
_BEARER = re.compile(r"bearer ([A-Za-z0-9\-._~+/]{1,200}=*)", re.IGNORECASE)


@lru_cache(maxsize=512)
def _covers(granted: frozenset[str], needed: str) -> bool:
    return covers_system(granted, needed)


@dataclass(frozen=True)
class PartnerToken:
    """A live token of a partner that may connect. ``scopes`` as granted; ``expires_at`` is aware UTC."""

    client_id: str
    scopes: frozenset[str]
    jti_hash: str
    expires_at: datetime


class PartnerTokens:
    """Looks tokens up by their hash. Bound to one health center.

    ``is_partner_open(client_id)`` says whether the partner's agreement is current. It and the client's own switch are
    asked on every request, so that a suspended partner's next request is refused on every worker (R19).
    """

    def __init__(
        self,
        engine: Engine,
        tenant_id: str,
        is_partner_open: Callable[[str], bool],
        *,
        clock: Callable[[], float] = time.time,
        calls_per_second: float = CALLS_PER_SECOND,
    ) -> None:
        self._per_second = calls_per_second
        self._at_once = math.ceil(calls_per_second * SECONDS_AT_ONCE)
        self._buckets = Buckets(SECONDS_AT_ONCE)
        self._reading = engine.execution_options(is_read_only="once")  # one statement, which waits for no writer
        self._tenant_id = tenant_id
        self._is_partner_open = is_partner_open
        self._clock = clock

    def require_pace(self, address: str | None) -> None:
        """Not too many calls from one network, asked before a token is looked for. Raises ``TooManyCallsError``."""
        wait = self._buckets.take(network_of(address), self._at_once, self._per_second)
        if wait:
            raise TooManyCallsError(math.ceil(wait))

    def require_token(self, request_headers: Mapping[str, str]) -> PartnerToken:
        """The token of the ``Authorization`` header. Raises ``BearerError`` 401."""
        header = request_headers.get("Authorization")
        if not header:
            raise BearerError(401, "Bearer", "no-token")
        found = _BEARER.fullmatch(header)
        if found is None:
            raise BearerError(401, 'Bearer error="invalid_token"', "malformed-token")
        with self._reading.connect() as connection:
            asked = {"tenant": self._tenant_id, "hash": hashlib.sha256(found[1].encode()).hexdigest()}
            row = _TOKEN.first(connection, asked)
        client_id, scopes, jti_hash, expires_at, is_enabled = row or (None, "", "", 0, False)
        if client_id is None or expires_at <= self._clock():
            raise BearerError(401, 'Bearer error="invalid_token"', "unknown-or-expired-token")
        if not is_enabled or not self._is_partner_open(client_id):
            raise BearerError(401, 'Bearer error="invalid_token"', "client-closed")
        return PartnerToken(
            client_id=client_id,
            scopes=frozenset(scopes.split()),
            jti_hash=jti_hash,
            expires_at=datetime.fromtimestamp(expires_at, UTC),
        )

    @staticmethod
    def require_scope(token: PartnerToken, needed: str) -> None:
        """Pass when the token's scopes cover ``needed``, such as "system/Task.u". Raises ``BearerError`` 403."""
        if not _covers(token.scopes, needed):
            raise BearerError(403, 'Bearer error="insufficient_scope"', "insufficient-scope")

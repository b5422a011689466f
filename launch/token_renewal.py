"""The access token of one launch, renewed when it runs out: by one worker, once, and never for another chart.

The lease that makes it one worker is a row in the database, so it holds between processes. A refresh token that may
have been used is never used again: the launch ends instead.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

from launch.context import LaunchContext, LaunchEvent, parse
from launch.errors import EhrAuthorizationEndedError, EhrError, LaunchError
from launch.registrations import Registration
from launch.store import LaunchRow, LaunchStore
from launch.tokens import NothingSentError, TokenAnswer, TokenClient, Tokens

LEASE_SECONDS = 60
REFRESH_EARLY_SECONDS = 5
_POLL_SECONDS = 0.05


class LaunchAccess:
    """The token of one launch, and the launch as it was last read."""

    def __init__(
        self,
        store: LaunchStore,
        token_client: TokenClient,
        registration: Registration,
        row: LaunchRow,
        live: Callable[[str], LaunchRow],
        on_event: Callable[[LaunchEvent], None],
    ) -> None:
        self._store = store
        self._token_client = token_client
        self._registration = registration
        self._row = row
        self._live = live
        self._on_event = on_event

    @property
    def context(self) -> LaunchContext:
        """What the EHR said about this launch."""
        return LaunchContext.from_json(self._row.context)

    @property
    def _tokens(self) -> Tokens:
        return Tokens(**self._row.tokens)

    def access_token(self) -> str:
        """The token to send now; renewed first when its time is over. ``EhrAuthorizationEndedError``."""
        tokens = self._tokens
        if tokens.refresh_token is not None and tokens.expires_at - REFRESH_EARLY_SECONDS <= time.time():
            self.renew()
        return self._tokens.access_token

    def renew(self) -> None:
        """Get the next access token, by ourselves or from whoever is at it. ``EhrAuthorizationEndedError``."""
        row = self._live(self._row.launch_id)
        if row.token_version != self._row.token_version:
            self._row = row  # somebody else has renewed it meanwhile
            return
        if Tokens(**row.tokens).refresh_token is None:
            raise self._ended(row, "no-refresh-token")
        lease_until = int(time.time()) + LEASE_SECONDS
        if self._store.lease_refresh(row.launch_id, row.token_version, until=lease_until):
            self._row = self._refresh(row)
        else:
            self._row = self._wait(row)

    def _refresh(self, row: LaunchRow) -> LaunchRow:
        try:
            answer = self._token_client.refresh(self._registration, Tokens(**row.tokens))
        except NothingSentError:
            self._store.release_refresh(row.launch_id, row.token_version)
            raise EhrError("token-no-connection") from None
        except LaunchError as error:
            # Refused, or perhaps used without our hearing of it. Either way it is not sent again.
            raise self._ended(row, error.reason) from None
        context = self._renewed_context(row, answer)
        is_kept = self._store.replace_tokens(
            row.launch_id, row.token_version, tokens=answer.tokens.to_json(), context=context.to_json()
        )
        if not is_kept:  # the person left while we were asking
            self._token_client.revoke(self._registration, answer.tokens)
        return self._live(row.launch_id)

    def _renewed_context(self, row: LaunchRow, answer: TokenAnswer) -> LaunchContext:
        """The context after a refresh. A changed patient or encounter means that the chart is another one."""
        before = LaunchContext.from_json(row.context)
        try:
            told = parse(answer.members, self._registration.issuer)
        except ValueError:
            raise self._ended(row, "launch-context", answer.tokens) from None
        if "patient" in answer.members and told.patient_id != before.patient_id:
            raise self._ended(row, "patient-changed", answer.tokens)
        if answer.members.get("encounter") not in (None, before.encounter_id):
            raise self._ended(row, "encounter-changed", answer.tokens)
        granted = answer.scopes if "scope" in answer.members else before.granted_scopes
        return before.refreshed(granted, datetime.fromtimestamp(answer.tokens.expires_at, UTC))

    def _wait(self, row: LaunchRow) -> LaunchRow:
        """Another worker is using the refresh token: take what it gets."""
        while True:
            time.sleep(_POLL_SECONDS)
            now = self._live(row.launch_id)
            if now.token_version != row.token_version:
                return now
            if now.refresh_lease_until == 0:
                raise EhrError("token-no-connection")
            if now.refresh_lease_until <= time.time():
                raise self._ended(now, "refresh-unknown")  # it may have been used: never a second time

    def _ended(self, row: LaunchRow, reason: str, new_tokens: Tokens | None = None) -> EhrAuthorizationEndedError:
        """End the launch here and at the EHR; returns the error to raise."""
        self._store.end_launch(row.launch_id)
        self._token_client.revoke(self._registration, new_tokens or Tokens(**row.tokens))
        context = LaunchContext.from_json(row.context)
        self._on_event(
            LaunchEvent(
                "launch-ended",
                reason=reason,
                launch_id=row.launch_id,
                registration_id=context.registration_id,
                user_reference=context.fhir_user,
            )
        )
        return EhrAuthorizationEndedError(reason, 401)

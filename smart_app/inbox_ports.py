"""The shapes by which the pages for programs reach accounts, sessions, passkeys and the staff alert.

``inbox_app`` hands the real ones in. A person of a program is an opaque id; a name is what colleagues call them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Protocol


@dataclass(frozen=True)
class Member:
    """One person of one program. ``is_ready``: has passkeys and recovery codes, so may see the inbox."""

    member_id: str
    partner_id: str
    name: str
    is_admin: bool = False
    is_ready: bool = False


@dataclass(frozen=True)
class Passkey:
    """One registered passkey. ``number`` is its place among this person's, oldest first, from 1."""

    member_id: str
    credential_id: bytes
    public_key: bytes = field(repr=False)
    sign_count: int = 0
    number: int = 0


@dataclass(frozen=True)
class Invitation:
    """What is told to somebody new: the address by any way, the code by voice only."""

    token: str = field(repr=False)
    code: str = field(repr=False)


class Accounts(Protocol):
    """People of the programs. Each method is one transaction; what was removed is gone for every process at once."""

    def add_invite(self, invitation: Invitation, invited: Member, *, expires_at: datetime, now: datetime) -> None:
        """Keep an invitation of ``invited`` (its ``member_id`` is the one to be)."""

    def take_invite(self, invitation: Invitation, now: datetime, *, most_wrong_codes: int) -> Member | None:
        """The new member, made now; the invitation is used up. None for an unknown, used or expired one and for a
        wrong code, of which ``most_wrong_codes`` end it."""

    def member(self, member_id: str) -> Member | None: ...
    def members(self, partner_id: str) -> list[Member]: ...
    def set_ready(self, member_id: str) -> None: ...
    def remove(self, member_id: str, partner_id: str) -> bool:
        """Member, passkeys, codes and sessions, in one commit. False when there is none at this program."""

    def add_passkey(self, passkey: Passkey, now: datetime) -> bool:
        """False when this very passkey is registered already."""

    def passkey(self, credential_id: bytes) -> Passkey | None: ...
    def passkeys(self, member_id: str) -> list[Passkey]: ...
    def note_use(self, credential_id: bytes, sign_count: int) -> None: ...
    def drop_passkey(self, member_id: str, number: int, *, keep: int) -> bool:
        """False when there is none of this number, or fewer than ``keep`` would be left."""

    def set_recovery_codes(self, member_id: str, codes: Sequence[str], now: datetime) -> None:
        """In place of all that were there."""

    def take_recovery_code(self, code: str) -> Member | None:
        """Whose it was; it is used up."""


@dataclass(frozen=True)
class KeptSession:
    """One browser's session as it is now. ``member_id`` is None until somebody signed in."""

    cookie: str = field(repr=False)
    data: Mapping[str, Any] = field(repr=False)
    member_id: str | None = None
    is_shared: bool = False
    last_seen_at: int = 0


class Sessions(Protocol):
    """Browser sessions, sealed; times are Unix seconds."""

    def read(self, cookie: str, now: int) -> KeptSession | None: ...
    def write(self, session: KeptSession, *, expires_at: int | None, now: int) -> None:
        """A new row with ``expires_at``, else the data of the one that is there."""

    def touch(self, cookie: str, now: int) -> None: ...
    def end(self, cookie: str) -> None: ...
    def sweep(self, now: int) -> None: ...


class PasskeyError(Exception):
    """A passkey's answer does not hold; nobody is told why."""


class Passkeys(Protocol):
    """The two ceremonies of WebAuthn. ``answer`` is the browser's JSON text; options are JSON text for the browser."""

    def options_to_register(self, member_id: str, known: Sequence[Passkey]) -> tuple[str, bytes]:
        """Options and their challenge."""

    def registered(self, answer: str, challenge: bytes, member_id: str) -> Passkey:
        """Raises ``PasskeyError``."""

    def options_to_sign_in(self) -> tuple[str, bytes]: ...
    def credential_id_of(self, answer: str) -> bytes:
        """Raises ``PasskeyError``."""

    def signed_in(self, answer: str, challenge: bytes, passkey: Passkey) -> int:
        """The passkey's new count. Raises ``PasskeyError``."""


class Route(StrEnum):
    """How a program's staff are told."""

    NONE = "none"
    EMAIL = "email"
    PHONE = "phone"


class RouteTest(StrEnum):
    """How far the test of the route got."""

    NONE = "none"
    WAITING = "waiting"
    SENT = "sent"
    OPENED = "opened"


@dataclass(frozen=True)
class AlertRoute:
    """``address`` only for ``EMAIL``."""

    route: Route = Route.NONE
    test: RouteTest = RouteTest.NONE
    address: str = field(default="", repr=False)


class AlertRoutes(Protocol):
    """How each program's staff are told that something waits."""

    def of(self, partner_id: str) -> AlertRoute: ...
    def choose(self, partner_id: str, route: AlertRoute) -> None:
        """A new route is untested; until its test item was opened the program takes nothing by its inbox."""

    def test_opened(self, partner_id: str) -> bool:
        """A person opened the test item: from now on the program takes items by its inbox. False: none waits."""


@dataclass(frozen=True)
class DueAlert:
    """One alert to send now. ``attempts``: this one included; ``lease`` is the due time it was claimed with."""

    partner_id: str
    address: str = field(repr=False)
    attempts: int
    lease: float


class DueAlerts(Protocol):
    """The worker's side of the alerts."""

    def claim(self, *, lease_seconds: int) -> list[DueAlert]: ...
    def sent(self, alert: DueAlert) -> None: ...
    def retry(self, alert: DueAlert, *, delay_seconds: float) -> None: ...


class ProgramFacts(Protocol):
    """What a program says about itself, about nobody in it."""

    def set_full(self, partner_id: str, on: date | None) -> None: ...
    def set_answering(self, partner_id: str, is_answering: bool) -> None: ...

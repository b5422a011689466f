"""Who may open which page of the inbox. A person of a program is signed in by a passkey; the program's agreement counts
at each request (R19), and so does whether this person is still one of its people.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import cast
from zoneinfo import ZoneInfo

from flask import current_app, g

from smart_app import guards
from smart_app.errors import LockedError, NothingToShowError
from smart_app.inbox_ports import Accounts, AlertRoutes, Member, Passkeys, ProgramFacts
from smart_app.pages.advocate.session import browser_session
from smart_app.policy.access import Purpose, Requester, Role
from smart_app.ports import Partner

EXTENSION = "warm_referral_inbox"
ONLY_PASSKEYS = "only_passkeys"  # a session that a recovery code opened: for registering a passkey, and nothing else


@dataclass(frozen=True)
class Inbox:
    """What stands behind the inbox beside the app's own ``Services``."""

    accounts: Accounts
    passkeys: Passkeys
    routes: AlertRoutes
    facts: ProgramFacts
    has_mail: bool
    audit: Callable[[str, Member], None]


def inbox() -> Inbox:
    """The ports of this app."""
    return cast(Inbox, current_app.extensions[EXTENSION])


def require_person() -> None:
    """Signed in, or about to be: somebody who registers passkeys."""
    member_id = browser_session().member_id
    found = inbox().accounts.member(member_id) if member_id else None
    if found is None:
        raise NothingToShowError(rule="R19")
    g.member = found


def require_advocate() -> None:
    """A person of a program, signed in with a passkey, while the program's agreement is in force."""
    require_person()
    if not member().is_ready or ONLY_PASSKEYS in browser_session():
        raise NothingToShowError(rule="R19")
    services = guards.services()
    partner = services.directory.partner(member().partner_id)
    if partner is None or not services.mou_gate.is_current(partner, services.now()):
        raise LockedError("The agreement with the clinic is not in force today. Call the clinic.", rule="R19")
    g.partner = partner
    g.requester = Requester(
        Role.ADVOCATE, f"Organization/{partner.partner_id}", Purpose.COC, member_id=member().member_id
    )


def require_admin() -> None:
    """The program's own admin."""
    require_advocate()
    if not member().is_admin:
        raise NothingToShowError(rule="R19")


def member() -> Member:
    """Who is signed in."""
    return cast(Member, g.member)


def partner() -> Partner:
    """Their program."""
    return cast(Partner, g.partner)


def today() -> date:
    """The day of the clinic's calendar."""
    services = guards.services()
    return services.now().astimezone(ZoneInfo(services.site.time_zone)).date()

"""Puts the inbox for programs together: a web server of its own, with none of the clinic's pages, and no EHR behind it.

It shares the vault's database and key with the app; what a program may see is decided by the same door.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from flask import Flask

from smart_app import guards, surface
from smart_app.delivery.staff_alert import StaffAlert
from smart_app.foundation import Foundation, lay_foundation, now
from smart_app.gateways.engine import empty_wal
from smart_app.gateways.inbox_accounts import SqlAccounts
from smart_app.gateways.inbox_alerts import SqlAlertRoutes
from smart_app.gateways.inbox_sessions import SqlSessions
from smart_app.gateways.mail import SmtpMail
from smart_app.gateways.passkeys import WebAuthnPasskeys
from smart_app.inbox_ports import Member
from smart_app.pages import advocate
from smart_app.policy.placement import PlacementSettings
from smart_app.ports import Services
from smart_app.settings import Settings
from smart_app.workflows import program_accounts

if TYPE_CHECKING:
    from smart_app.settings.model import InboxSettings

ALERT_FAILS = "inbox-alert-not-taken"


@dataclass(frozen=True)
class AccountEvent:
    """Something that happened to an account, for the audit: an event code and opaque ids (``door.LaunchEvent``)."""

    name: str
    user_reference: str | None
    client_id: str | None
    reason: str = ""
    tenant: str | None = None
    launch_id: str | None = None
    registration_id: str | None = None
    scopes: frozenset[str] = frozenset()
    jti_hash: str | None = None
    address: str | None = None


def create_inbox(settings: Settings) -> Flask:
    """The web app. Raises ``ValueError`` without ``[inbox]`` in the settings. The R4 models and profiles are loaded by
    the first form that stores something, not at the start: most of what a program does here is to read."""
    place = _place(settings)
    base = lay_foundation(settings)
    app = Flask(__name__)
    surface.take_forms(app, key=base.cipher.digest(b"inbox-form-tokens"), most_bytes=200_000)
    services = Services(
        product_name=settings.product_name,
        public_base_url=place.public_base_url,
        site=base.site,
        door=base.door,
        ehr=cast("Any", None),  # no page of this surface has a chart behind it
        directory=base.directory,
        mou_gate=base.mou_gate,
        alerts=base.alerts,
        placement=PlacementSettings({}),
        now=now,
    )
    guards.install(app, services=services, settings=settings, partner_tokens=cast("Any", None))
    sessions = SqlSessions(base.engine, base.cipher)
    advocate.register(app, _ports(base, settings, place), sessions)

    def sweep() -> None:
        sessions.sweep(int(time.time()))
        empty_wal(base.engine)

    surface.finish(app, settings, policy=lambda: surface.content_security_policy(()), sweep=sweep)
    return app


def create_served_inbox(settings: Settings) -> Flask:
    """As ``serve --surface advocate`` runs it: sessions that were left alone are emptied by a thread of its own."""
    return surface.swept(create_inbox(settings))


def create_staff_alert(settings: Settings) -> StaffAlert:
    """What ``work`` runs beside the delivery where there is a mail server. Raises ``ValueError`` without ``[mail]``."""
    if settings.mail is None:
        raise ValueError("no [mail] in the settings")
    base, mail = lay_foundation(settings), settings.mail
    password = mail.password.get_secret_value() if mail.password is not None else None
    server = SmtpMail(mail.host, mail.port, mail.security, mail.sender, mail.user, password)
    return StaffAlert(
        SqlAlertRoutes(base.engine, base.cipher),
        lambda address: server.send(address, now()),
        tell_clinic=lambda: base.alerts.raise_once(ALERT_FAILS),
    )


def invite_admin(settings: Settings, partner_id: str, name: str) -> tuple[str, str] | None:
    """Address and code for an admin of this program; None for a program that is not there."""
    place, base = _place(settings), lay_foundation(settings)
    if base.directory.partner(partner_id) is None:
        return None
    accounts = SqlAccounts(base.engine, base.cipher)
    made = program_accounts.invite(accounts, partner_id, name, is_admin=True, now=now())
    _audit(base, "inbox-admin-invited", Member("", partner_id, ""))
    return program_accounts.address_of(made, place.public_base_url), made.code


def _ports(base: Foundation, settings: Settings, place: InboxSettings) -> advocate.Inbox:
    routes = SqlAlertRoutes(base.engine, base.cipher)
    return advocate.Inbox(
        accounts=SqlAccounts(base.engine, base.cipher),
        passkeys=WebAuthnPasskeys(
            host=str(urlsplit(place.public_base_url).hostname),
            origin=place.public_base_url,
            product_name=settings.product_name,
        ),
        routes=routes,
        facts=routes,
        has_mail=settings.mail is not None,
        audit=lambda name, member: _audit(base, name, member),
    )


def _audit(base: Foundation, name: str, member: Member) -> None:
    who = f"Member/{member.member_id}" if member.member_id else None
    base.door.audit_launch_event(AccountEvent(name, who, member.partner_id), now())


def _place(settings: Settings) -> InboxSettings:
    if settings.inbox is None:
        raise ValueError("no [inbox] in the settings")
    return settings.inbox

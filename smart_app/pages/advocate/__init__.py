"""The inbox for programs without a FHIR system: a surface of its own, with none of the clinic's pages on it."""

from __future__ import annotations

from flask import Flask

from smart_app.inbox_ports import Sessions
from smart_app.pages.advocate.guard import EXTENSION, Inbox
from smart_app.pages.advocate.session import InboxSessions

__all__ = ["Inbox", "register"]


def register(app: Flask, ports: Inbox, sessions: Sessions) -> None:
    """Put every page of the inbox on ``app``; call after ``guards.install``."""
    from smart_app.pages.advocate import desk, frame, items, passkeys, sign_in, team, visit

    app.extensions[EXTENSION] = ports
    app.session_interface = InboxSessions(sessions)
    frame.install(app)
    for page in (sign_in, passkeys, items, visit, desk, team):
        app.register_blueprint(page.blueprint)

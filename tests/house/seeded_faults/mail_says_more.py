"""The mail to a program's staff names what it is about."""

from __future__ import annotations

from typing import Any

from smart_app.gateways import mail

CHECK = "leaving: constant mails"


def seed(monkeypatch: Any, bench: Any) -> None:
    monkeypatch.setattr(mail, "SUBJECT", "A new referral for Harbor Program")

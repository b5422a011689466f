"""The same referral again is a second one."""

from __future__ import annotations

from typing import Any

from smart_app.gateways.unit_of_work import Unit

CHECK = "leak paths: duplicates and references"


def seed(monkeypatch: Any, bench: Any) -> None:
    monkeypatch.setattr(Unit, "claim_receipt", lambda *args: None)

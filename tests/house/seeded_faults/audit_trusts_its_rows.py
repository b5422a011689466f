"""The audit is not checked against its chain."""

from __future__ import annotations

from typing import Any

from smart_app.gateways import audit_log

CHECK = "audit: a change is found"


def seed(monkeypatch: Any, bench: Any) -> None:
    monkeypatch.setattr(audit_log, "_problem", lambda *args: None)

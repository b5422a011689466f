"""Nothing is written to the audit."""

from __future__ import annotations

from typing import Any

from smart_app.gateways.audit_log import AuditLog

CHECK = "audit: every look"


def seed(monkeypatch: Any, bench: Any) -> None:
    monkeypatch.setattr(AuditLog, "append", lambda *args: None)

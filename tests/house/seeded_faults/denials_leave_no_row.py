"""A denial leaves no row in the audit."""

from __future__ import annotations

from typing import Any

from smart_app.gateways.unit_of_work import Unit

CHECK = "audit: every look"


def seed(monkeypatch: Any, bench: Any) -> None:
    monkeypatch.setattr(Unit, "_note_denial", lambda unit, action, reference, verdict: "absent")

"""The decision table lets a program read what no release gave it."""

from __future__ import annotations

from typing import Any

from smart_app.policy import access
from smart_app.policy.access import Result, Role

CHECK = "two worlds: Northside's system"


def seed(monkeypatch: Any, bench: Any) -> None:
    def released(ask: Any) -> Result | None:
        return Result.PERMIT if ask.role is Role.ADVOCATE else None

    rows = tuple((name, released if name == "D9" else row) for name, row in access._ROWS)
    monkeypatch.setattr(access, "_ROWS", rows)

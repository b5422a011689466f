"""The scheduler is shown the whole item in place of what a visit needs."""

from __future__ import annotations

from typing import Any

from smart_app.policy import access
from smart_app.policy.access import Result, Role

CHECK = "leaving: least for the desk"


def seed(monkeypatch: Any, bench: Any) -> None:
    def scheduler(ask: Any) -> Result | None:
        return Result.PERMIT if ask.role is Role.SCHEDULER else None

    rows = tuple((name, scheduler if name == "D6s" else row) for name, row in access._ROWS)
    monkeypatch.setattr(access, "_ROWS", rows)

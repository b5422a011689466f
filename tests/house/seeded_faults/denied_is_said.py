"""Denied and absent get different answers."""

from __future__ import annotations

from typing import Any

from smart_app.errors import RefusedError
from smart_app.gateways.unit_of_work import Unit

CHECK = "two worlds: Northside's system"


def seed(monkeypatch: Any, bench: Any) -> None:
    deny = Unit._deny

    def say(unit: Any, action: str, reference: str, verdict: Any) -> None:
        if verdict is not None:
            raise RefusedError
        deny(unit, action, reference, verdict)

    monkeypatch.setattr(Unit, "_deny", say)

"""A suspended agreement counts as a current one."""

from __future__ import annotations

from typing import Any

from smart_app.gateways.directory import DatedMouGate

CHECK = "leaving: only with an agreement"


def seed(monkeypatch: Any, bench: Any) -> None:
    for name in ("is_open", "is_current"):
        monkeypatch.setattr(DatedMouGate, name, lambda *args: True)

"""What leaves is not announced before."""

from __future__ import annotations

from typing import Any

from smart_app.gateways.door import VaultDoor

CHECK = "audit: every crossing"


def seed(monkeypatch: Any, bench: Any) -> None:
    monkeypatch.setattr(VaultDoor, "_append_intended", lambda *args: None)

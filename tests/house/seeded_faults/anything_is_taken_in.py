"""What is not on the allow-list is taken in too."""

from __future__ import annotations

from typing import Any

from smart_app.workflows import inbound

CHECK = "coming in: only the allow-list"


def seed(monkeypatch: Any, bench: Any) -> None:
    monkeypatch.setattr(inbound, "validate", lambda *args: [])

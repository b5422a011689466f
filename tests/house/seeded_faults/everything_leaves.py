"""The allow-list is not applied before a send."""

from __future__ import annotations

from typing import Any

from smart_app.policy import minimum_necessary

CHECK = "leaving: only the allow-list"


def seed(monkeypatch: Any, bench: Any) -> None:
    monkeypatch.setattr(minimum_necessary, "trimmed", dict)

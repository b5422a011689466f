"""A program's token opens more than its scope."""

from __future__ import annotations

from typing import Any

from launch.resource_server import PartnerTokens

CHECK = "routes: by token"


def seed(monkeypatch: Any, bench: Any) -> None:
    monkeypatch.setattr(PartnerTokens, "require_scope", staticmethod(lambda token, needed: None))

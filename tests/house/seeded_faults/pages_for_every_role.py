"""Pages do not look at the role."""

from __future__ import annotations

from typing import Any

from smart_app import guards

CHECK = "routes: by role"


def seed(monkeypatch: Any, bench: Any) -> None:
    monkeypatch.setattr(guards, "_require_role", lambda allowed: guards._enter())

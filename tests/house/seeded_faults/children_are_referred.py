"""Record and send are on in a child's chart."""

from __future__ import annotations

from typing import Any

from smart_app.policy import minors

CHECK = "leaving: nothing for minors"


def seed(monkeypatch: Any, bench: Any) -> None:
    monkeypatch.setattr(minors, "is_locked", lambda birth_date, today: False)

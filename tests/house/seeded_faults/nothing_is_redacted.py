"""Who may see a part is shown the whole."""

from __future__ import annotations

from typing import Any

from smart_app.policy import redaction

CHECK = "leaving: least for the desk"


def seed(monkeypatch: Any, bench: Any) -> None:
    monkeypatch.setattr(redaction, "redact", lambda payload, rule: payload)

"""A list shows what the table denies."""

from __future__ import annotations

from typing import Any

from smart_app.gateways.judge import Verdict

CHECK = "two worlds: nurse-ortiz, from the patient's chart, no visit"


def seed(monkeypatch: Any, bench: Any) -> None:
    monkeypatch.setattr(Verdict, "is_shown", property(lambda verdict: True))

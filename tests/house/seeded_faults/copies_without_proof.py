"""A copy goes to an EHR whose proof ran out."""

from __future__ import annotations

from typing import Any

from smart_app.policy import placement

CHECK = "leaving: no copy without a proof"


def seed(monkeypatch: Any, bench: Any) -> None:
    monkeypatch.setattr(placement, "_proof_problem", lambda *args: None)

"""A program is told day and time without the survivor's release."""

from __future__ import annotations

from typing import Any

from smart_app.policy import task_view
from smart_app.policy.task_states import Tier

CHECK = "coming in: told only under a release"


def seed(monkeypatch: Any, bench: Any) -> None:
    monkeypatch.setattr(task_view, "tier_of", lambda *args, **more: Tier.OUTCOME)

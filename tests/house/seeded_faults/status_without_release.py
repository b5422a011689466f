"""A program's word is stored without the survivor's release."""

from __future__ import annotations

from typing import Any

from smart_app.gateways.judge import Judge
from smart_app.policy.task_states import Tier
from smart_app.workflows import status_update

CHECK = "coming in: back only under a release"


def seed(monkeypatch: Any, bench: Any) -> None:
    monkeypatch.setattr(status_update, "_tier", lambda work, stored: Tier.OUTCOME)
    monkeypatch.setattr(Judge, "may_amend", lambda judge, verdict: True)

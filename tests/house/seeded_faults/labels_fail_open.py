"""A row with no or an unknown label counts as well labelled."""

from __future__ import annotations

from typing import Any

from smart_app.policy import access

CHECK = "coming in: too low is hidden"


def seed(monkeypatch: Any, bench: Any) -> None:
    monkeypatch.setattr(access, "effective", lambda labels: access.LabelClass.V_SDV)

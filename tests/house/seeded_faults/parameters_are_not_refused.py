"""A parameter that is not offered is overlooked in place of refused."""

from __future__ import annotations

from typing import Any

from smart_app.policy import task_search

CHECK = "leak paths: includes and chains"


def seed(monkeypatch: Any, bench: Any) -> None:
    monkeypatch.setattr(task_search, "read", lambda given: task_search.TaskQuery())

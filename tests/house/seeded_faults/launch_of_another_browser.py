"""A launch id opens its pages for any browser."""

from __future__ import annotations

from typing import Any

from launch.store import LaunchStore

CHECK = "routes: by cookie"


def seed(monkeypatch: Any, bench: Any) -> None:
    launch = LaunchStore.launch

    def of_anybody(store: Any, launch_id: str, **more: Any) -> Any:
        return launch(store, launch_id, **{**more, "session_id": None})

    monkeypatch.setattr(LaunchStore, "launch", of_anybody)

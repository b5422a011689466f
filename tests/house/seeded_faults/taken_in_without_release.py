"""A referral is taken in without a release."""

from __future__ import annotations

from typing import Any

from smart_app.workflows import inbound

CHECK = "coming in: only under a release"


def seed(monkeypatch: Any, bench: Any) -> None:
    monkeypatch.setattr(inbound, "problems", lambda *args: [])

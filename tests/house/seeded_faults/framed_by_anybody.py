"""Any page of the web may frame ours."""

from __future__ import annotations

from typing import Any

from smart_app import surface

CHECK = "headers: framing"


def seed(monkeypatch: Any, bench: Any) -> None:
    policy = surface.content_security_policy
    monkeypatch.setattr(surface, "content_security_policy", lambda *a: policy(*a).partition("; frame-ancestors")[0])

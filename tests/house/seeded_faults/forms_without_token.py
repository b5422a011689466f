"""A form is taken without the token of its session."""

from __future__ import annotations

from typing import Any

from flask_wtf.csrf import CSRFProtect

CHECK = "headers: form tokens"


def seed(monkeypatch: Any, bench: Any) -> None:
    monkeypatch.setattr(CSRFProtect, "protect", lambda protect: None)

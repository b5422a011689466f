"""Record and send do not wait for the privacy question."""

from __future__ import annotations

from typing import Any

from smart_app import privacy_question

CHECK = "leaving: not before the question"


def seed(monkeypatch: Any, bench: Any) -> None:
    monkeypatch.setattr(privacy_question, "is_attested", lambda: True)

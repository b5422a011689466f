"""Another patient's visit counts as this one's."""

from __future__ import annotations

from typing import Any

from smart_app.gateways.ehr import EhrGateway

CHECK = "leaving: only this patient's visit"


def seed(monkeypatch: Any, bench: Any) -> None:
    monkeypatch.setattr(EhrGateway, "_is_open", lambda *args: True)

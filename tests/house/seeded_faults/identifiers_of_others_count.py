"""An identifier that another program used counts as a duplicate."""

from __future__ import annotations

from typing import Any

from smart_app.gateways.unit_of_work import Unit

CHECK = "leak paths: duplicates and references"


def seed(monkeypatch: Any, bench: Any) -> None:
    claim = Unit.claim_receipt
    monkeypatch.setattr(Unit, "claim_receipt", lambda unit, client_id, *rest: claim(unit, "harbor-system", *rest))

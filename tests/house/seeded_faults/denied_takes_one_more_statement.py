"""A denied item is looked for once more: whoever counts statements, or times them, learns that it is there."""

from __future__ import annotations

from typing import Any

from sqlalchemy import text

from smart_app.gateways.unit_of_work import Unit

CHECK = "leak paths: versions and conditions"


def seed(monkeypatch: Any, bench: Any) -> None:
    note_denial = Unit._note_denial

    def look_again(unit: Any, action: str, reference: str, verdict: Any) -> str:
        if verdict is not None:
            unit.journal._connection.execute(text("SELECT 1"))
        return note_denial(unit, action, reference, verdict)

    monkeypatch.setattr(Unit, "_note_denial", look_again)

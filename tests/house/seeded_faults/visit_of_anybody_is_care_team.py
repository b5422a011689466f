"""Whoever is in a chart counts as its care team, with or without a visit there."""

from __future__ import annotations

from typing import Any

from smart_app import guards

CHECK = "two worlds: ma-brooks, from the patient's chart, no visit"


def seed(monkeypatch: Any, bench: Any) -> None:
    as_requester = guards._as_requester

    def with_a_visit(context: Any) -> Any:
        from dataclasses import replace

        return replace(as_requester(context), encounter_id="e-1", is_treating=True, care_team_source="treating-role")

    monkeypatch.setattr(guards, "_as_requester", with_a_visit)

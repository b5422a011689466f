"""An author sees an item from another patient's chart too."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from smart_app.gateways.judge import Judge

CHECK = "routes: by relation"


def seed(monkeypatch: Any, bench: Any) -> None:
    facts_about = Judge._facts_about

    def everywhere(judge: Any, case: Any) -> Any:
        asks = judge._requester
        own = judge._vault.author_index(asks.registration_id, asks.user_reference)
        return replace(facts_about(judge, case), is_author=case.author_index == own)

    monkeypatch.setattr(Judge, "_facts_about", everywhere)

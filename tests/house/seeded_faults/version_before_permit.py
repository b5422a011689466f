"""The version is compared before anybody asks who may see the item."""

from __future__ import annotations

from typing import Any

from smart_app.errors import PreconditionError
from smart_app.gateways.vault import Vault
from smart_app.workflows import status_update

CHECK = "leak paths: versions and conditions"


def seed(monkeypatch: Any, bench: Any) -> None:
    update = status_update.update_from_partner

    def compare_first(door: Any, requester: Any, task_id: str, *rest: Any) -> Any:
        with door._engine.begin() as connection:
            if Vault(connection, door._cipher).head(("Task", task_id)) is not None:
                raise PreconditionError
        return update(door, requester, task_id, *rest)

    monkeypatch.setattr(status_update, "update_from_partner", compare_first)

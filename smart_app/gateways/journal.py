"""What one transaction at the door did, as rows of the audit that is to be written before anything is opened."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from smart_app.gateways.judge import REFERENCE

Append = Callable[[Connection, Sequence[Mapping[str, Any]]], None]


class Journal:
    """The audit rows of one unit. ``is_kept`` rows are written even when the unit is undone: denials, refusals and
    reads happened, a store that was rolled back did not."""

    def __init__(self, connection: Connection, append: Append, common: Mapping[str, Any]) -> None:
        self._connection = connection
        self._append = append
        self._common = common
        self._waiting: list[Mapping[str, Any]] = []
        self.kept: list[Mapping[str, Any]] = []

    def note(self, action: str, *, is_kept: bool, **content: Any) -> None:
        """One row for one crossing of the vault."""
        row = {**self._common, "crossing": str(uuid.uuid4()), "phase": "vault", "action": action, **content}
        self._waiting.append(row)
        if is_kept:
            self.kept.append(row)

    def flush(self) -> None:
        """Into the chain now: nothing is opened before its row stands."""
        self._append(self._connection, self._waiting)
        self._waiting = []


def opaque(reference: str) -> str:
    """A caller's own text never enters the log: only what has the shape of a reference does."""
    return reference if REFERENCE.fullmatch(reference) else "unknown"

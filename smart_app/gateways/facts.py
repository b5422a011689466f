"""Counts without identifiers (R33): site, month, kind, outcome. Nothing here can be joined to a person."""

from __future__ import annotations

import re
from datetime import datetime

from sqlalchemy import Connection

from smart_app.gateways.engine import insert_or_add
from smart_app.gateways.tables import fact

WORD = re.compile(r"[a-z][a-z0-9-]{0,31}")


class UnitFacts:
    """Counts inside one transaction. Implements ``ports.Facts``."""

    def __init__(self, connection: Connection, *, tenant_id: str, site_id: str, now: datetime) -> None:
        self._connection = connection
        self._key = {"tenant_id": tenant_id, "site_id": site_id, "month": f"{now:%Y-%m}"}

    def count(self, kind: str, outcome: str) -> None:
        """Add one. ``kind`` and ``outcome`` are words of ours; anything that could be an id raises ``ValueError``."""
        for word in (kind, outcome):
            if not WORD.fullmatch(word) or sum(character.isdigit() for character in word) > 3:
                raise ValueError("a fact is counted by our own short words, never by an id")
        insert_or_add(
            self._connection, fact, {**self._key, "kind": kind, "outcome": outcome, "total": 1}, column="total"
        )

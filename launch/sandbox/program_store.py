"""What the sandbox program keeps: items received, byte for byte, referrals sent, tokens given out, assertions used."""

from __future__ import annotations

import hashlib
import sqlite3
import threading
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_SCHEMA = """
CREATE TABLE IF NOT EXISTS item (
  item_id TEXT PRIMARY KEY, bundle_identifier TEXT NOT NULL UNIQUE, task_identifier TEXT NOT NULL UNIQUE,
  task_url TEXT NOT NULL, raw BLOB NOT NULL, answer BLOB NOT NULL, received_at REAL NOT NULL,
  times_received INTEGER NOT NULL, opened_at REAL, tier TEXT NOT NULL DEFAULT 'none',
  status TEXT NOT NULL DEFAULT 'requested', business_status TEXT, said TEXT NOT NULL DEFAULT '');
CREATE TABLE IF NOT EXISTS sent (
  sent_id TEXT PRIMARY KEY, sender TEXT NOT NULL, alias TEXT NOT NULL, raw BLOB NOT NULL, http_status INTEGER NOT NULL,
  location TEXT, sent_at REAL NOT NULL, status TEXT NOT NULL DEFAULT 'received', visit_start TEXT, visit_end TEXT,
  asked_at REAL);
CREATE TABLE IF NOT EXISTS spent (jti_hash TEXT PRIMARY KEY, expires_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS token (token_hash TEXT PRIMARY KEY, scopes TEXT NOT NULL, expires_at REAL NOT NULL);
"""


class ProgramStore:
    """One SQLite file, one connection, one lock: this is a sandbox with one advocate."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._connection.row_factory = sqlite3.Row
        self._connection.executescript("PRAGMA journal_mode=WAL;" + _SCHEMA)

    def run(self, statement: str, *values: Any) -> int:
        """Execute one statement; returns the number of rows it changed."""
        with self._lock:
            return self._connection.execute(statement, values).rowcount

    def all(self, statement: str, *values: Any) -> Sequence[sqlite3.Row]:
        """All rows of a query."""
        with self._lock:
            return self._connection.execute(statement, values).fetchall()

    def one(self, statement: str, *values: Any) -> sqlite3.Row | None:
        """The first row of a query."""
        found = self.all(statement, *values)
        return found[0] if found else None

    # --- items received ---

    def receive(
        self, *, bundle_identifier: str, task_identifier: str, task_url: str, raw: bytes, answer: bytes
    ) -> tuple[bytes, bool] | None:
        """Keep a new item, or count one more arrival. The answer to give and whether it is new; None on a mix-up:
        an identifier that came before with another partner to it."""
        with self._lock:
            known = self._connection.execute(
                "SELECT * FROM item WHERE bundle_identifier=? OR task_identifier=?",
                (bundle_identifier, task_identifier),
            ).fetchall()
            if not known:
                self._connection.execute(
                    "INSERT INTO item (item_id, bundle_identifier, task_identifier, task_url, raw, answer, received_at,"
                    " times_received) VALUES (?,?,?,?,?,?,?,1)",
                    (str(uuid.uuid4()), bundle_identifier, task_identifier, task_url, raw, answer, time.time()),
                )
                return answer, True
            if len(known) > 1 or (known[0]["bundle_identifier"], known[0]["task_identifier"]) != (
                bundle_identifier,
                task_identifier,
            ):
                return None
            self._connection.execute(
                "UPDATE item SET times_received = times_received + 1 WHERE item_id=?", (known[0]["item_id"],)
            )
            return bytes(known[0]["answer"]), False

    def close(self, task_identifier: str) -> None:
        """The clinic took it back."""
        self.run("UPDATE item SET status='cancelled' WHERE task_identifier=?", task_identifier)

    def items(self) -> Sequence[sqlite3.Row]:
        """Everything received, newest first."""
        return self.all("SELECT * FROM item ORDER BY received_at DESC")

    def item(self, item_id: str) -> sqlite3.Row | None:
        """One item by its own id."""
        return self.one("SELECT * FROM item WHERE item_id=?", item_id)

    def item_of(self, task_url: str) -> sqlite3.Row | None:
        """The item that came with this Task address."""
        return self.one("SELECT * FROM item WHERE task_url=?", task_url)

    def sent(self) -> Sequence[sqlite3.Row]:
        """Every referral the clinic took from us, oldest first; ``raw`` is the bundle, byte for byte."""
        return self.all("SELECT * FROM sent ORDER BY sent_at")

    # --- our token endpoint ---

    def spend(self, client_id: str, jti: str, expires_at: float) -> bool:
        """Use an assertion up; False when it was used before."""
        self.run("DELETE FROM spent WHERE expires_at < ?", time.time())
        named = _hashed(f"{client_id} {jti}")
        return self.run("INSERT OR IGNORE INTO spent VALUES (?,?)", named, expires_at) == 1

    def keep_token(self, token: str, scopes: str, expires_at: float) -> None:
        """Remember a token we gave out."""
        self.run("DELETE FROM token WHERE expires_at < ?", time.time())
        self.run("INSERT INTO token VALUES (?,?,?)", _hashed(token), scopes, expires_at)

    def scopes_of(self, token: str) -> frozenset[str] | None:
        """Scopes of a live token, None for any other."""
        row = self.one("SELECT scopes FROM token WHERE token_hash=? AND expires_at>?", _hashed(token), time.time())
        return None if row is None else frozenset(row["scopes"].split())

    def reset(self) -> None:
        """Forget everything."""
        for table in ("item", "sent", "spent", "token"):
            self.run(f"DELETE FROM {table}")  # noqa: S608 - the names stand one line above


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

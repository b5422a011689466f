"""One SQLite file, one connection, one lock: small, and every request sees the same order of things."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SCHEMA = """
CREATE TABLE IF NOT EXISTS resource (
  base TEXT NOT NULL, type TEXT NOT NULL, id TEXT NOT NULL, version INTEGER NOT NULL,
  is_current INTEGER NOT NULL, is_deleted INTEGER NOT NULL, patient TEXT, updated_at TEXT NOT NULL, body TEXT NOT NULL,
  PRIMARY KEY (base, type, id, version));
CREATE INDEX IF NOT EXISTS resource_patient ON resource (base, type, patient, is_current);
CREATE TABLE IF NOT EXISTS launch (
  value_hash TEXT PRIMARY KEY, base TEXT NOT NULL, user TEXT NOT NULL, patient TEXT, encounter TEXT,
  expires_at REAL NOT NULL, is_used INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS code (
  code_hash TEXT PRIMARY KEY, base TEXT NOT NULL, client_id TEXT NOT NULL, redirect_uri TEXT NOT NULL,
  scope TEXT NOT NULL, code_challenge TEXT NOT NULL, nonce TEXT, user TEXT NOT NULL, patient TEXT, encounter TEXT,
  family TEXT NOT NULL, expires_at REAL NOT NULL, is_used INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS token (
  access_hash TEXT PRIMARY KEY, refresh_hash TEXT UNIQUE, base TEXT NOT NULL, client_id TEXT NOT NULL,
  kind TEXT NOT NULL, user TEXT NOT NULL, patient TEXT, encounter TEXT, scope TEXT NOT NULL, family TEXT NOT NULL,
  expires_at REAL NOT NULL, refresh_expires_at REAL NOT NULL, is_refreshed INTEGER NOT NULL DEFAULT 0,
  is_revoked INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS token_family ON token (family);
CREATE TABLE IF NOT EXISTS jti (
  client_id TEXT NOT NULL, jti TEXT NOT NULL, expires_at REAL NOT NULL, PRIMARY KEY (client_id, jti));
CREATE TABLE IF NOT EXISTS signing_key (
  base TEXT NOT NULL, kid TEXT NOT NULL, alg TEXT NOT NULL, is_current INTEGER NOT NULL, jwk TEXT NOT NULL,
  PRIMARY KEY (base, kid));
"""
FORGOTTEN_ON_RESET = ("resource", "launch", "code", "token")
"""A reset keeps ``jti`` (an assertion stays used) and the signing keys (so that clients' cached keys still work)."""


class Database:
    """Serialised access to one SQLite file; ``transaction`` commits at the end or rolls back on any error."""

    def __init__(self, path: Path | str) -> None:
        self._lock = threading.RLock()
        self._depth = 0
        self._connection = sqlite3.connect(str(path), check_same_thread=False, isolation_level=None, timeout=10)
        self._connection.row_factory = sqlite3.Row
        self._connection.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;" + SCHEMA)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside happens, or nothing; the lock is held throughout. Nested blocks join the outer one."""
        with self._lock:
            if self._depth:
                yield
                return
            self._connection.execute("BEGIN IMMEDIATE")
            self._depth = 1
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            else:
                self._connection.execute("COMMIT")
            finally:
                self._depth = 0

    def all(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        """Every row of a query."""
        with self._lock:
            return self._connection.execute(sql, values).fetchall()

    def one(self, sql: str, *values: Any) -> sqlite3.Row | None:
        """The first row of a query, or None."""
        with self._lock:
            row: sqlite3.Row | None = self._connection.execute(sql, values).fetchone()
            return row

    def run(self, sql: str, *values: Any) -> int:
        """Execute a change and return how many rows it touched; this is how single use is made atomic."""
        with self._lock:
            return self._connection.execute(sql, values).rowcount

    def forget(self) -> None:
        """Empty what a reset empties."""
        with self.transaction():
            for table in FORGOTTEN_ON_RESET:
                self.run(f"DELETE FROM {table}")  # noqa: S608 - names come from the constant above

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

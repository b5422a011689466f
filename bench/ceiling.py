"""The least that one inbound referral can cost here: what libraries alone take for its unavoidable parts.

Nothing of ours is called. Each part is the plainest way a library offers: Flask answers an empty route, hashlib and
SQLite find a token, orjson reads the body, fhir.resources (the one FHIR library here) holds it to R4, cryptography
makes and wraps a data key and seals as many values as a referral has, hmac makes the indexes and the audit's links, and
the database takes as many rows in one transaction with full sync. ``bench/inbound.py`` runs it beside the app.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import sqlite3
import threading
import time
import uuid
import zlib
from pathlib import Path
from typing import Any

import orjson
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from fhir.resources.R4B.bundle import Bundle
from flask import Flask, request

RESOURCES, AUDIT_ROWS, INDEXES = 5, 2, 8
TOKEN = "a-token-of-forty-three-characters-and-more-1"
SCHEMA = (
    "CREATE TABLE token (hash TEXT PRIMARY KEY, client TEXT NOT NULL)",
    "CREATE TABLE vault_case (id TEXT PRIMARY KEY, body BYTEA NOT NULL)",
    "CREATE TABLE vault_key (id TEXT PRIMARY KEY, body BYTEA NOT NULL)",
    "CREATE TABLE resource (id TEXT PRIMARY KEY, case_id TEXT NOT NULL, body BYTEA NOT NULL)",
    "CREATE TABLE receipt (id BYTEA PRIMARY KEY, digest BYTEA NOT NULL)",
    "CREATE TABLE audit (position INTEGER PRIMARY KEY, prev BYTEA NOT NULL, hash BYTEA NOT NULL, body BYTEA NOT NULL)",
    "CREATE TABLE fact (kind TEXT PRIMARY KEY, total INTEGER NOT NULL)",
)


class SqliteRows:
    """SQLite as the app sets it: write-ahead log, full sync, one writer."""

    def __init__(self, folder: Path) -> None:
        self._connection = sqlite3.connect(folder / "ceiling.sqlite3", isolation_level=None, check_same_thread=False)
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "secure_delete = ON", "wal_autocheckpoint = 10000"):
            self._connection.execute(f"PRAGMA {pragma}")
        for statement in SCHEMA:
            self._connection.execute(statement.replace("BYTEA", "BLOB"))

    def one(self, statement: str, values: tuple[Any, ...]) -> Any:
        return self._connection.execute(statement, values).fetchone()

    def commit(self, statements: list[tuple[str, list[tuple[Any, ...]]]]) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        for statement, rows in statements:
            self._connection.executemany(statement, rows)
        self._connection.execute("COMMIT")


class PostgresRows:
    """PostgreSQL through psycopg, synchronous commit."""

    def __init__(self, url: str) -> None:
        import psycopg

        self._connection = psycopg.connect(url)
        self._connection.execute("DROP SCHEMA IF EXISTS ceiling CASCADE")
        self._connection.execute("CREATE SCHEMA ceiling")
        self._connection.execute("SET search_path = ceiling")
        for statement in SCHEMA:
            self._connection.execute(statement)
        self._connection.commit()

    def one(self, statement: str, values: tuple[Any, ...]) -> Any:
        found = self._connection.execute(statement.replace("?", "%s"), values).fetchone()
        self._connection.commit()
        return found

    def commit(self, statements: list[tuple[str, list[tuple[Any, ...]]]]) -> None:
        with self._connection.cursor() as cursor:
            for statement, rows in statements:
                cursor.executemany(statement.replace("?", "%s"), rows)
        self._connection.commit()


class Ceiling:
    """``app`` is a Flask app of libraries alone, which takes one referral as the real one does."""

    def __init__(self, rows: SqliteRows | PostgresRows) -> None:
        self._rows = rows
        self._master, self._mac = AESGCM(AESGCM.generate_key(256)), secrets.token_bytes(32)
        self._position, self._last = 0, bytes(32)
        rows.commit([("INSERT INTO token VALUES (?, ?)", [(hashlib.sha256(TOKEN.encode()).hexdigest(), "harbor")])])
        rows.commit([("INSERT INTO fact VALUES (?, ?)", [("inbound", 0)])])
        self._lock = threading.Lock()  # one database connection for all threads of the server
        self.app = Flask("ceiling")
        self.app.post("/fhir")(self._take)

    def _take(self) -> tuple[bytes, int]:
        with self._lock:
            return self._taken()

    def _taken(self) -> tuple[bytes, int]:
        token = request.headers["Authorization"].removeprefix("Bearer ")
        found = self._rows.one("SELECT client FROM token WHERE hash = ?", (hashlib.sha256(token.encode()).hexdigest(),))
        body = request.get_data(cache=False)
        payload = orjson.loads(body)
        Bundle.model_validate(payload)
        key = AESGCM.generate_key(256)
        case_id, box = str(uuid.uuid4()), AESGCM(key)
        contents = [orjson.dumps(entry["resource"]) for entry in payload["entry"]]
        contents += [contents[-1]] * (RESOURCES - len(contents))
        indexes = [hmac.digest(self._mac, case_id.encode() + bytes([n]), "sha256") for n in range(INDEXES)]
        self._rows.commit(
            [
                (
                    "INSERT INTO receipt VALUES (?, ?)",
                    [(index, hashlib.sha256(body).digest()) for index in indexes[:2]],
                ),
                ("INSERT INTO vault_case VALUES (?, ?)", [(case_id, _sealed(box, b"{}", case_id))]),
                ("INSERT INTO vault_key VALUES (?, ?)", [(case_id, _sealed(self._master, key, case_id))]),
                (
                    "INSERT INTO resource VALUES (?, ?, ?)",
                    [(str(uuid.uuid4()), case_id, _sealed(box, one, case_id)) for one in contents],
                ),
                ("UPDATE fact SET total = total + 1 WHERE kind = ?", [("inbound",)]),
                ("INSERT INTO audit VALUES (?, ?, ?, ?)", [self._audit(str(found[0])) for _ in range(AUDIT_ROWS)]),
            ]
        )
        return b'{"resourceType":"OperationOutcome"}', 202

    def _audit(self, who: str) -> tuple[int, bytes, bytes, bytes]:
        body = _sealed(self._master, json.dumps({"who": who, "at": time.time()}).encode(), "audit")
        previous, self._position = self._last, self._position + 1
        self._last = hmac.digest(self._mac, previous + body, "sha256")
        return self._position, previous, self._last, body


def _sealed(box: AESGCM, content: bytes, place: str) -> bytes:
    nonce = secrets.token_bytes(12)
    return nonce + box.encrypt(nonce, zlib.compress(content, 1), place.encode())

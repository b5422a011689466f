"""The two databases of the vault as tests use them: a SQLite file, or a throw-away PostgreSQL server of its own."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Protocol

import psycopg
from psycopg import sql

DEBIAN_FOLDERS = "/usr/lib/postgresql"  # Debian keeps the server's programs beside the PATH


def find_program(name: str) -> str | None:
    """The newest PostgreSQL's ``name``, from PATH or from where Debian puts it."""
    found = sorted(Path(DEBIAN_FOLDERS).glob(f"*/bin/{name}"), key=lambda path: float(path.parts[-3]))
    return str(found[-1]) if found else shutil.which(name)


class PostgresServer:
    """A cluster in a temporary folder, listening on loopback only, gone afterwards.

    PostgreSQL refuses to run as root: there its programs run as the user that Debian's package made.
    """

    def __init__(self, initdb: str, postgres: str, *, is_durable: bool = False) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="postgres-"))
        account = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
        if account is not None:
            os.chown(self.folder, account.pw_uid, account.pw_gid)
        self._as_user: dict[str, Any] = (
            {} if account is None else {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        )
        data = str(self.folder / "data")
        subprocess.run(
            [initdb, "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync", "--no-instructions"],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=self.folder,
            **self._as_user,
        )
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(self.folder),
            "fsync": "on"
            if is_durable
            else "off",  # a test's power never fails; kill -9 of a worker is not the server's
            "autovacuum": "off",
            "wal_level": "minimal",
            "max_wal_senders": "0",
            "max_connections": "100",
        }
        arguments = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with (self.folder / "server.log").open("wb") as log:
            self._server = subprocess.Popen(
                [postgres, "-D", data, *arguments], stdout=log, stderr=log, cwd=self.folder, **self._as_user
            )
        self._wait()

    def url(self, name: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{name}"

    def create(self, name: str, template: str = "template1") -> str:
        """A new database, a copy of ``template``; its URL."""
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement.format(sql.Identifier(name), sql.Identifier(template)))
        return self.url(name)

    def role(self, name: str, *, of: str | None = None) -> str:
        """A role without any power, made if it is not there; with ``of`` (a database's URL) the URL to it as that role,
        which owns the database from now on."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (name,)).fetchone()
            if known is None:
                connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(name)))
            if of is not None:
                database = sql.Identifier(of.rpartition("/")[2])
                connection.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(database, sql.Identifier(name)))
        if of is not None:
            with psycopg.connect(of, autocommit=True) as connection:
                connection.execute(sql.SQL("GRANT ALL ON SCHEMA public TO {}").format(sql.Identifier(name)))
        return (of or self.url("postgres")).replace("postgres@", f"{name}@")

    def drop(self, url: str) -> None:
        name = url.rpartition("/")[2]
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def stop(self) -> None:
        self._server.send_signal(signal.SIGINT)  # SIGTERM would wait for clients, and ours may hold pools open
        self._server.wait(20)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _wait(self) -> None:
        deadline = time.monotonic() + 30
        while True:
            try:
                psycopg.connect(self.url("postgres"), connect_timeout=2).close()
                return
            except psycopg.OperationalError:
                if self._server.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError((self.folder / "server.log").read_text(errors="replace")) from None
                time.sleep(0.05)


class Database(Protocol):
    """One vault's database."""

    url: str

    def raw(self) -> bytes:
        """All bytes that somebody would hold who took a copy."""

    def run_unchecked(self, statement: str, values: dict[str, Any]) -> None:
        """Run one statement past the table's own label check, as a damaged database would hold it."""


class SqliteDatabase:
    """A database in one file."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.url = f"sqlite:///{file}"

    def raw(self) -> bytes:
        return b"".join(file.read_bytes() for file in self.file.parent.glob(f"{self.file.name}*"))

    def run_unchecked(self, statement: str, values: dict[str, Any]) -> None:
        import sqlite3

        with contextlib.closing(sqlite3.connect(self.file, timeout=15)) as connection:
            connection.execute("PRAGMA ignore_check_constraints = ON")
            connection.execute(statement, values)
            connection.commit()


class PostgresDatabase:
    """A database of the throw-away server."""

    def __init__(self, url: str) -> None:
        self.url = url

    def raw(self) -> bytes:
        """Every table in PostgreSQL's binary copy format: what a dump holds, without its hexadecimal."""
        with psycopg.connect(self.url) as connection:
            names = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
            return b"".join(self._copy(connection, name) for (name,) in names)

    def run_unchecked(self, statement: str, values: dict[str, Any]) -> None:
        translated = statement
        for name in values:
            translated = translated.replace(f":{name}", f"%({name})s")
        with psycopg.connect(self.url) as connection:
            connection.execute("ALTER TABLE vault_resource DROP CONSTRAINT IF EXISTS ck_vault_resource_labels")
            connection.execute(translated, values)

    def _copy(self, connection: psycopg.Connection[Any], name: str) -> bytes:
        statement = sql.SQL("COPY {} TO STDOUT (FORMAT binary)").format(sql.Identifier(name))
        with connection.cursor() as cursor, cursor.copy(statement) as copied:
            return b"".join(bytes(part) for part in copied)

"""Backups that erase reaches: a copy of the database without case keys, encrypted to an offline key; and one key copy.

A backup is an age file (https://age-encryption.org/v1): whoever has the private key opens it with any age tool. In it
is the database as it was, but for ``vault_key``: the wrapped key of no case is in any backup. All of these are in the
key copy, one file that is replaced at each backup and after each erase. So a restored database opens what still has
a key, and nothing that was erased since, whoever holds the backup, its private key and the master key.
"""

from __future__ import annotations

import base64
import contextlib
import os
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyrage
from sqlalchemy import URL, Connection, Engine, delete, make_url, select

from smart_app.gateways.door import VaultDoor
from smart_app.gateways.engine import SETTING, make_engine
from smart_app.gateways.key_ring import KeyRing, MasterLock, opened_file, replace_file, sealed_file
from smart_app.gateways.migrations_runner import schema_is_current
from smart_app.gateways.tables import legal_hold, partner_view, vault_case, vault_key, vault_resource

DEBIAN_FOLDERS = Path("/usr/lib/postgresql")  # Debian keeps the newest programs beside the PATH
CHUNK = 500
SQLITE_MAGIC = b"SQLite format 3\0"


class BackupError(Exception):
    """It cannot be done; the text says what to do, and names no content."""


@dataclass(frozen=True)
class Restored:
    """``erased``: cases of the backup without a key, because they were erased since; their rows are taken away."""

    cases: int
    erased: int


# -- the key copy ------------------------------------------------------------------------------------------------


def write_key_copy(engine: Engine, tenant_id: str, ring: KeyRing, file: Path) -> int:
    """Replace the key copy: the ring, and the wrapped key of each case that is there now. How many those are."""
    with ring.held():
        return write_key_copy_held(engine, tenant_id, ring, file)


def write_key_copy_held(engine: Engine, tenant_id: str, ring: KeyRing, file: Path) -> int:
    """The same for who holds the ring already."""
    columns = (vault_key.c.case_id, vault_key.c.month, vault_key.c.wrapped)
    with engine.execution_options(is_read_only=True).begin() as connection:
        rows = connection.execute(select(*columns).where(vault_key.c.tenant_id == tenant_id)).all()
    cases = {row.case_id: [row.month, base64.b64encode(bytes(row.wrapped)).decode()] for row in rows}
    replace_file(file, ring.sealed({"ring": ring.content(), "cases": cases}))
    return len(cases)


def ring_from_copy(copy: Path, lock: MasterLock, file: Path) -> None:
    """Make a lost key ring anew from the key copy; one that is there stays. Raises ``MasterKeyError``."""
    if not file.exists():
        replace_file(file, sealed_file(lock, opened_file(lock, copy)["ring"]))


# -- backup ------------------------------------------------------------------------------------------------------


def back_up(url: str, file: Path, recipient: str, tenant_id: str) -> int:
    """Write an encrypted copy of the database at ``url`` to the new ``file``; its size in bytes. On PostgreSQL the role
    of ``url`` sees the rows of ``tenant_id`` alone (``row_walls``), and so does the copy."""
    try:
        key = pyrage.x25519.Recipient.from_str(recipient)
    except pyrage.RecipientError:
        raise BackupError("backup_recipient is not a public age key.") from None
    if file.exists():
        raise BackupError(f"{file} is there already and is kept as it is.")
    with tempfile.TemporaryDirectory(prefix=".backup-", dir=file.parent) as folder:
        plain, sealed = Path(folder) / "plain", Path(folder) / "sealed"
        if _is_postgresql(url):
            _dump_postgresql(make_url(url), plain, tenant_id)
        else:
            _copy_sqlite(make_url(url), plain)
        pyrage.encrypt_file(str(plain), str(sealed), [key])
        _overwrite(plain)
        sealed.chmod(0o600)
        with sealed.open("rb") as written:
            os.fsync(written.fileno())
        sealed.rename(file)
    return file.stat().st_size


def _copy_sqlite(url: URL, plain: Path) -> None:
    """By SQLite's own online backup, while others write. Case keys are overwritten in the copy."""
    plain.touch(mode=0o600)
    with (
        contextlib.closing(sqlite3.connect(f"file:{url.database}?mode=ro", uri=True, timeout=30)) as source,
        contextlib.closing(sqlite3.connect(plain, isolation_level=None)) as target,
    ):
        source.backup(target)
        target.execute("PRAGMA journal_mode = DELETE")
        target.execute("PRAGMA secure_delete = ON")
        target.execute("DELETE FROM vault_key")
        target.execute("VACUUM")


def _dump_postgresql(url: URL, plain: Path, tenant_id: str) -> None:
    plain.touch(mode=0o600)
    _run(
        "pg_dump",
        url,
        "--enable-row-security",
        "--format=custom",
        "--compress=0",
        "--no-owner",
        "--exclude-table-data=vault_key",
        f"--file={plain}",
        PGOPTIONS=f"-c {SETTING}={tenant_id}",
    )


# -- restore -----------------------------------------------------------------------------------------------------


def restore(file: Path, identity: Path, url: str, tenant_id: str, lock: MasterLock, copy: Path) -> Restored:
    """Fill the empty database at ``url`` from a backup, give each case the key that the key copy has for it, and take
    away the rows of cases that have none. Raises ``BackupError`` and ``MasterKeyError``."""
    keys = opened_file(lock, copy)["cases"]
    with _opened(file, identity) as plain:
        is_sqlite = plain.read_bytes()[: len(SQLITE_MAGIC)] == SQLITE_MAGIC
        if is_sqlite is _is_postgresql(url):
            raise BackupError("The backup is of the other kind of database.")
        (_fill_sqlite if is_sqlite else _fill_postgresql)(make_url(url), plain)
    engine = make_engine(url, tenant_id=tenant_id)
    try:
        if not schema_is_current(url):
            raise BackupError("The backup is of another version: restore it with that version, then run migrate.")
        with engine.begin() as connection:
            return _give_keys(connection, tenant_id, keys)
    finally:
        engine.dispose()


def note_restored(door: VaultDoor, restored: Restored, now: datetime) -> None:
    """The log of the restored database says that it is one."""
    with door.inside({"who": "system-restore"}, now) as (_, _, note):
        note(action="restore", cases=restored.cases, erased=restored.erased, rule="R35")


def _give_keys(connection: Connection, tenant_id: str, keys: dict[str, list[str]]) -> Restored:
    statement = select(vault_case.c.case_id).where(vault_case.c.tenant_id == tenant_id)
    found = list(connection.execute(statement).scalars())
    rows = [
        {"tenant_id": tenant_id, "case_id": one, "month": keys[one][0], "wrapped": base64.b64decode(keys[one][1])}
        for one in found
        if one in keys
    ]
    if rows:
        connection.execute(vault_key.insert(), rows)
    erased = [one for one in found if one not in keys]
    for start in range(0, len(erased), CHUNK):
        for table in (legal_hold, partner_view, vault_resource, vault_case):
            some = table.c.case_id.in_(erased[start : start + CHUNK])
            connection.execute(delete(table).where(table.c.tenant_id == tenant_id, some))
    return Restored(len(rows), len(erased))


@contextlib.contextmanager
def _opened(file: Path, identity: Path) -> Iterator[Path]:
    """The backup decrypted, in a folder that only we can read, overwritten and gone afterwards."""
    with tempfile.TemporaryDirectory(prefix=".restore-", dir=file.parent) as folder:
        plain = Path(folder) / "plain"
        plain.touch(mode=0o600)
        try:
            lines = identity.read_text(encoding="ascii").splitlines()
            keys = [pyrage.x25519.Identity.from_str(line) for line in lines if line and not line.startswith("#")]
            pyrage.decrypt_file(str(file), str(plain), keys)
        except (OSError, UnicodeDecodeError, pyrage.IdentityError):
            raise BackupError("The backup, or the file with its private age key, cannot be read.") from None
        except pyrage.DecryptError:
            raise BackupError("The backup was encrypted to another key, or was altered.") from None
        yield plain
        _overwrite(plain)


def _fill_sqlite(url: URL, plain: Path) -> None:
    target = Path(str(url.database))
    if target.exists() and target.stat().st_size:
        raise BackupError(f"{target} is there already: move it away first, or name another database with --into.")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.touch(mode=0o600)
    shutil.copyfile(plain, target)


def _fill_postgresql(url: URL, plain: Path) -> None:
    engine = make_engine(url.render_as_string(hide_password=False))
    with engine.begin() as connection:
        public = "SELECT count(*) FROM pg_catalog.pg_tables WHERE schemaname = 'public'"
        count = connection.exec_driver_sql(public).scalar_one()
    engine.dispose()
    if count:
        raise BackupError("The database is not empty: make a new one, or name another with --into.")
    _run("pg_restore", url, "--no-owner", "--single-transaction", "--exit-on-error", str(plain))


def _run(program: str, url: URL, *arguments: str, **more: str) -> None:
    """One of PostgreSQL's own programs, ``more`` in its environment. A password never stands in its arguments: others
    can read those."""
    environment = {**os.environ, **more}
    if url.password is not None:
        environment["PGPASSWORD"] = str(url.password)
    plain = url.set(drivername="postgresql", password=None).render_as_string()
    command = [_program(program), "--no-password", f"--dbname={plain}", *arguments]
    done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False)  # noqa: S603
    if done.returncode:
        raise BackupError(f"{program} failed; its version must not be older than the server's.")


def _program(name: str) -> str:
    beside = sorted(DEBIAN_FOLDERS.glob(f"*/bin/{name}"), key=lambda path: float(path.parts[-3]))
    found = str(beside[-1]) if beside else shutil.which(name)
    if found is None:
        raise BackupError(f"{name} is missing: apt-get install postgresql-client")
    return found


def _is_postgresql(url: str) -> bool:
    return make_url(url).get_backend_name() == "postgresql"


def _overwrite(file: Path) -> None:
    """So that the plain copy does not lie on the disk, as far as the disk lets us."""
    with file.open("r+b") as written:
        left = file.stat().st_size
        while left:
            left -= written.write(bytes(min(left, 1 << 20)))
        os.fsync(written.fileno())

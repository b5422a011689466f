"""The key ring: one small file outside the database, sealed by the master key. Its keys wrap the data keys of cases.

Why a file of its own: a case's wrapped key lies in the database, so every older copy of the database has it too.
Deleting it there erases nothing while whoever has the copy also has the key that wraps it. So that key lives here, is
replaced after each erase (``rewrap``), and the old one is gone: an older copy of the database opens nothing any more.
Our own backups leave wrapped keys out and take them from the key copy, which is written anew each time (``backup``).

The ring also keeps the keys that must last (audit chain, search digests), so that the master key can be replaced. The
master key only ever seals this file: ``wrap`` and ``unwrap`` are all that a key service has to offer.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Engine, inspect, select

from smart_app.gateways.cipher import (
    KEY_BYTES,
    KEY_ID_BYTES,
    Keys,
    MasterKey,
    MasterKeyError,
    SealError,
    SealingKey,
    wrapping_id,
)
from smart_app.gateways.tables import audit_row, vault_key

PLUGINS = "warm_referral.master_key"  # group of entry points
LASTING = ("state", "audit", "chain|{tenant}", "index|{tenant}", "digest|{tenant}")
Content = dict[str, Any]


class MasterLock(Protocol):
    """What a master key does, wherever it lives. Short secrets go in and come out; nothing else of ours does."""

    def wrap(self, secret: bytes) -> bytes:
        """Seal 32 bytes."""

    def unwrap(self, wrapped: bytes) -> bytes:
        """Open them again, also after the service changed its own key."""


class LocalLock:
    """A master key from a file or the environment. ``load`` is asked each time, so that a file may be replaced."""

    def __init__(self, load: Callable[[], list[MasterKey]]) -> None:
        """``load`` gives the key, and behind it one that is about to take its place, if there is one."""
        self._load = load

    def wrap(self, secret: bytes) -> bytes:
        """Seal under the key that is in force."""
        return _ring_key(self._load()[0]).seal(secret, "key-ring")

    def unwrap(self, wrapped: bytes) -> bytes:
        """Open with whichever of the keys sealed it. Raises ``SealError``."""
        for key in self._load():
            with contextlib.suppress(SealError):
                return _ring_key(key).open(wrapped, "key-ring")
        raise SealError("sealed by another master key")


def plugged_in(name: str) -> MasterLock:
    """The key service that an installed package offers under ``name``: a module or object with ``wrap`` and ``unwrap``.
    Raises ``MasterKeyError``."""
    found = [one for one in metadata.entry_points(group=PLUGINS) if one.name == name]
    if not found:
        raise MasterKeyError(f"No installed package offers the key service that master_key_plugin names ({PLUGINS}).")
    lock: MasterLock = found[0].load()
    if not all(callable(getattr(lock, function, None)) for function in ("wrap", "unwrap")):
        raise MasterKeyError("The key service that master_key_plugin names lacks wrap or unwrap.")
    return lock


class KeyRing:
    """Implements ``cipher.Keys`` from the file, and looks again when somebody replaced it."""

    def __init__(self, file: Path, lock: MasterLock) -> None:
        self.file = file
        self._lock = lock
        self._seen: tuple[int, ...] = ()
        self._content: Content = {}
        self._wraps: list[SealingKey] = []
        self._read()

    @property
    def key_id(self) -> bytes:
        """Stays the same for the life of the data: it stands in whatever the lasting keys sealed."""
        return _bytes(self._content["key_id"])

    def derive(self, use: str) -> bytes:
        """One of the lasting keys."""
        return _bytes(self._content["lasting"][use])

    def wrapping(self) -> SealingKey:
        """The newest wrapping key, also when another process made it a moment ago."""
        self._look_again()
        return self._wraps[-1]

    def unwrapping(self, key_id: bytes) -> SealingKey:
        """The wrapping key with this id. Raises ``SealError`` for one that is gone."""
        for _ in range(2):
            for key in self._wraps:
                if key.key_id == key_id:
                    return key
            self._look_again()
        raise SealError("the key that wrapped this is gone")

    @property
    def wrap_ids(self) -> list[bytes]:
        """Ids of all wrapping keys, the newest last. More than one: a rotation is under way, or was interrupted."""
        self._look_again()
        return [key.key_id for key in self._wraps]

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """One rotation at a time on this computer."""
        with (self.file.parent / f"{self.file.name}.lock").open("a") as place:
            fcntl.flock(place, fcntl.LOCK_EX)
            yield

    def add_wrap(self) -> None:
        """A new wrapping key, from now on the one in use."""
        self._read()
        self._content["wraps"].append(_new_wrap())
        self.save()

    def drop_old_wraps(self) -> None:
        """All but the newest are gone. What they wrapped is unreadable from now on."""
        self._read()
        self._content["wraps"] = self._content["wraps"][-1:]
        self.save()

    def save(self, lock: MasterLock | None = None) -> None:
        """Write the file anew, sealed by ``lock`` where the master key changes."""
        self._lock = lock or self._lock
        replace_file(self.file, sealed_file(self._lock, self._content))
        self._read()

    def content(self) -> Content:
        """All of it, for the key copy."""
        self._look_again()
        return self._content

    def sealed(self, content: Mapping[str, Any]) -> bytes:
        """Some other content, sealed as this file is."""
        return sealed_file(self._lock, content)

    def _look_again(self) -> None:
        if _stamp(self.file) != self._seen:
            self._read()

    def _read(self) -> None:
        seen = _stamp(self.file)
        self._content = opened_file(self._lock, self.file)
        self._wraps = [SealingKey(_bytes(one["id"]), _bytes(one["key"])) for one in self._content["wraps"]]
        self._seen = seen


def open_or_create(
    file: Path, lock: MasterLock, tenant_id: str, *, engine: Engine, master: MasterKey | None
) -> KeyRing:
    """The ring at ``file``. The first start on an empty database makes it; so does the first one after a version whose
    ``master`` key did all of this alone. Raises ``MasterKeyError`` where the database has a ring that is not here."""
    if not file.exists():
        used = _keys_used(engine, tenant_id)
        if used and (master is None or used != {master.key_id}):
            raise MasterKeyError(f"This database has a key ring, and it is not at {file}: put its copy in its place.")
        try:
            with contextlib.suppress(FileExistsError):  # somebody else was as fast, and what they made is the ring
                create(file, lock, tenant_id, before=master if used else None)
        except OSError:
            raise MasterKeyError(f"The key ring {file} cannot be written: its folder must be the app's own.") from None
    return KeyRing(file, lock)


def _keys_used(engine: Engine, tenant_id: str) -> set[bytes]:
    """Ids of the keys that wrapped or sealed what is in the database; none before the first migration."""
    if not inspect(engine).has_table("vault_key"):
        return set()
    wrapped = select(vault_key.c.wrapped).where(vault_key.c.tenant_id == tenant_id)
    sealed = select(audit_row.c.body).where(audit_row.c.tenant_id == tenant_id).limit(1)
    with engine.execution_options(is_read_only=True).begin() as connection:
        found = [*connection.execute(wrapped).scalars(), *connection.execute(sealed).scalars()]
    return {wrapping_id(bytes(one)) for one in found}


def create(file: Path, lock: MasterLock, tenant_id: str, *, before: MasterKey | None = None) -> None:
    """The first ring of a database. ``before``: the master key that wrapped what the database holds already; its keys
    last, and the next rotation ends its wraps. Raises ``FileExistsError``."""
    names = [name.format(tenant=tenant_id) for name in LASTING]
    lasting = {name: _text(before.derive(name) if before else secrets.token_bytes(KEY_BYTES)) for name in names}
    key_id = before.key_id if before else secrets.token_bytes(KEY_ID_BYTES)
    wraps = [_new_wrap()]
    if before is not None:
        wraps.insert(0, {"id": _text(before.key_id), "key": _text(before.derive("wrap"))})
    content = {"key_id": _text(key_id), "lasting": lasting, "wraps": wraps}
    whole = _written(file, sealed_file(lock, content))
    try:
        os.link(whole, file)  # whole or not at all, and never over another one
    finally:
        whole.unlink()


def sealed_file(lock: MasterLock, content: Mapping[str, Any]) -> bytes:
    """``content`` under a key of its own, which the master key wraps."""
    secret = AESGCM.generate_key(KEY_BYTES * 8)
    sealed = _content_key(secret).seal(json.dumps(content).encode(), "key-ring")
    return json.dumps({"format": 1, "lock": _text(lock.wrap(secret)), "content": _text(sealed)}).encode() + b"\n"


def opened_file(lock: MasterLock, file: Path) -> Content:
    """Raises ``MasterKeyError``: the text says what to do and holds nothing of the file."""
    try:
        raw = json.loads(file.read_bytes())
        secret = lock.unwrap(_bytes(raw["lock"]))
        content: Content = json.loads(_content_key(secret).open(_bytes(raw["content"]), "key-ring"))
    except (OSError, ValueError, KeyError, TypeError):
        raise MasterKeyError(f"The key ring {file} cannot be read: put its copy in its place.") from None
    except SealError:
        raise MasterKeyError(f"The key ring {file} was sealed by another master key.") from None
    return content


def replace_file(file: Path, content: bytes) -> None:
    """All or nothing, on disk before it counts. What stood in the old file is overwritten, where the disk lets us."""
    new = _written(file, content)
    old = os.open(file, os.O_RDWR) if file.exists() else None
    new.replace(file)
    folder = os.open(file.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)
    if old is not None:
        os.pwrite(old, bytes(os.fstat(old).st_size), 0)
        os.fsync(old)
        os.close(old)


def _written(file: Path, content: bytes) -> Path:
    """A new file beside ``file``, on disk, for its owner alone."""
    new = file.with_name(f"{file.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as written:
        written.write(content)
        written.flush()
        os.fsync(written.fileno())
    return new


def _ring_key(master: Keys) -> SealingKey:
    return SealingKey(master.key_id, master.derive("key-ring"))


def _content_key(secret: bytes) -> SealingKey:
    return SealingKey(sha256(secret).digest()[:KEY_ID_BYTES], secret)


def _new_wrap() -> dict[str, str]:
    return {"id": _text(secrets.token_bytes(KEY_ID_BYTES)), "key": _text(AESGCM.generate_key(KEY_BYTES * 8))}


def _stamp(file: Path) -> tuple[int, ...]:
    try:
        found = file.stat()
    except OSError:
        raise MasterKeyError(f"The key ring {file} is not there: put its copy in its place.") from None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text)

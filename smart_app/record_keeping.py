"""What becomes of records with time, put together on the foundation: what ends, what is saved, under which keys.

Apart from ``foundation``, so that a web app which only opens records carries no backup and no rotation.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from smart_app.foundation import Foundation, lay_foundation, lock_of, next_master_key, now
from smart_app.gateways.backup import (
    BackupError,
    Restored,
    back_up,
    note_restored,
    restore,
    ring_from_copy,
    write_key_copy,
    write_key_copy_held,
)
from smart_app.gateways.cipher import MasterKey, MasterKeyError, create_key_file
from smart_app.gateways.erasure import Eraser
from smart_app.gateways.key_ring import KeyRing, LocalLock, replace_file
from smart_app.gateways.rewrap import rotate
from smart_app.gateways.second_person import SecondPerson
from smart_app.settings import Settings

__all__ = ["BackupError", "MasterKeyError"]


def eraser_of(base: Foundation, settings: Settings) -> Eraser:
    """What erases on time, and what two persons decided (R35)."""
    return Eraser(
        base.engine,
        base.cipher,
        base.door,
        calendar=settings.calendar,
        organization_reference=f"Organization/{settings.tenant_id}",
        site_id=settings.site.id,
        after_erase=lambda at: renew_keys(base, settings, at),
    )


def renew_keys(base: Foundation, settings: Settings, at: datetime) -> int:
    """Wrap every case key anew, end the keys that wrapped them, write the key copy: older copies of the database open
    nothing any more. How many case keys there are."""
    _rotate(base, settings, at)
    return write_key_copy(base.engine, settings.tenant_id, base.ring, settings.key_copy)


def back_up_all(base: Foundation, settings: Settings, file: Path) -> tuple[int, int]:
    """An encrypted backup, and the key copy that belongs to all backups. Size in bytes, and how many case keys there
    are. Raises ``BackupError``."""
    size = back_up(settings.database_url, file, settings.backup_recipient or "", settings.tenant_id)
    return size, write_key_copy(base.engine, settings.tenant_id, base.ring, settings.key_copy)


def restore_all(settings: Settings, file: Path, identity: Path, url: str) -> Restored:
    """Fill the empty database at ``url``; the key ring comes from its copy where it was lost. The log of the restored
    database says that it is one. Raises ``BackupError`` and ``MasterKeyError``."""
    lock, _ = lock_of(settings)
    ring_from_copy(settings.key_copy, lock, settings.key_ring)
    restored = restore(file, identity, url, settings.tenant_id, lock, settings.key_copy)
    base = lay_foundation(settings.model_copy(update={"database_url": url}))
    note_restored(base.door, restored, now())
    base.engine.dispose()
    return restored


def renew_master_key(base: Foundation, settings: Settings, at: datetime) -> int:
    """The same under a new master key; the old one opens nothing any more. Interrupted, it is simply run again. Raises
    ``MasterKeyError`` where the key is not ours to change."""
    count = _rotate(base, settings, at)
    if settings.master_key_plugin is None:
        _replace_master_key(base.ring, settings)
    else:
        with base.ring.held():
            base.ring.save()  # a key service wraps by its newest key
    write_key_copy(base.engine, settings.tenant_id, base.ring, settings.key_copy)
    return count


def _rotate(base: Foundation, settings: Settings, at: datetime) -> int:
    tenant_id, copy = settings.tenant_id, settings.key_copy

    def copy_keys() -> None:
        write_key_copy_held(base.engine, tenant_id, base.ring, copy)

    return rotate(base.engine, base.cipher, base.ring, at, before_the_old_goes=copy_keys)


def _replace_master_key(ring: KeyRing, settings: Settings) -> None:
    file, waiting = settings.master_key_file, next_master_key(settings)
    if file is None or waiting is None:
        raise MasterKeyError("The master key comes from the environment: put it into a file, master_key_file, first.")
    with ring.held():
        if waiting.exists() and MasterKey.load(waiting) == MasterKey.load(file):
            waiting.unlink()  # the last rotation was interrupted when all was done
        if not waiting.exists():
            create_key_file(waiting)
        new = MasterKey.load(waiting)
        ring.save(LocalLock(lambda: [new]))
        replace_file(file, waiting.read_bytes())
        waiting.unlink()


def office_of(base: Foundation, settings: Settings) -> SecondPerson:
    """What no one decides alone."""
    return SecondPerson(base.engine, base.cipher, base.door, eraser_of(base, settings))

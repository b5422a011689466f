"""What the web app and the delivery worker both stand on: the vault with its key, the directory, the door."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Engine

from smart_app import logs
from smart_app.gateways import migrations_runner, row_walls
from smart_app.gateways.alerts import SqlAlerts
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
from smart_app.gateways.cipher import MasterCipher, MasterKey, MasterKeyError, create_key_file
from smart_app.gateways.directory import DatedMouGate, SqlDirectory
from smart_app.gateways.door import VaultDoor
from smart_app.gateways.engine import make_engine
from smart_app.gateways.erasure import Eraser
from smart_app.gateways.key_ring import KeyRing, LocalLock, MasterLock, open_or_create, plugged_in, replace_file
from smart_app.gateways.rewrap import rotate
from smart_app.gateways.second_person import SecondPerson
from smart_app.ports import Site
from smart_app.settings import Settings, SiteSettings

__all__ = ["BackupError", "Foundation", "MasterKeyError", "lay_foundation"]


@dataclass(frozen=True)
class Foundation:
    """What web app and worker both stand on."""

    engine: Engine
    ring: KeyRing
    cipher: MasterCipher
    directory: SqlDirectory
    mou_gate: DatedMouGate
    alerts: SqlAlerts
    door: VaultDoor
    site: Site


def now() -> datetime:
    """The clock of the app; everything else gets the time handed in."""
    return datetime.now(UTC)


def lay_foundation(settings: Settings) -> Foundation:
    """Open the vault with its key. Raises ``MasterKeyError`` when the key cannot be used."""
    logs.configure()
    engine = make_engine(settings.database_url, tenant_id=settings.tenant_id)
    ring = open_ring(settings, engine)
    cipher = MasterCipher(ring, settings.tenant_id)
    directory = SqlDirectory(engine, settings.tenant_id)
    mou_gate = DatedMouGate(directory, settings.site.time_zone)
    alerts = SqlAlerts(engine, settings.tenant_id, now)
    organization = f"Organization/{settings.tenant_id}"
    door = VaultDoor(
        engine,
        cipher,
        site_id=settings.site.id,
        organization_reference=organization,
        time_zone=settings.site.time_zone,
        confidentiality=settings.confidentiality,
    )
    return Foundation(engine, ring, cipher, directory, mou_gate, alerts, door, site_of(settings, settings.site))


def open_ring(settings: Settings, engine: Engine) -> KeyRing:
    """The key ring, opened by the master key or by the key service that holds it. Raises ``MasterKeyError``."""
    lock, keys = lock_of(settings)
    return open_or_create(
        settings.key_ring, lock, settings.tenant_id, engine=engine, master=keys()[0] if keys is not None else None
    )


def lock_of(settings: Settings) -> tuple[MasterLock, Callable[[], list[MasterKey]] | None]:
    """What seals the key ring; and where the master key is in our hands, what reads it: the key, and behind it the one
    that is about to take its place."""
    if settings.master_key_plugin is not None:
        return plugged_in(settings.master_key_plugin), None

    def keys() -> list[MasterKey]:
        file, next_file = settings.master_key_file, next_master_key(settings)
        found = [MasterKey.load(file, settings.master_key)]
        return found if next_file is None or not next_file.exists() else [*found, MasterKey.load(next_file)]

    return LocalLock(keys), keys


def next_master_key(settings: Settings) -> Path | None:
    """Where a new master key waits while it takes the old one's place."""
    file = settings.master_key_file
    return None if file is None or settings.master_key is not None else file.with_name(f"{file.name}.next")


def site_of(settings: Settings, place: SiteSettings) -> Site:
    """What pages and workflows know of one site."""
    return Site(
        place.name,
        place.phone,
        place.time_zone,
        f"Organization/{settings.tenant_id}",
        place.calendar(),
        place.places_per_day,
    )


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


def require_keys(settings: Settings) -> str | None:
    """None when the key ring opens, else one sentence with the remedy."""
    try:
        open_ring(settings, make_engine(settings.database_url, tenant_id=settings.tenant_id))
    except MasterKeyError as error:
        return str(error)
    return None


def require_current_schema(settings: Settings) -> str | None:
    """None when the schema is current, else one sentence with the remedy."""
    if migrations_runner.schema_is_current(settings.database_url):
        return None
    return "The database is at an older schema: run `warm-referral migrate`, then start again."


def require_walls(settings: Settings) -> str | None:
    """None when the database's own row security holds for the app's role, or in a demo; else the remedy (R41)."""
    if settings.mode == "demo":
        return None
    engine = make_engine(settings.database_url, tenant_id=settings.tenant_id)
    with engine.begin() as connection:
        is_above = row_walls.is_above_walls(connection)
    engine.dispose()
    if not is_above:
        return None
    return (
        "The database role of the app is a superuser or has BYPASSRLS, so row security does not hold for it. Make it a "
        "role of its own, run `warm-referral migrate --app-role NAME`, and name it in database_url."
    )

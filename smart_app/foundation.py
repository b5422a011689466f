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
from smart_app.gateways.cipher import MasterCipher, MasterKey, MasterKeyError
from smart_app.gateways.directory import DatedMouGate, SqlDirectory
from smart_app.gateways.door import VaultDoor
from smart_app.gateways.engine import make_engine
from smart_app.gateways.key_ring import KeyRing, LocalLock, MasterLock, open_or_create, plugged_in
from smart_app.ports import Site
from smart_app.settings import Settings, SiteSettings


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

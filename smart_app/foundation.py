"""What the web app and the delivery worker both stand on: the vault with its key, the directory, the door."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Engine

from smart_app import logs
from smart_app.gateways import migrations_runner
from smart_app.gateways.alerts import SqlAlerts
from smart_app.gateways.cipher import MasterCipher, MasterKey
from smart_app.gateways.directory import DatedMouGate, SqlDirectory
from smart_app.gateways.door import VaultDoor
from smart_app.gateways.engine import make_engine
from smart_app.gateways.erasure import Eraser
from smart_app.gateways.second_person import SecondPerson
from smart_app.ports import Site
from smart_app.settings import Settings, SiteSettings


@dataclass(frozen=True)
class Foundation:
    """What web app and worker both stand on."""

    engine: Engine
    master: MasterKey
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
    engine = make_engine(settings.database_url)
    master = MasterKey.load(settings.master_key_file, settings.master_key)
    cipher = MasterCipher(master, settings.tenant_id)
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
    return Foundation(engine, master, cipher, directory, mou_gate, alerts, door, site_of(settings, settings.site))


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
    )


def office_of(base: Foundation, settings: Settings) -> SecondPerson:
    """What no one decides alone."""
    return SecondPerson(base.engine, base.cipher, base.door, eraser_of(base, settings))


def require_current_schema(settings: Settings) -> str | None:
    """None when the schema is current, else one sentence with the remedy."""
    if migrations_runner.schema_is_current(settings.database_url):
        return None
    return "The database is at an older schema: run `warm-referral migrate`, then start again."

"""The composition root of the web app: settings in, an app out. It knows all; the others know ports. The delivery
worker is put together in ``worker_app``, on the same ``foundation``."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from flask import Flask, g, has_request_context, request

from fhir_profiles import r4, validation
from launch import routes as launch_routes
from launch.context import LaunchEvents
from launch.launch_watch import LaunchWatcher, LaunchWatches
from smart_app import api, guards, launch_told, pages, surface
from smart_app.foundation import Foundation, lay_foundation, now, site_of
from smart_app.gateways import audit_log, migrations_runner
from smart_app.gateways.audit_anchors import AnchorFileError as AnchorFileError
from smart_app.gateways.audit_anchors import AnchorSigner, read_file
from smart_app.gateways.audit_log import Anchor, Verification
from smart_app.gateways.audit_reader import AuditReader
from smart_app.gateways.demo_wire import HttpDemoWire
from smart_app.gateways.directory import SqlDirectory
from smart_app.gateways.ehr import EhrGateway
from smart_app.gateways.engine import empty_wal, make_engine
from smart_app.gateways.proof_watch import ProofWatch
from smart_app.launch_problems import show_launch_errors
from smart_app.pages import problems, to_the_ehr
from smart_app.policy import placement
from smart_app.policy.access import Purpose, Requester, Role
from smart_app.policy.clinic_calendar import next_open_day
from smart_app.ports import Partner, Services
from smart_app.record_keeping import office_of
from smart_app.settings import Settings
from smart_app.settings.words import remedy

THREADS = 32  # they mostly wait: for an EHR, or for the database's one writer
CONSOLE = Requester(Role.PRIVACY_OFFICER, "Device/console", Purpose.HCOMPL)
ON_SHEETS = ("public_base_url", "ehr.test_patients")  # what a registration sheet may miss beside [listing]


def create_app(
    settings: Settings, *, threads: int = THREADS, partner_calls_per_second: float = launch_routes.CALLS_PER_SECOND
) -> Flask:
    """The web app: pages for staff, the partner API, the launch. ``threads``: how many requests it serves at once."""
    base = lay_foundation(settings)
    app = Flask(__name__)
    csrf = surface.take_forms(app, key=base.cipher.digest(b"form-tokens"), most_bytes=1_000_001)
    watcher = LaunchWatcher(
        base.engine,
        base.cipher,
        settings.tenant_id,
        settings.registrations,
        test_patients=lambda registration_id: settings.ehr_for(registration_id).test_patients,
        role_of=lambda context: launch_told.role_by_settings(settings, context),
        headers=lambda: dict(request.headers),
    )
    launched = launch_routes.install(
        app,
        settings.registrations,
        engine=base.engine,
        cipher=base.cipher,
        tenant_id=settings.tenant_id,
        on_event=LaunchEvents(
            record=lambda event, transaction: base.door.audit_launch_event(event, now(), transaction),
            tell=watcher.note,
        ),
        is_partner_open=lambda client_id: _is_client_open(base, client_id),
        keys=launch_routes.load_keys(settings.registrations),
        show_form=to_the_ehr.show,
        on_sign_in=lambda session: session.setdefault("csrf_token", secrets.token_hex(20)),  # where Flask-WTF keeps it
        partner_calls_per_second=partner_calls_per_second,
        exchanges_at_once=max(1, threads * 3 // 4),  # the others answer an EHR that asks for our keys meanwhile
    )
    proofs = ProofWatch(lambda: settings.placement, base.alerts)
    services = Services(
        product_name=settings.product_name,
        public_base_url=settings.public_base_url,
        site=base.site,
        door=base.door,
        ehr=EhrGateway(launched.fhir_clients, base.door, base.alerts, on_altered=proofs.note_drift),
        directory=base.directory,
        mou_gate=base.mou_gate,
        alerts=base.alerts,
        placement=placement.PlacementSettings(proofs),
        now=now,
        trail=AuditReader(lambda month: audit_log.readable_entries(base.engine, base.cipher, month=month), base.door),
        office=office_of(base, settings),
        demo=HttpDemoWire(settings.demo.ehr_control, settings.demo.program_control) if settings.demo else None,
        ehr_style=launched.styles.of,
        sites={e.id: site_of(settings, settings.site_for(e.id)) for e in settings.ehr if e.differs_in_site},
    )
    guards.install(app, services=services, settings=settings, partner_tokens=launched.partner_tokens)
    show_launch_errors(app, problems.show, problems.nothing_to_show)
    for name in launch_routes.BLUEPRINTS:
        guards.declare_public(app, name)
        csrf.exempt(app.blueprints[name])
    pages.register(app)
    for blueprint in api.register(app):
        csrf.exempt(blueprint)  # bearer tokens only, no cookie
    surface.finish(app, settings, policy=lambda: _policy(settings), sweep=lambda: _sweep(launched, base, settings))
    # What the first request would otherwise wait for, a second in all: the R4 models, the profiles and the holidays.
    r4.load()
    validation.load()
    next_open_day(settings.calendar, now())
    return app


def doctor_facts(settings: Settings) -> dict[str, Any]:
    """What the IT tools take from settings (``launch.doctor.site``), as plain values; no secret among them."""
    listing = settings.listing

    def watches() -> LaunchWatches:
        base = lay_foundation(settings)
        return LaunchWatches(base.engine, base.cipher, settings.tenant_id)

    return {
        "registrations": settings.registrations,
        "ehrs": {
            e.id: {
                "environment": e.environment,
                "test_patients": e.test_patients,
                "placement": dict(e.placement),
                "proof_file": e.proof_file,
            }
            for e in settings.ehr
        },
        "listing": {
            **listing.model_dump(),
            "company": listing.company or settings.site.name,
            "phone": settings.site.phone,
        },
        "watches": watches,
        "remedies": {
            key: remedy(key) for key in (*ON_SHEETS, *(f"listing.{name}" for name in type(listing).model_fields))
        },
    }


def create_served_app(settings: Settings, *, threads: int = THREADS) -> Flask:
    """The web app as ``serve`` runs it: launches that were left open are ended, and revoked at the EHR, by a thread of
    its own, so that walking away is as good as leaving."""
    return surface.swept(create_app(settings, threads=threads))


def _sweep(launched: launch_routes.Launch, base: Foundation, settings: Settings) -> None:
    """End what was left open, leave no old page of it behind in the write-ahead log, and look at dated permissions."""
    launched.end_expired()
    empty_wal(base.engine)
    if _has_proof_to_renew(settings):
        base.alerts.raise_once("ehr-proof-over")


def _has_proof_to_renew(settings: Settings) -> bool:
    """Is some copy to an EHR set up, and not allowed any more (R6)?"""
    return any(
        placement.decide(
            settings.placement,
            registration_id=registration_id,
            resource_type=resource_type,
            patient_id=None,
            patient_wants_ehr_copy=True,
            today=now().date(),
        ).needs_officer
        for registration_id, site in settings.placement.registrations.items()
        for resource_type in site.by_type
    )


def migrate(settings: Settings, *, owner_url: str | None = None, app_role: str | None = None) -> None:
    """Bring the database to this version's schema, making the folder of a SQLite file. ``owner_url``: how to connect as
    the owner of its tables, where the app's own role is another one; ``app_role`` is that role's name."""
    prefix = "sqlite:///"
    if settings.database_url.startswith(prefix):
        file = Path(settings.database_url.removeprefix(prefix))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)  # SQLite gives its log and index the same mode
    migrations_runner.migrate(owner_url or settings.database_url, app_role=app_role)


def audit_anchor(settings: Settings) -> Anchor:
    """Where the audit chain stands now: to be kept off this host, since only that shows a tail cut off later."""
    return audit_log.anchor(lay_foundation(settings).engine, settings.tenant_id)


def audit_rows(settings: Settings, month: str | None) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Position and content of the log's rows, oldest first. The look leaves a row, as of whoever is at the console."""
    base = lay_foundation(settings)
    base.door.note_log_read(CONSOLE, f"log/{month or 'all'}", now())
    rows = audit_log.readable_entries(base.engine, base.cipher, month=month)
    return ((position, row) for position, row in rows if row)


def partner_addresses(settings: Settings) -> dict[str, str]:
    """Program id -> the address of its FHIR system, for those that have one."""
    partners = lay_foundation(settings).directory.partners()
    return {one.partner_id: one.fhir_address for one in partners if one.fhir_address}


def parse_anchor(raw: Mapping[str, Any]) -> Anchor:
    """An anchor from the JSON that ``audit anchor`` prints. Raises ``ValueError``, ``KeyError`` or ``TypeError``."""
    return Anchor(int(raw["position"]), bytes.fromhex(raw["row_hash"]))


def anchors_public_key(settings: Settings) -> str:
    """The key, hexadecimal, with which anybody can check the file of anchors."""
    return AnchorSigner(lay_foundation(settings).ring, settings.tenant_id).public_key.hex()


def verify_audit(settings: Settings, since: Anchor | None) -> tuple[Verification, int]:
    """Walk the whole audit chain, held to the file of anchors if there is one; and how many anchors those are. Raises
    ``AnchorFileError``."""
    base, anchors = lay_foundation(settings), []
    if settings.audit_anchor_file is not None:
        anchors = read_file(settings.audit_anchor_file, AnchorSigner(base.ring, settings.tenant_id))
    return audit_log.verify(base.engine, base.cipher, since=since, anchors=anchors), len(anchors)


@dataclass(frozen=True)
class PartnerOffice:
    """What ``warm-referral partner`` works with: the directory, and programs' clients at the token endpoint."""

    directory: SqlDirectory
    clients: launch_routes.PartnerClients
    today: date


def open_partner_office(settings: Settings) -> PartnerOffice:
    """Needs the database and no key."""
    engine = make_engine(settings.database_url, tenant_id=settings.tenant_id)
    directory = SqlDirectory(engine, settings.tenant_id)
    clients = launch_routes.PartnerClients(engine, settings.tenant_id, settings.registrations)
    return PartnerOffice(directory, clients, now().astimezone(ZoneInfo(settings.site.time_zone)).date())


def partner_client(client_id: str, jwks_url: str | None, jwks: dict[str, Any] | None) -> launch_routes.PartnerClient:
    """A program's client with every scope that programs may have."""
    return launch_routes.PartnerClient(client_id, jwks_url=jwks_url, jwks=jwks)


def seed_demo_partners(settings: Settings, program_url: str) -> None:
    """Two DSV programs for the demo: one with a FHIR system, one with a telephone. Agreements run from today."""
    engine = make_engine(settings.database_url, tenant_id=settings.tenant_id)
    directory = SqlDirectory(engine, settings.tenant_id)
    today = now().astimezone(ZoneInfo(settings.site.time_zone)).date()
    for partner, jwks_path in _demo_partners(program_url, today):
        known = directory.partner(partner.partner_id)
        # What the program itself said stays.
        said = ("inbox_alert", "tells_opened", "full_on", "is_answering", "has_capacity")
        directory.add_partner(replace(partner, **{name: getattr(known, name) for name in said}) if known else partner)
        client = launch_routes.PartnerClient(partner.client_id or "", jwks_url=program_url + jwks_path)
        launch_routes.register_partner_client(engine, settings.tenant_id, settings.registrations, client)
    engine.dispose()


def _demo_partners(program_url: str, today: date) -> list[tuple[Partner, str]]:
    since, until = today - timedelta(days=30), today + timedelta(days=335)
    harbor = Partner(
        partner_id="harbor",
        name="Harbor Program",
        phone="555-0100",
        says=(
            "Advocates are not police and not part of the clinic, and what you tell them stays with them.",
            "They can help with safety, a place to stay, court papers and children, whatever you want first.",
            "It is free, day and night, and you decide what happens next.",
        ),
        who_answers="An advocate, day and night",
        languages=("en", "es"),
        hours="24 hours, every day",
        acknowledge_minutes=30,
        fhir_address=f"{program_url}/fhir",
        token_endpoint=f"{program_url}/token",
        our_client_id="care-connections",
        client_id="harbor-system",
        mou_starts_on=since,
        mou_ends_on=until,
    )
    northside = Partner(
        partner_id="northside",
        name="Northside Advocates",
        phone="555-0177",
        says=(
            "They are a small team from this neighborhood, and they keep everything to themselves.",
            "They go along to court, to appointments and to the school.",
            "You can call them without giving a name.",
        ),
        who_answers="The advocate on duty",
        languages=("en", "vi"),
        hours="Monday to Friday, 9 to 5",
        staffed="mon-fri 09:00-17:00",
        client_id="northside-system",
        mou_starts_on=since,
        mou_ends_on=until,
    )
    return [(harbor, "/jwks.json"), (northside, "/northside/jwks.json")]


def _is_client_open(base: Foundation, client_id: str) -> bool:
    partner = base.directory.partner_of_client(client_id)
    if has_request_context():
        g.client_s_partner = partner  # the guard asks for it again in a moment
    return partner is not None and base.mou_gate.is_current(partner, now())


def _policy(settings: Settings) -> str:
    """Who may frame this answer: before an EHR is known every registered one, in a launch only its own."""
    framers = settings.registrations.all_frame_origins()
    if "launch" in g:
        framers = settings.registrations.for_id(guards.launch().registration_id).frame_origins
    return surface.content_security_policy(framers, g.get("form_target", ""))

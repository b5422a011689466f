"""A health center on the real door and a real SQLite file; only the EHR and the clock are stand-ins."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import Engine, func, select

from fhir_profiles import terminology as t
from fhir_profiles.proposed_appointment import proposed_appointment
from fhir_profiles.referral_bundle import referral_bundle
from fhir_profiles.referral_patient import referral_patient
from fhir_profiles.referral_service_request import referral_service_request
from fhir_profiles.referral_task import referral_task
from fhir_profiles.release_consent import release_consent
from fhir_profiles.safe_contact import safe_contact
from fhir_profiles.security_labels import Label, labels_for
from smart_app.gateways import audit_log, migrations_runner
from smart_app.gateways.alerts import SqlAlerts
from smart_app.gateways.cipher import MasterCipher, MasterKey
from smart_app.gateways.directory import DatedMouGate, SqlDirectory
from smart_app.gateways.door import VaultDoor
from smart_app.gateways.engine import make_engine
from smart_app.gateways.tables import delivery, fact, vault_case, vault_receipt, vault_resource
from smart_app.policy.access import Purpose, Requester, Role
from smart_app.policy.clinic_calendar import ClinicCalendar
from smart_app.policy.placement import PlacementSettings, RegistrationPlacement, SiteProof
from smart_app.ports import OpenedChart, Partner, Services, Site, WriteBack, WriteBackResult

Payload = dict[str, Any]

NOW = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)  # a Tuesday, 9 in the morning in Chicago; Thursday is a holiday
BASE = "http://127.0.0.1:8000"
OURS, HARBOR, NORTHSIDE = "Organization/hc1", "Organization/harbor", "Organization/northside"
SENDER_ID = "https://harbor.example/id"


@dataclass
class FakeEhr:
    """Keeps what was written; ``result`` is what it answers."""

    birth_date: str | None = "1997-02-03"
    result: WriteBackResult = WriteBackResult.SAVED
    written: list[Payload] = field(default_factory=list)
    booked: list[Payload] = field(default_factory=list)

    def launched_patient(self, requester: Requester, now: datetime) -> Payload:
        born = {"birthDate": self.birth_date} if self.birth_date else {}
        return {"resourceType": "Patient", "id": requester.patient_id, **born}

    def is_visit_open(self, requester: Requester, now: datetime) -> bool:
        return requester.encounter_id is not None

    def open_chart(self, requester: Requester, now: datetime) -> OpenedChart:
        return OpenedChart(self.is_visit_open(requester, now), self.launched_patient(requester, now))

    def directory_codes(self, requester: Requester, now: datetime) -> frozenset[str]:
        return frozenset()

    def is_on_care_team(self, requester: Requester, now: datetime) -> bool:
        return False

    def write_back(self, requester: Requester, payload: Payload, now: datetime) -> WriteBack:
        self.written.append(copy.deepcopy(payload))
        return self._answer(payload)

    def book(self, requester: Requester, payload: Payload, now: datetime) -> WriteBack:
        self.booked.append(copy.deepcopy(payload))
        return self._answer(payload)

    def _answer(self, payload: Payload) -> WriteBack:
        is_saved = self.result is WriteBackResult.SAVED
        return WriteBack(self.result, f"{payload['resourceType']}/55" if is_saved else None)


@dataclass
class World:
    """One health center with one site, two programs and one EHR."""

    engine: Engine
    cipher: MasterCipher
    services: Services
    ehr: FakeEhr
    directory: SqlDirectory
    file: Path

    @property
    def door(self) -> VaultDoor:
        return self.services.door  # type: ignore[return-value]

    @property
    def site(self) -> Site:
        return self.services.site

    @property
    def harbor(self) -> Partner:
        found = self.directory.partner("harbor")
        assert found is not None
        return found

    def count(self, table: Any, *conditions: Any) -> int:
        with self.engine.begin() as connection:
            return int(connection.execute(select(func.count()).select_from(table).where(*conditions)).scalar_one())

    def stored(self, resource_type: str) -> int:
        return self.count(vault_resource, vault_resource.c.resource_type == resource_type)

    def totals(self) -> dict[str, int]:
        """Rows of everything that a refused request must not add to."""
        tables = {"case": vault_case, "resource": vault_resource, "receipt": vault_receipt, "delivery": delivery}
        sends = {"delivery": [delivery.c.kind != "timer"]}  # a timer stands beside each send
        return {name: self.count(table, *sends.get(name, ())) for name, table in tables.items()}

    def facts(self) -> dict[tuple[str, str], int]:
        with self.engine.begin() as connection:
            return {(row.kind, row.outcome): row.total for row in connection.execute(select(fact))}

    def audit(self, action: str | None = None) -> list[dict[str, Any]]:
        rows = [content for _, content in audit_log.entries(self.engine, self.cipher)]
        return [row for row in rows if action is None or row["action"] == action]

    def resource(self, reference: str) -> Payload:
        """The stored payload, as the labeler sees it."""
        with self.door.open_for(LABELER, NOW) as work:
            return work.read(reference).payload

    def bytes_on_disk(self) -> bytes:
        return b"".join(path.read_bytes() for path in self.file.parent.iterdir() if path.is_file())


LABELER = Requester(Role.LABELER, "Device/labeler", Purpose.LABELING)


def _clinician(registration_id: str = "a", patient_id: str = "p-dana", user: str = "dr-lee", **more: Any) -> Requester:
    return Requester(
        Role.CLINICIAN,
        f"Practitioner/{user}",
        Purpose.TREAT,
        patient_id=patient_id,
        encounter_id="e-1",
        registration_id=registration_id,
        launch_id="l-1",
        site_role="physician",
        **more,
    )


@pytest.fixture
def clinician() -> Callable[..., Requester]:
    return _clinician


@pytest.fixture
def scheduler() -> Requester:
    return Requester(
        Role.SCHEDULER,
        "Practitioner/sched-kim",
        Purpose.HOPERAT,
        registration_id="a",
        launch_id="l-2",
        site_role="scheduler",
    )


@pytest.fixture
def harbor() -> Requester:
    return Requester(Role.ADVOCATE, HARBOR, Purpose.COC)


@pytest.fixture
def northside() -> Requester:
    return Requester(Role.ADVOCATE, NORTHSIDE, Purpose.COC)


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A migrated, empty database file, made once."""
    file = tmp_path_factory.mktemp("vault") / "empty.sqlite3"
    migrations_runner.migrate(f"sqlite:///{file}")
    return file.read_bytes()


@pytest.fixture
def world(tmp_path: Path, empty_database: bytes) -> World:
    file = tmp_path / "vault.sqlite3"
    file.write_bytes(empty_database)
    engine = make_engine(f"sqlite:///{file}")
    cipher = MasterCipher(MasterKey(bytes(range(32))), "hc1")
    directory = SqlDirectory(engine, "hc1")
    directory.add_partner(_partner("harbor", fhir_address="http://localhost:9100/fhir"))
    directory.add_partner(_partner("northside"))
    ehr = FakeEhr()
    services = Services(
        product_name="Care Connections",
        public_base_url=BASE,
        site=Site("Riverside Health Center", "555-0123", "America/Chicago", OURS, ClinicCalendar("America/Chicago")),
        door=VaultDoor(engine, cipher, site_id="main", organization_reference=OURS, time_zone="America/Chicago"),
        ehr=ehr,
        directory=directory,
        mou_gate=DatedMouGate(directory, "America/Chicago"),
        alerts=SqlAlerts(engine, "hc1", lambda: NOW),
        placement=_placement(),
        now=lambda: NOW,
    )
    return World(engine, cipher, services, ehr, directory, file)


def _placement() -> PlacementSettings:
    types = ("Observation", "ServiceRequest", "Appointment")
    proof = SiteProof("a", date(2026, 11, 1), date(2027, 10, 31), dict.fromkeys(types, "A"))
    return PlacementSettings(
        {
            "a": RegistrationPlacement("a", "EHR A", dict.fromkeys(types, "ehr-and-vault"), proof),
            "b": RegistrationPlacement("b", "EHR B"),
        }
    )


def _partner(partner_id: str, **more: Any) -> Partner:
    return Partner(
        partner_id=partner_id,
        name=f"{partner_id.title()} Program",
        phone="555-0142",
        says=("One.", "Two.", "Three."),
        who_answers="Maya",
        languages=("en", "es"),
        hours="Day and night",
        mou_starts_on=date(2026, 1, 1),
        mou_ends_on=date(2027, 1, 1),
        client_id=f"{partner_id}-system",
        our_client_id="care-connections",
        token_endpoint="http://localhost:9100/token" if more else None,
        **more,
    )


@dataclass
class Post:
    """One inbound referral: change ``bundle`` before it is posted. ``entry`` finds a part, ``release_a`` adds one."""

    bundle: Payload

    @property
    def body(self) -> bytes:
        return orjson.dumps(self.bundle, default=str)

    def entry(self, kind: str, position: int = 0) -> Payload:
        found = [one["resource"] for one in self.bundle["entry"] if one["resource"]["resourceType"] == kind]
        return found[position]


def _full_url(number: int) -> str:
    return f"urn:uuid:00000000-0000-4000-8000-00000000000{number}"


def _unlabelled(payload: Payload) -> Payload:
    """As a program sends it that knows no labels."""
    meta = {key: value for key, value in payload.get("meta", {}).items() if key != "security"}
    return {**{k: v for k, v in payload.items() if k != "meta"}, **({"meta": meta} if meta else {})}


def _post(
    alias: str = "Robin",
    phone: str = "555-0142",
    *,
    sender: str = HARBOR,
    release_a: str | None = None,
    number: str = "1",
    signed_on: date = date(2026, 11, 24),
    days: int = 30,
    wanted_from: datetime | None = None,
    priority: str | None = None,
    has_labels: bool = True,
) -> Post:
    """A referral of a program to us. ``release_a``: the tier of the release from us to the program, None without."""
    patient, consent, request, task, back, visit = (_full_url(n) for n in range(1, 7))
    labels = labels_for
    starts, ends = signed_on, date.fromordinal(signed_on.toordinal() + days)

    def release(url: str, discloser: str, recipient: str, tier: str | None, form: str) -> tuple[str, Payload]:
        return url, release_consent(
            labels=labels("release-consent"),
            id=None,
            patient_reference=patient,
            from_organization=discloser,
            to_organization=recipient,
            item_references=[request, task],
            signed_on=starts,
            starts_on=starts,
            ends_on=ends,
            signer="self",
            source_identifier=form,
            policy_uri="https://www.ecfr.gov/current/title-28/section-90.4",
            tier=tier,
        )

    entries = [
        (
            patient,
            referral_patient(
                labels=labels("referral-patient"),
                id=None,
                identifier_system=SENDER_ID,
                identifier_value=f"x-{number}",
                alias=alias,
            ),
        ),
        release(consent, sender, OURS, None, f"roi-b-{number}"),
        (
            request,
            referral_service_request(
                labels=labels("referral-service-request"),
                id=None,
                patient_reference=patient,
                requester_reference=sender,
                performer_reference="HealthcareService/nextday",
                consent_reference=consent,
                safe_contact=safe_contact(
                    meet="safe-contact", telecom=phone, asked_on=starts, expires_on=min(ends, _month_after(starts))
                ),
                authored_at=starts,
                needs=("medical-visit",),
                priority=priority,
            ),
        ),
        (
            task,
            referral_task(
                labels=labels("referral-task"),
                id=None,
                identifier_system=SENDER_ID,
                identifier_value=f"t-{number}",
                service_request_reference=request,
                patient_reference=patient,
                requester_reference=sender,
                owner_reference=OURS,
                authored_at=starts,
                due_at=datetime(starts.year, starts.month, starts.day, 22, 0, tzinfo=UTC) + timedelta(days=3),
            ),
        ),
    ]
    if release_a is not None:
        entries.append(release(back, OURS, sender, release_a, f"roi-a-{number}"))
    if wanted_from is not None:
        entries.append(
            (
                visit,
                proposed_appointment(
                    labels=labels("proposed-appointment"),
                    patient_reference=patient,
                    service_reference="HealthcareService/nextday",
                    based_on=request,
                    requested_start=wanted_from,
                    requested_end=wanted_from.replace(hour=23),
                ),
            )
        )
    return Post(
        referral_bundle(
            labels=[Label(t.CONFIDENTIALITY, "V")],
            identifier_system=SENDER_ID,
            identifier_value=f"b-{number}",
            entries=[(url, one if has_labels else _unlabelled(one)) for url, one in entries],
        )
    )


def _month_after(day: date) -> date:
    return date.fromordinal(day.toordinal() + 30)


@pytest.fixture
def post() -> Callable[..., Post]:
    return _post


def _release_b(task: Payload, tier: str | None = "contact", **changes: Any) -> Payload:
    """Consent B for one Task of ours, as the program posts it."""
    made = {
        "labels": labels_for("release-consent"),
        "id": None,
        "patient_reference": task["for"]["reference"],
        "from_organization": task["owner"]["reference"],
        "to_organization": OURS,
        "item_references": [f"Task/{task['id']}"],
        "signed_on": NOW.date(),
        "starts_on": NOW.date(),
        "ends_on": date(2026, 12, 20),
        "signer": "self",
        "source_identifier": f"roi-{uuid.uuid4()}",
        "policy_uri": "https://www.ecfr.gov/current/title-28/section-90.4",
        "tier": tier,
    }
    return release_consent(**{**made, **changes})


@pytest.fixture
def release_b() -> Callable[..., Payload]:
    return _release_b

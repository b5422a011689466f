"""A real vault, in a SQLite file and in PostgreSQL; people who ask; the referral most tests are about. Canary names."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from databases import Database, PostgresDatabase, PostgresServer, SqliteDatabase
from sqlalchemy import Engine, text

from fhir_profiles import terminology
from fhir_profiles.disclosure_observation import disclosure_observation
from fhir_profiles.proposed_appointment import proposed_appointment
from fhir_profiles.referral_patient import referral_patient
from fhir_profiles.referral_service_request import referral_service_request
from fhir_profiles.referral_task import referral_task
from fhir_profiles.release_consent import release_consent
from fhir_profiles.safe_contact import safe_contact
from fhir_profiles.security_labels import labels_for
from smart_app.gateways import audit_log
from smart_app.gateways.cipher import MasterCipher, MasterKey
from smart_app.gateways.directory import SqlDirectory
from smart_app.gateways.door import VaultDoor
from smart_app.gateways.engine import make_engine
from smart_app.gateways.erasure import Eraser
from smart_app.gateways.migrations_runner import migrate
from smart_app.gateways.outbox import SqlJobStore
from smart_app.policy.access import Purpose, Requester, Role
from smart_app.policy.clinic_calendar import ClinicCalendar
from smart_app.ports import CaseKind, Partner, PatientKey

NOW = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)
SECRET = bytes(range(32))
ALIAS, PHONE, CODE_WORD, CHART_ID = "Canary-Alias-Robin", "555-0142777", "canarybluebird", "canary-chart-901"


@dataclass
class Ids:
    """One referral in the vault."""

    case_id: str
    patient: str
    consent: str
    service_request: str
    task: str
    appointment: str = ""


@dataclass
class World:
    """One health center's vault and everybody around it."""

    database: Database
    engine: Engine
    cipher: MasterCipher
    door: VaultDoor
    directory: SqlDirectory
    jobs: SqlJobStore
    now: datetime = NOW
    us: str = "Organization/hc1"
    patient: PatientKey = field(default_factory=lambda: PatientKey("a", CHART_ID))

    def eraser(
        self, *, closed_on: frozenset[date] = frozenset(), after_erase: Callable[[datetime], object] = lambda _: None
    ) -> Eraser:
        """What the worker erases with."""
        return Eraser(
            self.engine,
            self.cipher,
            self.door,
            calendar=ClinicCalendar("America/Chicago", closed_on=closed_on),
            organization_reference=self.us,
            site_id="main",
            after_erase=after_erase,
        )

    # -- people --------------------------------------------------------------------------------------------------

    def clinician(self, user: str = "dr-lee", **changes: Any) -> Requester:
        """A physician launched from the patient's chart with an encounter, not listed as treating."""
        asks = Requester(
            Role.CLINICIAN,
            f"Practitioner/{user}",
            Purpose.TREAT,
            CHART_ID,
            "enc-1",
            "a",
            str(uuid.uuid4()),
            "physician",
        )
        return replace(asks, **changes)

    def scheduler(self) -> Requester:
        return Requester(
            Role.SCHEDULER, "Practitioner/sched-kim", Purpose.HOPERAT, registration_id="a", site_role="scheduler"
        )

    def program(self, partner_id: str = "harbor") -> Requester:
        return Requester(Role.ADVOCATE, f"Organization/{partner_id}", Purpose.COC)

    def others(self) -> dict[str, Requester]:
        """Everybody who must see nothing of somebody else's referral."""
        return {
            "another clinician": self.clinician("dr-other"),
            "a treating clinician of another patient": self.clinician(
                "dr-other", is_treating=True, patient_id="p-somebody-else"
            ),
            "a treating clinician without an encounter": self.clinician(
                "dr-other", is_treating=True, encounter_id=None
            ),
            "the same ids at another EHR": self.clinician(registration_id="b", is_treating=True),
            "break-glass is not offered here": self.clinician("dr-other", purpose=Purpose.BTG),
            "scheduler": self.scheduler(),
            "another program": self.program("northside"),
            "patient app": replace(self.clinician(CHART_ID), role=Role.PATIENT, purpose=Purpose.PATRQT),
            "proxy": replace(self.clinician("rp-gil"), role=Role.PROXY, purpose=Purpose.FAMRQT),
            "billing": replace(self.clinician("bill"), role=Role.BILLING, purpose=Purpose.HPAYMT),
            "front desk": replace(self.clinician("desk"), role=Role.FRONT_DESK, purpose=Purpose.HOPERAT),
        }

    # -- cases ---------------------------------------------------------------------------------------------------

    def parts(self, partner_id: str = "harbor", *, days: int = 30, tier: str | None = None, **ids: str) -> list[dict]:
        """Patient, Consent, ServiceRequest, Task of a referral from us to ``partner_id``."""
        names = {kind: ids.get(kind, str(uuid.uuid4())) for kind in ("patient", "consent", "request", "task")}
        today, program = self.now.date(), f"Organization/{partner_id}"
        patient = f"Patient/{names['patient']}"
        return [
            referral_patient(
                labels=labels_for("referral-patient"),
                id=names["patient"],
                identifier_system=terminology.ID_PATIENT,
                identifier_value=names["patient"],
                alias=ALIAS,
            ),
            release_consent(
                labels=labels_for("release-consent"),
                id=names["consent"],
                patient_reference=patient,
                from_organization=self.us,
                to_organization=program,
                item_references=[f"ServiceRequest/{names['request']}", f"Task/{names['task']}"],
                signed_on=today,
                starts_on=today,
                ends_on=today + timedelta(days=days),
                signer="self",
                source_identifier=str(uuid.uuid4()),
                policy_uri=terminology.POLICY_RELEASE_OUT,
                tier=tier,
            ),
            referral_service_request(
                labels=labels_for("referral-service-request"),
                id=names["request"],
                patient_reference=patient,
                requester_reference=self.us,
                performer_reference=program,
                consent_reference=f"Consent/{names['consent']}",
                safe_contact=safe_contact(
                    meet="safe-contact",
                    asked_on=today,
                    expires_on=today + timedelta(days=20),
                    telecom=PHONE,
                    code_word=CODE_WORD,
                ),
                authored_at=today,
            ),
            referral_task(
                labels=labels_for("referral-task"),
                id=names["task"],
                identifier_system=terminology.ID_TASK,
                identifier_value=names["task"],
                service_request_reference=f"ServiceRequest/{names['request']}",
                patient_reference=patient,
                requester_reference=self.us,
                owner_reference=program,
                authored_at=today,
                due_at=self.now + timedelta(hours=1),
            ),
        ]

    def refer(self, partner_id: str = "harbor", *, by: Requester | None = None, queue: bool = True, **more: Any) -> Ids:
        """A referral stored and queued as the workflow does it."""
        patient, consent, request, task = self.parts(partner_id, **more)
        with self.door.open_for(by or self.clinician(), self.now) as work:
            case_id = work.open_case(CaseKind.REFERRAL, patient=self.patient, partner_id=partner_id)
            made = [work.create(one, case_id=case_id).reference for one in (patient, consent, request, task)]
            if queue:
                work.outbox.add(kind="referral", case_id=case_id, reference=made[3], partner_id=partner_id)
        return Ids(case_id, *made)

    def disclose(self, by: Requester | None = None) -> tuple[str, str]:
        """A disclosure; returns case id and reference."""
        asks = by or self.clinician()
        payload = disclosure_observation(
            labels=labels_for("disclosure-observation"),
            patient_reference=f"Patient/{asks.patient_id}",
            performer_reference=asks.user_reference,
            recorded_at=self.now,
        )
        with self.door.open_for(asks, self.now) as work:
            assert asks.registration_id is not None
            assert asks.patient_id is not None
            case_id = work.open_case(CaseKind.DISCLOSURE, patient=PatientKey(asks.registration_id, asks.patient_id))
            return case_id, work.create(payload, case_id=case_id).reference

    def inbound(self, partner_id: str = "harbor", *, back: bool = False, days: int = 30) -> Ids:
        """What a program refers to us: its release to us, and release A back to it where ``back``."""
        program = f"Organization/{partner_id}"
        patient, consent, request, task = self.parts(partner_id, days=days)
        consent["organization"] = [{"reference": program}]
        consent["provision"]["actor"][0]["reference"] = {"reference": self.us}
        request["requester"], request["performer"] = {"reference": program}, [{"reference": self.us}]
        task["requester"], task["owner"] = {"reference": program}, {"reference": self.us}
        resources = [patient, consent, request, task]
        if back:
            release = self.parts(partner_id, days=days, tier="appointment", task=task["id"], request=request["id"])[1]
            release["patient"] = release["performer"][0] = {"reference": f"Patient/{patient['id']}"}
            resources.insert(2, release)
        visit = proposed_appointment(
            labels=labels_for("proposed-appointment"),
            id=str(uuid.uuid4()),
            patient_reference=f"Patient/{patient['id']}",
            service_reference="HealthcareService/next-day",
            based_on=f"ServiceRequest/{request['id']}",
            requested_start=self.now + timedelta(days=1),
            requested_end=self.now + timedelta(days=1, hours=8),
        )
        with self.door.open_for(self.program(partner_id), self.now) as work:
            case_id = work.open_case(CaseKind.INBOUND, partner_id=partner_id, due_on=date(2026, 11, 25))
            for one in [*resources, visit]:
                work.create(one, case_id=case_id)
        return Ids(
            case_id,
            f"Patient/{patient['id']}",
            f"Consent/{consent['id']}",
            f"ServiceRequest/{request['id']}",
            f"Task/{task['id']}",
            f"Appointment/{visit['id']}",
        )

    def release_b(self, ids: Ids, partner_id: str = "harbor", *, tier: str = "contact") -> None:
        """The program posts the survivor's release by which it may tell us."""
        consent = self.parts(partner_id, tier=tier, task=ids.task.split("/")[1])[1]
        consent["id"] = str(uuid.uuid4())
        consent["organization"] = [{"reference": f"Organization/{partner_id}"}]
        consent["provision"]["actor"][0]["reference"] = {"reference": self.us}
        consent["provision"]["data"] = [{"meaning": "instance", "reference": {"reference": ids.task}}]
        consent["patient"] = consent["performer"][0] = {"reference": ids.patient}
        with self.door.open_for(self.program(partner_id), self.now) as work:
            work.create(consent, case_id=ids.case_id)

    # -- looking in ----------------------------------------------------------------------------------------------

    def audit(self) -> list[dict[str, Any]]:
        """All rows of the log, opened."""
        return [record for _, record in audit_log.entries(self.engine, self.cipher)]

    def count(self, table: str, where: str = "1 = 1") -> int:
        with self.engine.begin() as connection:
            return int(connection.execute(text(f"SELECT count(*) FROM {table} WHERE {where}")).scalar_one())

    def run(self, statement: str, **values: Any) -> None:
        """What somebody with the database's password could do. ``:zeros`` is 32 empty bytes."""
        known = {"zeros": bytes(32)} if ":zeros" in statement else {}
        with self.engine.begin() as connection:
            connection.execute(text(statement), known | values)

    def unlock_audit(self) -> None:
        """Take away what keeps the log's rows from being changed, as the owner of the database can."""
        if self.engine.dialect.name == "postgresql":
            self.run("DROP TRIGGER IF EXISTS audit_row_no_change ON audit_row")
        else:
            for change in ("update", "delete"):
                self.run(f"DROP TRIGGER IF EXISTS audit_row_no_{change}")

    def alerts(self) -> list[str]:
        with self.engine.begin() as connection:
            return list(connection.execute(text("SELECT kind FROM alert ORDER BY kind")).scalars())


def partner(partner_id: str, **changes: Any) -> Partner:
    facts: dict[str, Any] = {
        "partner_id": partner_id,
        "name": f"{partner_id.title()} Program",
        "phone": "555-0100",
        "says": ("They listen.", "They are not the police.", "You choose."),
        "who_answers": "an advocate",
        "languages": ("English", "Spanish"),
        "hours": "day and night",
        "mou_starts_on": date(2026, 1, 1),
        "mou_ends_on": date(2027, 1, 1),
        "fhir_address": "http://localhost:9100/fhir",
        "token_endpoint": "http://localhost:9100/token",
        "our_client_id": "care-connections",
        "client_id": f"{partner_id}-system",
    }
    return Partner(**(facts | changes))


@pytest.fixture
def make_partner():
    return partner


@pytest.fixture(scope="session")
def empty_in_postgres(postgres: PostgresServer) -> str:
    """``empty_database`` in PostgreSQL: the name of a database to copy."""
    migrate(postgres.create("empty_vault"))
    return "empty_vault"


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty vault; every test of a gateway runs on both databases."""
    if request.param == "sqlite":
        file = tmp_path / "vault.sqlite3"
        file.write_bytes(request.getfixturevalue("empty_database"))
        yield SqliteDatabase(file)
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    url = server.create(f"vault_{uuid.uuid4().hex}", request.getfixturevalue("empty_in_postgres"))
    yield PostgresDatabase(url)
    server.drop(url)


@pytest.fixture
def world(database: Database):
    engine = make_engine(database.url)
    cipher = MasterCipher(MasterKey(SECRET), "hc1")
    door = VaultDoor(engine, cipher, site_id="main", organization_reference="Organization/hc1")
    directory = SqlDirectory(engine, "hc1")
    for partner_id in ("harbor", "northside"):
        directory.add_partner(partner(partner_id))
    jobs = SqlJobStore(engine, cipher, site_id="main", now=lambda: NOW)
    yield World(database, engine, cipher, door, directory, jobs)
    engine.dispose()

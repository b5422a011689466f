"""A throw-away health center in this process: the real apps on a SQLite file of their own, in a temporary folder.

Nothing leaves the process (``wire``). The apps' clock stands still, so that two worlds never differ by a minute. People
come in as they would after a launch, a token or a passkey; how they get there is proven elsewhere.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import shutil
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, cast

from flask import Flask
from sqlalchemy import Engine, event
from werkzeug.test import TestResponse

from fhir_profiles.terminology import CONFIDENTIALITY
from launch.context import LaunchContext
from launch.session import COOKIE_NAME
from launch.store import LaunchRow, LaunchStore
from launch.tables import launch_token
from smart_app import app as app_module
from smart_app import demo, guards, inbox_app, worker_app
from smart_app.foundation import Foundation, lay_foundation
from smart_app.gateways.inbox_accounts import SqlAccounts
from smart_app.gateways.inbox_sessions import SqlSessions
from smart_app.gateways.vault import Vault
from smart_app.inbox_ports import KeptSession, Passkey
from smart_app.pages import referral as referral_page
from smart_app.pages.advocate.session import COOKIE_NAME as INBOX_COOKIE
from smart_app.policy.access import Requester, Role
from smart_app.policy.clinic_calendar import next_open_day
from smart_app.ports import Services
from smart_app.proofs.recording import Exchange
from smart_app.proofs.senses import Senses
from smart_app.proofs.wire import VISIT, replaced
from smart_app.settings import Settings, load
from smart_app.workflows import program_accounts

SECONDS = 3_000  # a person stays signed in for as long as a proof may take
MAIL = '[mail]\nhost = "localhost"\nport = 2525\nsecurity = "none"\nsender = "office@clinic.example"\n\n'
TYPES = ("Observation", "ServiceRequest", "Appointment")
GRANTED = frozenset(
    [
        "launch",
        "openid",
        "fhirUser",
        "online_access",
        "patient/Patient.rs",
        "patient/Encounter.rs",
        "patient/Observation.cruds",
        "patient/ServiceRequest.cruds",
        "user/Appointment.cruds",
    ]
)
PARTNER_SCOPES = " ".join(
    f"system/{kind}.{may}"
    for kind, may in (
        ("Bundle", "c"),
        ("Patient", "c"),
        ("Consent", "c"),
        ("ServiceRequest", "cr"),
        ("Task", "crus"),
        ("Appointment", "cr"),
        ("HealthcareService", "ru"),
    )
)
_TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')


@dataclass
class Seat:
    """Somebody at one of the surfaces, with what proves who it is. ``path`` stands before every address."""

    instance: Instance
    app: Flask
    path: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    launch_id: str = ""
    form_page: str = "phones"

    def ask(
        self,
        method: str,
        path: str,
        *,
        form: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str | None = None,
    ) -> TestResponse:
        """One request as this person's browser or system sends it."""
        sent = {**({"Sec-Fetch-Site": "same-origin"} if form is not None else {}), **self.headers, **(headers or {})}
        data = body if body is not None else form
        client = self.app.test_client(use_cookies=False)
        answer = client.open(self.path + path, method=method, data=data, headers=sent, content_type=content_type)
        self.instance.senses.requests += 1
        self.instance.senses.bytes_read += len(answer.get_data())
        return answer

    def token(self) -> str:
        """The form token of this person's session."""
        found = _TOKEN.search(self.ask("GET", self.form_page).get_data(as_text=True))
        return found.group(1) if found else "none"

    @staticmethod
    def hidden(page: str, name: str) -> str | None:
        """The value of a hidden field of ``page``."""
        found = re.search(rf'name="{name}" value="([^"]+)"', page)
        return found.group(1) if found else None

    def record(self, method: str, path: str, **more: Any) -> Exchange:
        """One request, and everything that came of it."""
        senses = self.instance.senses
        senses.settle()
        answer = self.ask(method, path, **more)
        body = answer.get_data()
        calls, mails = senses.wire.take()
        return Exchange(
            asked=f"{method} {self.path}{path}",
            status=answer.status_code,
            headers="\n".join(f"{name}: {value}" for name, value in sorted(answer.headers.items())),
            body=body.decode("utf-8", "replace"),
            size=len(body),
            statements=senses.statements.take(),
            log=senses.log_since(),
            calls=calls,
            mails=mails,
        )


@dataclass
class Instance:
    """One health center that is thrown away afterwards."""

    place: demo.Place
    settings: Settings
    base: Foundation
    clinic: Flask
    inbox: Flask
    senses: Senses
    now: datetime
    members: dict[str, str] = field(default_factory=dict)  # partner id -> its one person at the inbox

    @property
    def services(self) -> Services:
        """What the clinic's pages stand on."""
        return cast("Services", self.clinic.extensions[guards.EXTENSION].services)

    @contextmanager
    def undone(self) -> Iterator[None]:
        """Whatever happens to the database meanwhile did not happen."""
        kept = sqlite3.connect(":memory:")
        _backup(self.database, kept)
        try:
            yield
        finally:
            target = sqlite3.connect(self.database, timeout=20)
            kept.backup(target)
            target.close()
            kept.close()

    def rows(self) -> dict[str, int]:
        """How much is kept about people, table by table; the audit and signed-in people are not counted."""
        tables = ("vault_case", "vault_resource", "vault_receipt", "delivery")
        connection = sqlite3.connect(self.database, timeout=20)
        counts = {one: int(connection.execute(f"SELECT count(*) FROM {one}").fetchone()[0]) for one in tables}  # noqa: S608
        connection.close()
        return counts

    def visit_of(self, task_id: str) -> str:
        """The id of the proposed visit in the case of a Task."""
        with self.base.engine.connect() as connection:
            vault = Vault(connection, self.base.cipher)
            found = vault.look(("Task", task_id))
            heads = vault.heads([found[0].case_id]) if found else []
        return next(head.reference.rpartition("/")[2] for head in heads if head.resource_type == "Appointment")

    def relabel(self, case_id: str, level: str) -> None:
        """The next version of everything in a case, whole and sealed, with this level alone for a label."""
        with self.base.engine.begin() as connection:
            connection.exec_driver_sql("PRAGMA ignore_check_constraints = ON")
            vault = Vault(connection, self.base.cipher)
            case, heads = vault.case(case_id), vault.heads([case_id])
            if case is None:
                raise LookupError(case_id)
            for reference, content in vault.contents(heads, {case_id: case}).items():
                labels = {"security": [{"system": CONFIDENTIALITY, "code": level}]}
                head = next(one for one in heads if one.reference == reference)
                vault.supersede(
                    head, {**content.payload, "meta": {**content.payload["meta"], **labels}}, case, self.now
                )
        with self.base.engine.begin() as connection:
            connection.exec_driver_sql("PRAGMA ignore_check_constraints = OFF")

    def next_open_day(self) -> str:
        """The clinic's, as a form has it."""
        return next_open_day(self.settings.calendar, self.now).on.isoformat()

    @contextmanager
    def broken_store(self, words: str) -> Iterator[None]:
        """Every statement fails meanwhile, with an error that quotes ``words``, as drivers do."""

        def fail(*_: Any) -> None:
            raise RuntimeError(words)

        event.listen(Engine, "before_cursor_execute", fail)
        try:
            yield
        finally:
            event.remove(Engine, "before_cursor_execute", fail)

    @contextmanager
    def no_audit(self) -> Iterator[None]:
        """No row can be added to the audit meanwhile."""
        connection = sqlite3.connect(self.database, timeout=20, isolation_level=None)
        connection.execute(
            "CREATE TRIGGER prove_no_row BEFORE INSERT ON audit_row BEGIN SELECT RAISE(ABORT, 'full'); END"
        )
        try:
            yield
        finally:
            connection.execute("DROP TRIGGER prove_no_row")
            connection.close()

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.place.directory / "vault.sqlite3"

    def work(self, *, later: timedelta = timedelta()) -> None:
        """What the delivery worker sends now, or ``later``. Putting it together points the logs elsewhere; here they
        go on."""
        with replaced(worker_app, "now", lambda: self.now + later):
            worker = worker_app.create_worker(self.settings)
        self.senses.listen()
        worker.run_once()

    def alert(self) -> None:
        """The mails to programs' staff that are due now."""
        alert = inbox_app.create_staff_alert(self.settings)
        self.senses.listen()
        alert.run_once()

    # -- people ------------------------------------------------------------------------------------------------------

    def launch(
        self, user: str, patient: str | None, *, registration: str = "a", has_visit: bool = True, visit: str = ""
    ) -> Seat:
        """``user`` after a launch from the chart of ``patient`` (None: without a chart)."""
        launch_id, session_id, now = str(uuid.uuid4()), str(uuid.uuid4()), int(time.time())
        cookie = secrets.token_urlsafe(32)
        issuer = self.settings.registrations.for_id(registration).issuer
        context = LaunchContext(
            launch_id=launch_id,
            registration_id=registration,
            fhir_base=issuer,
            fhir_user=f"Practitioner/{user}",
            patient_id=patient,
            encounter_id=(visit or f"{VISIT}{patient}") if patient and has_visit else None,
            granted_scopes=GRANTED,
            needs_patient_banner=True,
            started_at=self.now,
            expires_at=self.now + timedelta(seconds=SECONDS),
        )
        tokens = {
            "access_token": "prove-ehr-token",
            "refresh_token": None,
            "expires_at": now + SECONDS,
            "token_endpoint": f"{issuer}/token",
            "revocation_endpoint": None,
        }
        store = LaunchStore(self.base.engine, self.base.cipher, self.settings.tenant_id)
        first = secrets.token_urlsafe(32)
        store.create_session(session_id, first, now=now, expires_at=now + SECONDS)
        row = LaunchRow(launch_id, session_id, context.to_json(), tokens, 1, 0, now, now + SECONDS)
        data = {"csrf_token": secrets.token_hex(20)}
        store.add_launch(row, new_cookie=cookie, session_expires_at=now + SECONDS, data=data)
        return Seat(self, self.clinic, f"/v/{launch_id}/", {"Cookie": f"{COOKIE_NAME}={cookie}"}, launch_id=launch_id)

    def stranger(self, path: str = "/") -> Seat:
        """Somebody with a browser and nothing else."""
        return Seat(self, self.clinic, path)

    def program(self, partner_id: str, *, scopes: str = PARTNER_SCOPES) -> Seat:
        """A program's system with a token of today."""
        token = secrets.token_urlsafe(32)
        row = {
            "tenant_id": self.settings.tenant_id,
            "client_id": f"{partner_id}-system",
            "scopes": scopes,
            "token_hash": hashlib.sha256(token.encode()).hexdigest(),
            "jti_hash": secrets.token_hex(32),
            "expires_at": int(time.time()) + SECONDS,
        }
        with self.base.engine.begin() as connection:
            connection.execute(launch_token.insert().values(row))
        return Seat(self, self.clinic, "/fhir", {"Authorization": f"Bearer {token}"})

    def advocate(self, partner_id: str) -> Seat:
        """A person of a program, signed in at the inbox."""
        sessions, now = SqlSessions(self.base.engine, self.base.cipher), int(time.time())
        cookie = secrets.token_urlsafe(32)
        data = {"csrf_token": secrets.token_hex(20)}
        kept = KeptSession(cookie, data, self._member(partner_id), False)
        sessions.write(kept, expires_at=now + SECONDS, now=now)
        return Seat(self, self.inbox, "", {"Cookie": f"{INBOX_COOKIE}={cookie}"}, form_page="/items")

    def _member(self, partner_id: str) -> str:
        if partner_id not in self.members:
            accounts = SqlAccounts(self.base.engine, self.base.cipher)
            made = program_accounts.invite(accounts, partner_id, "Ana", is_admin=True, now=self.now)
            member = program_accounts.join(accounts, made.token, made.code, self.now)
            for number in (b"1", b"2"):
                accounts.add_passkey(Passkey(member.member_id, member.member_id.encode() + number, b"key"), self.now)
            program_accounts.finish(accounts, member, self.now)
            self.members[partner_id] = member.member_id
        return self.members[partner_id]

    def requester(self, user: str, patient: str, registration: str = "a") -> Requester:
        """A clinician as the guards make one."""
        return Requester(
            Role.CLINICIAN,
            f"Practitioner/{user}",
            guards.TABLE_ROLES["physician"][1],
            patient_id=patient,
            encounter_id=f"{VISIT}{patient}",
            registration_id=registration,
            launch_id=self.launch(user, patient, registration=registration).launch_id,
            site_role="physician",
        )


@contextmanager
def opened(
    folder: Path, senses: Senses, *, create_keys: Callable[[Path], None], like: Instance | None = None
) -> Iterator[Instance]:
    """An instance in ``folder``, new, or with the database that was ``copied`` from ``like``. Closed afterwards."""
    moment = like.now if like else datetime.now(UTC).replace(microsecond=0)
    place = demo.Place(folder)
    demo.prepare(place, create_keys=create_keys)
    place.config.write_text(place.config.read_text().replace("[[ehr]]", MAIL + "[[ehr]]", 1))
    _write_old_proof(place.proof, moment.date())
    with ExitStack() as open_:
        for module in (app_module, inbox_app, worker_app):
            open_.enter_context(replaced(module, "now", lambda: moment))
        open_.enter_context(replaced(referral_page, "ALIASES", ("Robin",)))  # proposed by lot
        settings = load(place.config)
        if like is None:
            app_module.migrate(settings)
            app_module.seed_demo_partners(settings, place.program_url)
        base = lay_foundation(settings)
        open_.callback(base.engine.dispose)
        if like is None:
            northside = base.directory.partner("northside")
            if northside is not None:
                base.directory.add_partner(replace(northside, inbox_alert="phone"))
        clinic = app_module.create_app(settings, partner_calls_per_second=10_000.0)
        inbox = inbox_app.create_inbox(settings)
        clinic.config["PROPAGATE_EXCEPTIONS"] = inbox.config["PROPAGATE_EXCEPTIONS"] = False
        senses.listen()
        yield Instance(place, settings, base, clinic, inbox, senses, moment, dict(like.members) if like else {})


def copied(instance: Instance, folder: Path) -> Path:
    """The same health center in another folder: keys, settings and every row."""
    folder.mkdir(parents=True)
    for name in ("master.key", "master.ring", "app-keys.json"):
        shutil.copy2(instance.place.directory / name, folder / name)
    target = sqlite3.connect(folder / "vault.sqlite3")
    _backup(instance.database, target)
    target.close()
    return folder


def sent_to_log(instance: Instance) -> Callable[[], list[str]]:
    """Gives the log lines written between now and its call."""
    instance.senses.log_since()
    return lambda: [line for line in instance.senses.log_since().splitlines() if line]


def _backup(file: Path, target: sqlite3.Connection) -> None:
    source = sqlite3.connect(file, timeout=20)
    source.backup(target)
    source.close()


def _write_old_proof(path: Path, today: date) -> None:
    """A site proof that ran out yesterday: copies are set up, and nothing may be written (R6)."""
    proof = {
        "registration_id": "a",
        "made_on": (today - timedelta(days=366)).isoformat(),
        "expires_on": (today - timedelta(days=1)).isoformat(),
        "classes": dict.fromkeys(TYPES, "A"),
    }
    path.write_text(json.dumps(proof))

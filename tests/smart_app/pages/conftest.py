"""The pages with their real guards and templates; ports, sessions and workflows are small stand-ins.

Each test says what a workflow answers and looks at what the page asked of it and what a person then sees.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from html import unescape
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_wtf.csrf import CSRFProtect
from werkzeug.test import TestResponse

from launch.context import LaunchContext
from launch.errors import LaunchNotFoundError
from smart_app import guards, pages
from smart_app.errors import EhrUnavailableError
from smart_app.launch_problems import show_launch_errors
from smart_app.pages import problems
from smart_app.policy.access import Requester
from smart_app.policy.clinic_calendar import ClinicCalendar
from smart_app.policy.placement import PlacementSettings, RegistrationPlacement, SiteProof
from smart_app.ports import OpenedChart, Partner, Payload, Services, Site
from smart_app.settings import EhrSettings, Settings, SiteSettings
from smart_app.workflows import referral

NOW = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)
TODAY = NOW.date()
BASE = "http://127.0.0.1:8000"
GRANTED = frozenset(
    {
        "launch",
        "openid",
        "fhirUser",
        "online_access",
        "patient/Patient.rs",
        "patient/Encounter.rs",
        "patient/Observation.cruds",
        "patient/ServiceRequest.cruds",
        "user/Appointment.cruds",
    }
)
ROLES = {
    "Practitioner/dr-lee": "physician",
    "Practitioner/sched-kim": "scheduler",
    "Practitioner/coord-ellis": "coordinator",
    "Practitioner/officer-grant": "privacy-officer",
    "Practitioner/lead-osei": "program-lead",
    "Practitioner/it-raman": "it-admin",
}
DANA: Payload = {
    "resourceType": "Patient",
    "id": "p-dana",
    "name": [{"family": "Whitlock-Canary", "given": ["Dana"]}],
    "birthDate": "1997-02-03",
    "communication": [{"language": {"coding": [{"code": "en-US"}]}}],
}


def partner(partner_id: str, **changes: Any) -> Partner:
    """A program with a current agreement."""
    made = Partner(
        partner_id=partner_id,
        name=f"{partner_id.title()} Program",
        phone="555-0142",
        says=("One.", "Two.", "Three."),
        who_answers="Maya",
        languages=("en",),
        hours="Day and night",
        mou_starts_on=date(2026, 1, 1),
        mou_ends_on=date(2027, 1, 1),
        fhir_address="http://localhost:9100/fhir",
    )
    return replace(made, **changes)


@dataclass
class Office:
    """What waits for a second person, and what was asked of it."""

    asks: list[Any] = field(default_factory=list)
    done: list[tuple[Any, ...]] = field(default_factory=list)

    def waiting(self, person: Any, now: datetime) -> list[Any]:
        return self.asks

    def holds(self) -> list[str]:
        return ["case-under-hold"]

    def ask(self, person: Any, kind: Any, subject: str, reason: str, now: datetime) -> str:
        self.done.append(("ask", person.user_reference, kind.value, subject, reason))
        return "ask-1"

    def confirm(self, person: Any, ask_id: str, now: datetime) -> None:
        self.done.append(("confirm", person.user_reference, ask_id))

    def take_back(self, person: Any, ask_id: str, now: datetime) -> None:
        self.done.append(("take-back", person.user_reference, ask_id))


@dataclass
class Desk:
    """What stands behind the pages in one test, to be changed by the test before it opens a page."""

    partners: list[Partner] = field(default_factory=lambda: [partner("harbor")])
    patient: Payload = field(default_factory=lambda: DANA)
    patient_reads: int = 0
    staff: Payload | None = None
    visit: bool | Exception = True
    visit_reads: list[Requester] = field(default_factory=list)
    directory: frozenset[str] | Exception = frozenset()
    directory_reads: list[Requester] = field(default_factory=list)
    care_team: bool | Exception = False
    care_team_reads: list[Requester] = field(default_factory=list)
    alerts: list[Any] = field(default_factory=list)
    closed_alerts: list[str] = field(default_factory=list)
    launches: dict[str, LaunchContext] = field(default_factory=dict)
    notes: dict[tuple[str, str], Any] = field(default_factory=dict)
    ended: list[str] = field(default_factory=list)
    office: Office = field(default_factory=lambda: Office())
    open_items: list[Any] = field(default_factory=list)

    def is_open(self, partner_id: str, now: datetime) -> bool:
        return any(
            p.partner_id == partner_id and not p.is_suspended and p.mou_ends_on >= now.date() for p in self.partners
        )

    def is_current(self, partner: Partner, now: datetime) -> bool:
        return self.is_open(partner.partner_id, now)

    def launched_patient(self, requester: Requester, now: datetime) -> Payload:
        self.patient_reads += 1
        return self.patient

    def is_visit_open(self, requester: Requester, now: datetime) -> bool:
        self.visit_reads.append(requester)
        if isinstance(self.visit, Exception):
            raise self.visit
        return self.visit

    def open_chart(self, requester: Requester, now: datetime) -> OpenedChart:
        try:
            is_open = self.is_visit_open(requester, now)
        except EhrUnavailableError:
            return OpenedChart(None, self.launched_patient(requester, now), self.staff)
        return OpenedChart(is_open, self.launched_patient(requester, now), self.staff)

    def directory_codes(self, requester: Requester, now: datetime) -> frozenset[str]:
        self.directory_reads.append(requester)
        if isinstance(self.directory, Exception):
            raise self.directory
        return self.directory

    def is_on_care_team(self, requester: Requester, now: datetime) -> bool:
        self.care_team_reads.append(requester)
        if isinstance(self.care_team, Exception):
            raise self.care_team
        return self.care_team

    def signed_in_staff(self, requester: Requester, now: datetime) -> Payload | None:
        return self.staff

    def open_alerts(self) -> list[Any]:
        return self.alerts

    def close_alert(self, alert_id: str) -> bool:
        self.closed_alerts.append(alert_id)
        return True


class _Directory:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def partners(self) -> list[Partner]:
        return self._desk.partners

    def partner(self, partner_id: str) -> Partner | None:
        return next((p for p in self._desk.partners if p.partner_id == partner_id), None)


@pytest.fixture
def desk() -> Desk:
    """A desk with one program and one adult patient."""
    return Desk()


@pytest.fixture
def settings() -> Settings:
    """Two EHR registrations, the first with a place for copies."""
    return Settings(
        mode="demo",
        public_base_url=BASE,
        tenant_id="hc1",
        database_url="sqlite://",
        keys_file="keys.json",
        site=SiteSettings(name="Riverside Health Center", phone="555-0123", time_zone="America/Chicago"),
        ehr=(
            _ehr("a", {"Observation": "ehr-and-vault", "ServiceRequest": "ehr-and-vault"}),
            _ehr("b", {}),
        ),
    )


@pytest.fixture
def app(desk: Desk, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Flask:
    """All pages on one app, guarded as in production."""
    made = Flask("smart_app")
    made.config.update(SECRET_KEY="test", WTF_CSRF_SSL_STRICT=False, PROPAGATE_EXCEPTIONS=False)
    CSRFProtect(made)

    def current_launch(launch_id: str) -> LaunchContext:
        if launch_id not in desk.launches:
            raise LaunchNotFoundError
        return desk.launches[launch_id]

    monkeypatch.setattr(referral, "for_chart", lambda *_: desk.open_items)
    session = guards.launch_session
    monkeypatch.setattr(session, "current_launch", current_launch)
    monkeypatch.setattr(session, "remember", lambda i, key, value: desk.notes.update({(i, key): value}))
    monkeypatch.setattr(session, "recall", lambda i, key: desk.notes.get((i, key)))
    monkeypatch.setattr(session, "end_launch", lambda i: desk.ended.append(i) or desk.launches.pop(i, None))
    proof = SiteProof("a", TODAY, date(2027, 6, 1), {"Observation": "A", "ServiceRequest": "A", "Appointment": "A"})
    services: Any = Services(
        product_name="Care Connections",
        public_base_url=BASE,
        site=Site(
            "Riverside Health Center",
            "555-0123",
            "America/Chicago",
            "Organization/hc1",
            ClinicCalendar("America/Chicago"),
        ),
        door=None,  # type: ignore[arg-type]  # pages never touch the door; workflows do
        ehr=desk,  # type: ignore[arg-type]
        directory=_Directory(desk),  # type: ignore[arg-type]
        mou_gate=desk,
        alerts=desk,  # type: ignore[arg-type]
        office=desk.office,
        placement=PlacementSettings(
            {
                "a": RegistrationPlacement(
                    "a", "Sandbox EHR A", {"Observation": "ehr-and-vault", "ServiceRequest": "ehr-and-vault"}, proof
                ),
                "b": RegistrationPlacement("b", "Sandbox EHR B"),
            }
        ),
        now=lambda: NOW,
    )
    guards.install(made, services=services, settings=settings, partner_tokens=None)  # type: ignore[arg-type]
    show_launch_errors(made, problems.show, problems.nothing_to_show)
    pages.register(made)
    return made


def _ehr(registration_id: str, placement: dict[str, Any]) -> EhrSettings:
    return EhrSettings(
        id=registration_id,
        name=f"Sandbox EHR {registration_id.upper()}",
        issuer=f"http://localhost:9000/{registration_id}/fhir",
        client_id="care-connections",
        frame_origins=("http://localhost:9000",),
        placement=placement,
        roles=ROLES,  # type: ignore[arg-type]
    )


@dataclass
class Browser:
    """A person at the pages: follows nothing by itself, sends the tokens that a page carries."""

    client: FlaskClient
    launch_id: str

    def get(self, path: str = "") -> TestResponse:
        return self.client.get(f"/v/{self.launch_id}/{path}")

    def post(self, path: str, data: dict[str, Any] | None = None, *, token: bool = True) -> TestResponse:
        """Post as our own page would. ``token=False`` leaves the CSRF token out."""
        form = dict(data or {})
        if token:
            form["csrf_token"] = self.token()
        return self.client.post(f"/v/{self.launch_id}/{path}", data=form, headers={"Sec-Fetch-Site": "same-origin"})

    def token(self) -> str:
        found = re.search(r'name="csrf_token" value="([^"]+)"', self.get("phones").get_data(as_text=True))
        assert found is not None
        return found.group(1)

    def answer(self, answer: str = "alone", interpreter: str = "none") -> TestResponse:
        """Open the first page and answer the privacy question."""
        self.get()
        return self.post("privacy", {"answer": answer, "limits_said": "yes", "interpreter": interpreter})


Enter = Callable[..., Browser]


@pytest.fixture
def enter(app: Flask, desk: Desk) -> Enter:
    """``enter(user="dr-lee", patient="p-dana", encounter="e1", registration="a")`` is a finished launch."""

    def start(
        user: str = "dr-lee",
        patient: str | None = "p-dana",
        encounter: str | None = "e1",
        registration: str = "a",
        **changes: Any,
    ) -> Browser:
        launch_id = f"launch-{len(desk.launches)}"
        context = LaunchContext(
            launch_id=launch_id,
            registration_id=registration,
            fhir_base=f"http://localhost:9000/{registration}/fhir",
            fhir_user=f"Practitioner/{user}",
            patient_id=patient,
            encounter_id=encounter,
            granted_scopes=GRANTED,
            needs_patient_banner=True,
            started_at=NOW,
            expires_at=NOW,
        )
        desk.launches[launch_id] = replace(context, **changes)
        return Browser(app.test_client(), launch_id)

    return start


@pytest.fixture
def text_of() -> Callable[[TestResponse], str]:
    """What a person reads on a page: without tags, spaces folded."""

    def read(answer: TestResponse) -> str:
        return " ".join(unescape(re.sub(r"<[^>]+>", " ", answer.get_data(as_text=True))).split())

    return read


@pytest.fixture
def seen(app: Flask) -> list[Requester]:
    """Who asked, at the end of each request to a page for clinicians."""
    asked: list[Requester] = []

    @app.after_request
    def note(response: Any) -> Any:
        if "requester" in guards.g:
            asked.append(guards.requester())
        return response

    return asked

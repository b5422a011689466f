"""The composition root: what every worker process must have in common, and what is done when somebody walks away."""

from __future__ import annotations

import json
import threading
import time
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from flask import request

from launch.doctor.site_proof import Proof, a_year_after, write_proof
from launch.keys import create_key_file
from launch.tables import launch_token
from smart_app import app as app_module
from smart_app import demo, foundation, guards, surface, worker_app
from smart_app.gateways.engine import make_engine
from smart_app.policy import placement
from smart_app.settings import Settings, load
from smart_app.settings.model import EhrSiteSettings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    place = demo.Place(tmp_path)
    demo.prepare(place, create_keys=create_key_file)
    today = foundation.now().date()
    types = ("Observation", "ServiceRequest", "Appointment")
    proof = Proof("a", "Sandbox", "1", today, a_year_after(today), "tests", ("p-dana",), dict.fromkeys(types, "A"))
    write_proof(proof, place.proof)
    made = load(place.config)
    app_module.migrate(made)
    return made


def test_form_opened_at_one_worker_is_taken_by_another(settings: Settings) -> None:
    """A clinician whose next click reaches another worker, or the app after a restart, does not lose the form."""
    first, second = app_module.create_app(settings), app_module.create_app(settings)
    assert first.config["SECRET_KEY"] == second.config["SECRET_KEY"]
    assert len(first.config["SECRET_KEY"]) == 32


def test_served_app_ends_launches_that_were_left_open(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever walks away from the screen is signed out at the EHR too, even after one round failed."""
    rounds: list[int] = []

    def end_expired() -> int:
        rounds.append(1)
        if len(rounds) == 1:
            raise OSError("the EHR is away")
        return 0

    monkeypatch.setattr(surface, "SWEEP_SECONDS", 0.02)
    served = app_module.create_served_app(settings)
    served.extensions[surface.SWEEP] = end_expired
    deadline = time.monotonic() + 5
    while len(rounds) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(rounds) >= 2


@pytest.mark.rule("attack 14")
def test_attack_14_a_program_s_token_leaves_no_trace_in_the_files(settings: Settings) -> None:
    """Who copies the database files reads nowhere which program called a minute ago, the write-ahead log included.
    Break: leave ``empty_wal`` out of the sweep in ``create_app``."""
    served = app_module.create_app(settings)
    engine = make_engine(settings.database_url)
    row = {"tenant_id": settings.tenant_id, "client_id": "canary-program", "scopes": "", "jti_hash": "j"}
    with engine.begin() as connection:
        connection.execute(launch_token.insert().values(**row, token_hash="t", expires_at=1))
    engine.dispose()
    served.extensions[surface.SWEEP]()
    path = Path(settings.database_url.removeprefix("sqlite:///"))
    kept = b"".join(file.read_bytes() for file in path.parent.glob(path.name + "*"))
    assert len(kept) > 4096
    assert b"canary-program" not in kept


def test_database_files_are_for_their_owner_alone(settings: Settings) -> None:
    """Another account of the computer cannot copy the database, its log included."""
    path = Path(settings.database_url.removeprefix("sqlite:///"))
    app_module.create_app(settings)
    modes = {file.name: oct(file.stat().st_mode & 0o777) for file in path.parent.glob(path.name + "*")}
    assert set(modes.values()) == {"0o600"}, modes


@pytest.mark.rule("R6")
def test_rule_R06_the_officer_is_told_once_when_a_proof_has_run_out(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the dated proof of an EHR is over the app stays on, writes nothing there, and tells the privacy officer; not
    again and again. Break: leave ``_has_proof_to_renew`` out of ``_sweep``."""
    served = app_module.create_app(settings)
    alerts = foundation.lay_foundation(settings).alerts
    served.extensions[surface.SWEEP]()
    assert alerts.open_alerts() == []
    after = foundation.now() + timedelta(days=400)
    monkeypatch.setattr(app_module, "now", lambda: after)
    alerts = foundation.lay_foundation(settings).alerts
    served.extensions[surface.SWEEP]()
    (told,) = alerts.open_alerts()
    assert told.kind == "ehr-proof-over"
    alerts.close_alert(told.alert_id)
    served.extensions[surface.SWEEP]()
    assert alerts.open_alerts() == []


@pytest.mark.parametrize(
    ("peer", "told", "counted"),
    [
        ("10.0.0.1", "203.0.113.7", "203.0.113.7"),
        (
            "10.0.0.1",
            "198.51.100.9, 203.0.113.7, 10.0.0.2",
            "203.0.113.7",
        ),  # what stands before is the caller's own word
        ("10.0.0.1", "unknown", "10.0.0.1"),
        ("10.0.0.1", None, "10.0.0.1"),
        ("192.0.2.5", "203.0.113.7", "192.0.2.5"),
    ],
)
def test_callers_are_told_apart_behind_a_proxy_that_is_trusted(
    settings: Settings, peer: str, told: str | None, counted: str
) -> None:
    """Too many tries from one place do not shut out everybody behind the same proxy, and nobody can choose a place."""
    behind = settings.model_copy(update={"trusted_proxies": ("10.0.0.1", "10.0.0.2")})
    served, seen = app_module.create_app(behind), []
    served.before_request(lambda: seen.append(request.remote_addr))
    headers = {"X-Forwarded-For": told} if told is not None else {}
    served.test_client().get("/health", headers=headers, environ_base={"REMOTE_ADDR": peer})
    assert seen == [counted]


def test_networks_of_proxies_are_trusted_whole(settings: Settings) -> None:
    """A cluster whose proxies come and go is named by its network; the last address outside of it is who called."""
    behind = settings.model_copy(update={"trusted_proxies": ("10.0.0.0/28", "2001:db8::/64")})
    served, seen = app_module.create_app(behind), []
    served.before_request(lambda: seen.append(request.remote_addr))
    calls = [("10.0.0.15", "203.0.113.7, 10.0.0.3"), ("10.0.0.16", "203.0.113.7"), ("2001:db8::5", "203.0.113.8")]
    calls += [("::ffff:10.0.0.2", "203.0.113.9"), ("10.0.0.1", "10.0.0.2, 10.0.0.3")]
    for peer, told in calls:
        served.test_client().get("/health", headers={"X-Forwarded-For": told}, environ_base={"REMOTE_ADDR": peer})
    assert seen == ["203.0.113.7", "10.0.0.16", "203.0.113.8", "203.0.113.9", "10.0.0.1"]


def test_each_ehr_has_the_clock_of_its_place(settings: Settings) -> None:
    """A clinic in another time zone sees its own hours and phone; the first site stays as it is."""
    a, b = settings.ehr
    west = b.model_copy(update={"site": EhrSiteSettings(time_zone="America/Denver", phone="555-0188", opens="09:00")})
    served = app_module.create_app(settings.model_copy(update={"ehr": (a, west)}))
    with served.test_request_context():
        main = guards.services().site
        guards.g.launch = SimpleNamespace(registration_id="b")
        there = guards.services().site
        guards.g.launch = SimpleNamespace(registration_id="a")
        assert guards.services().site == main
    assert (there.time_zone, there.phone, there.name) == ("America/Denver", "555-0188", main.name)
    assert there.calendar.time_zone == "America/Denver"
    assert main.time_zone == "America/Chicago"


@pytest.mark.rule("R6")
def test_rule_R06_proof_that_is_replaced_or_over_changes_a_running_app(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The app that runs writes copies while the proof holds and none afterwards, and never stops; a new proof needs no
    restart. Break: hand ``Services`` the placement of the start in ``create_app``."""
    served = app_module.create_app(settings)
    today = foundation.now().date()

    def has_copy(on: date) -> bool:
        with served.test_request_context():
            services = guards.services()
        decision = placement.decide(
            services.placement,
            registration_id="a",
            resource_type="Observation",
            patient_id="p",
            patient_wants_ehr_copy=True,
            today=on,
        )
        return decision.has_ehr_copy

    assert has_copy(today)
    assert not has_copy(today + timedelta(days=400))
    proof_file = settings.ehr_for("a").proof_file
    assert proof_file is not None
    raw = json.loads(proof_file.read_text())
    proof_file.write_text(json.dumps({**raw, "voided_on": today.isoformat()}))
    assert not has_copy(today)
    served.extensions[surface.SWEEP]()
    assert [told.kind for told in foundation.lay_foundation(settings).alerts.open_alerts()] == ["ehr-proof-over"]
    assert served.test_client().get("/health").status_code == 200
    proof_file.write_text(json.dumps(raw))
    assert has_copy(today)


@pytest.mark.rule("R26")
def test_rule_R26_the_worker_tells_of_what_broke_off_before_it_started(settings: Settings) -> None:
    """After a crash in the middle of booking somebody is told to look at the EHR's schedule, as soon as the worker
    runs. Break: leave ``watch`` out of ``create_worker``."""
    base, stop = foundation.lay_foundation(settings), threading.Event()
    began_at = foundation.now() - timedelta(minutes=10)
    base.door.begin_crossing({"at": began_at.isoformat(), "system": "ehr", "action": "create-Appointment"}, began_at)

    def stop_when_told() -> None:
        for _ in range(200):  # ten seconds at most
            if base.alerts.open_alerts():
                break
            time.sleep(0.05)
        stop.set()

    threading.Thread(target=stop_when_told).start()
    worker_app.create_worker(settings).run(stop)
    assert [told.kind for told in base.alerts.open_alerts()] == ["crossing-without-outcome"]

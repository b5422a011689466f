"""The composition root: what every worker process must have in common, and what is done when somebody walks away."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from launch.doctor.site_proof import Proof, a_year_after, write_proof
from launch.keys import create_key_file
from smart_app import app as app_module
from smart_app import demo
from smart_app.settings import Settings, load


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    place = demo.Place(tmp_path)
    demo.prepare(place, create_keys=create_key_file)
    today = app_module.now().date()
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

    monkeypatch.setattr(app_module, "SWEEP_SECONDS", 0.02)
    served = app_module.create_served_app(settings)
    served.extensions[app_module.SWEEP] = end_expired
    deadline = time.monotonic() + 5
    while len(rounds) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(rounds) >= 2

"""The whole app, put together as the demo does it, for tests that look at the house and not at one room."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from flask import Flask

from launch.doctor.site_proof import Proof, a_year_after, write_proof
from launch.keys import create_key_file
from smart_app import demo
from smart_app.app import create_app, migrate, seed_demo_partners
from smart_app.proofs.two_worlds import Bench, bench
from smart_app.settings import Settings, load


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of a demo in a folder of its own. No EHR and no program runs: nothing here may call one."""
    place = demo.Place(tmp_path_factory.mktemp("demo"))
    demo.prepare(place, create_keys=create_key_file)
    today = datetime.now(UTC).date()
    types = ("Observation", "ServiceRequest", "Appointment")
    write_proof(
        Proof("a", "Sandbox", "1", today, a_year_after(today), "house tests", ("p-dana",), dict.fromkeys(types, "A")),
        place.proof,
    )
    made = load(place.config)
    migrate(made)
    seed_demo_partners(made, place.program_url)
    return made


@pytest.fixture(scope="session")
def app(settings: Settings) -> Flask:
    """The app with every blueprint, the demo's too."""
    made = create_app(settings)
    made.testing = True
    return made


@pytest.fixture
def root() -> Path:
    """The repository."""
    return Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")  # while it is there, no request of this process reaches a server
def prove_bench() -> Iterator[Bench]:
    """The health centers of `warm-referral prove`, made once for all tests that try its checks."""
    with bench(create_key_file) as made:
        yield made

"""One demo for all flow tests."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

sys.path.insert(0, str(Path(__file__).parent))  # the plain modules beside the tests; killable.py is a script of its own

from parties import Plays, ProgramSystem, Vault

from smart_app.demo import Place, probe_labels
from smart_app.tour.sandboxes import SandboxEhr, SandboxProgram


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test per Synthea patient of ``--data``; without real input, one that is skipped and says why."""
    if "synthea_patient" not in metafunc.fixturenames:
        return
    given = metafunc.config.getoption("--data")
    found = sorted(patient_of(path) for path in Path(given).glob("*.json")) if given else []
    reason = "needs real input: pytest --data FOLDER, a folder of Synthea FHIR R4 bundles"
    skipped = [pytest.param("", marks=pytest.mark.skip(reason), id="no-input")]
    metafunc.parametrize("synthea_patient", found or skipped)


def patient_of(bundle: Path) -> str:
    """The id of the one Patient of a Synthea bundle."""
    entries: list[dict[str, Any]] = json.loads(bundle.read_text(encoding="utf-8"))["entry"]
    return str(next(e["resource"]["id"] for e in entries if e["resource"]["resourceType"] == "Patient"))


@pytest.fixture(scope="session")
def ehr(demo: Place) -> SandboxEhr:
    return demo.sandboxes()[0]


@pytest.fixture(scope="session")
def program(demo: Place) -> SandboxProgram:
    return demo.sandboxes()[1]


@pytest.fixture(scope="session")
def plays(ehr: SandboxEhr, program: SandboxProgram) -> Plays:
    return Plays(ehr, program)


@pytest.fixture(scope="session")
def vault(demo: Place) -> Vault:
    return Vault(demo)


@pytest.fixture(scope="session")
def harbor(demo: Place) -> ProgramSystem:
    return ProgramSystem(demo)


@pytest.fixture
def proof_made_anew(demo: Place, turn: Callable[..., None]) -> Iterator[None]:
    """After a copy came back altered no other is written until there is a new proof: this makes one, as IT would."""
    yield
    turn(strip_labels=False, strip_labels_on_update=False)
    probe_labels(demo)


@pytest.fixture
def turn(ehr: SandboxEhr) -> Iterator[Callable[..., None]]:
    """``turn(expire_codes=True)`` makes the EHR misbehave until the end of the test."""
    before = requests.get(f"{ehr.control}/state", timeout=10).json()["knobs"]
    yield ehr.set
    ehr.set(**before)

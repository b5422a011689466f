"""A demo of its own for the doctor's tests: they spoil its EHR, its proof and its keys; others must not see that."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from click.testing import Result
from commands import run_command

from launch.doctor.site import DoctorSite
from smart_app.app import doctor_facts
from smart_app.demo import Place, Ports
from smart_app.settings import load

sys.path.insert(0, str(Path(__file__).parent))  # the plain modules beside the tests

PATIENT = "p-dana"


@dataclass(frozen=True)
class Clinic:
    """A health center with its app and the sandbox EHR, all running."""

    place: Place
    other_config: Path | None = None
    other_ehr: str | None = None

    @property
    def config(self) -> Path:
        """The settings file."""
        return self.other_config or self.place.config

    @property
    def issuer(self) -> str:
        """The registration with copies."""
        return f"{self.other_ehr or self.place.ehr_url}/a/fhir"

    def set(self, **knobs: Any) -> None:
        """Make the EHR misbehave."""
        requests.post(f"{self.place.ehr_control}/set", json=knobs, timeout=10).raise_for_status()

    def run(self, *arguments: str, env: dict[str, str] | None = None) -> Result:
        """``warm-referral`` with this clinic's settings."""
        return run_command(["--config", str(self.config), *arguments], env)

    def doctor(self, *more: str, issuer: str | None = None) -> dict[str, Any]:
        """A check-up without a browser, as JSON; ``exit`` is the exit code of the process."""
        result = self.run("doctor", issuer or self.issuer, "-o", "json", "--no-browser", *more)
        assert result.stdout.startswith("{"), result.output
        return {**json.loads(result.stdout), "exit": result.exit_code}

    def behind(self, front: str, config: Path, *, ehr: str | None = None) -> Clinic:
        """The same clinic with other settings (``config``, written here): ``front`` is its public address, and ``ehr``,
        if given, the address of its EHR."""
        said = self.place.config.read_text().replace(f'"{self.place.app_url}"', f'"{front}"')
        if ehr is not None:
            said = said.replace(f'"{self.place.ehr_url}/a/fhir"', f'"{ehr}/a/fhir"')
        config.write_text(said)
        return Clinic(self.place, config, ehr)

    def site(self) -> DoctorSite:
        """What the doctor's commands get from settings."""
        return DoctorSite.of(doctor_facts(load(self.config)))

    def launch_url(self, patient: str | None = PATIENT, user: str = "dr-lee", base: str = "a") -> str:
        """Where the EHR's chart page would send the browser."""
        wish = {"base": base, "user": user, "patient": patient}
        return str(requests.post(f"{self.place.ehr_control}/launch", json=wish, timeout=10).json()["url"])


@pytest.fixture(scope="session")
def running_clinic(
    start_process: Callable[..., Any], free_port: Callable[[], int], tmp_path_factory: pytest.TempPathFactory
) -> Clinic:
    place = Place(tmp_path_factory.mktemp("clinic"), Ports(*(free_port() for _ in range(6))))
    arguments = ["-m", "smart_app", "demo", "--directory", str(place.directory)]
    for name, port in vars(place.ports).items():
        arguments += [f"--{name.replace('_', '-')}-port", str(port)]
    start_process(*arguments, timeout_seconds=120)
    clinic = Clinic(place)
    clinic.doctor()  # the app now knows its EHR, so that a fault is seen by the doctor and not by the app first
    return clinic


@pytest.fixture
def clinic(running_clinic: Clinic) -> Iterator[Clinic]:
    """The running clinic, its EHR well behaved and its proof as it was made, before and after each test."""
    knobs = requests.get(f"{running_clinic.place.ehr_control}/state", timeout=10).json()["knobs"]
    proof = running_clinic.place.proof.read_bytes()
    yield running_clinic
    running_clinic.set(**knobs)
    _replace(running_clinic.place.proof, proof)


def _replace(path: Path, content: bytes) -> None:
    beside = path.with_suffix(".restored")
    beside.write_bytes(content)
    beside.replace(path)

"""A health center whose settings are complete, and which a test may change before it asks for a sheet."""

from __future__ import annotations

import base64
import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from launch.doctor.registration_sheet.subject import Subject, chosen, vendor
from launch.doctor.site import DoctorSite
from launch.keys import create_key_file
from smart_app.app import doctor_facts
from smart_app.cli import cli
from smart_app.settings import load
from smart_app.settings.words import toml_value

COMPLETE: Mapping[str, Any] = {
    "public_base_url": "https://care.riverside.example",
    "tenant_id": "riverside",
    "site": {"name": "Riverside Health Center", "phone": "555-0123", "time_zone": "America/Chicago"},
    "listing": {
        "company": "Riverside Group",
        "support_email": "apps@riverside.example",
        "support_url": "https://riverside.example/apps",
        "website": "https://riverside.example",
        "privacy_url": "https://riverside.example/apps/privacy",
        "terms_url": "https://riverside.example/apps/terms",
        "signs_proof": "Privacy officer and EHR manager",
    },
    "ehr": [
        {
            "id": "main-ehr",
            "name": "Main EHR",
            "issuer": "https://ehr.riverside.example/fhir/r4",
            "client_id": "client-4711",
            "frame_origins": ["https://chart.riverside.example", "https://ehr.riverside.example:8443"],
            "test_patients": ["test-patient-1", "test-patient-2"],
        }
    ],
}


@dataclass
class Center:
    """``settings`` may be changed; each run writes them to config.toml first."""

    folder: Path
    settings: dict[str, Any] = field(default_factory=lambda: copy.deepcopy(dict(COMPLETE)))

    @property
    def config(self) -> Path:
        """The settings file."""
        return self.folder / "config.toml"

    @property
    def ehr(self) -> dict[str, Any]:
        """The one EHR."""
        first: dict[str, Any] = self.settings["ehr"][0]
        return first

    def set(self, key: str, value: Any) -> None:
        """Change "listing.company", "ehr.issuer", "product_name"."""
        group, _, name = key.rpartition(".")
        place = {"": self.settings, "ehr": self.ehr}.get(group) or self.settings[group]
        place[name] = value

    def without(self, key: str) -> None:
        """Take a setting away."""
        group, _, name = key.rpartition(".")
        ({"": self.settings, "ehr": self.ehr}.get(group) or self.settings[group]).pop(name)

    def write(self) -> Path:
        """Write config.toml."""
        tops, blocks = [], []
        for name, value in self.settings.items():
            if name == "ehr":
                blocks += ["[[ehr]]\n" + _lines(one) for one in value]
            elif isinstance(value, dict):
                blocks.append(f"[{name}]\n" + _lines(value))
            else:
                tops.append(f"{name} = {toml_value(value)}\n")
        self.config.write_text("".join(tops) + "\n".join(blocks), encoding="utf-8")
        return self.config

    def run(self, *words: str, vendor_key: str = "epic") -> Result:
        """``warm-referral registration-sheet`` with these settings; files go to ``out``."""
        arguments = ["registration-sheet", "--ehr", vendor_key, "-o", str(self.out), *words]
        return CliRunner().invoke(cli, ["--config", str(self.write()), *arguments])

    @property
    def out(self) -> Path:
        """Where the files go."""
        return self.folder / "sheet"

    def subject(self, vendor_key: str = "epic") -> Subject:
        """What a sheet of these settings is about."""
        site = DoctorSite.of(doctor_facts(load(self.write())))
        return Subject(site, chosen(site, vendor_key, None), vendor(vendor_key))


def _lines(values: Mapping[str, Any]) -> str:
    return "".join(f"{name} = {toml_value(value)}\n" for name, value in values.items())


@pytest.fixture(scope="session")
def sheet_keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with signing keys and a master key."""
    folder = tmp_path_factory.mktemp("sheet-keys")
    create_key_file(folder / "keys.json")
    (folder / "master.key").write_text(base64.b64encode(bytes(32)).decode())
    (folder / "master.key").chmod(0o600)
    return folder


@pytest.fixture
def center(tmp_path: Path, sheet_keys: Path) -> Center:
    """A health center with complete settings and one EHR."""
    made = Center(tmp_path)
    made.settings |= {
        "database_url": f"sqlite:///{tmp_path / 'vault.sqlite3'}",
        "keys_file": str(sheet_keys / "keys.json"),
        "master_key_file": str(sheet_keys / "master.key"),
    }
    return made

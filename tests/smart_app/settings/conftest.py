"""A demo's folder with keys, settings and a proof of today, and what becomes of it when a setting is changed."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from launch.doctor.site_proof import Proof, a_year_after, write_proof
from launch.keys import create_key_file
from smart_app import demo
from smart_app.settings import Settings, SettingsError, load

TYPES = ("Observation", "ServiceRequest", "Appointment")
Change = Callable[[dict[str, Any]], None]


def production(settings: dict[str, Any]) -> None:
    """A health center's own settings instead of the demo's."""
    settings.pop("demo")
    settings.update(mode="production", public_base_url="https://care.example.org")
    settings["inbox"].update(public_base_url="https://inbox.example.org")
    for ehr in settings["ehr"]:
        ehr.update(issuer=f"https://ehr.example.org/{ehr['id']}", frame_origins=["https://ehr.example.org"])


@dataclass(frozen=True)
class Folder:
    """Where a demo or a health center keeps its settings, keys and proof."""

    demo: demo.Place

    @property
    def config(self) -> Path:
        return self.demo.config

    @property
    def proof(self) -> Path:
        return self.demo.proof

    @property
    def directory(self) -> Path:
        return self.demo.directory

    def change(self, *changes: Change) -> None:
        """Write the settings anew, in TOML as always."""
        settings = tomllib.loads(self.config.read_text())
        for change in changes:
            change(settings)
        self.config.write_text("\n".join(_toml(settings)))

    def loaded(self, *changes: Change) -> Settings:
        self.change(*changes)
        return load(self.config)

    def problems(self, *changes: Change) -> list[str]:
        with pytest.raises(SettingsError) as refused:
            self.loaded(*changes)
        return refused.value.problems

    def prove(self, registration_id: str, made_on: date, classes: dict[str, str] | None = None) -> None:
        """Write the site proof that settings name."""
        classes = dict.fromkeys(TYPES, "A") if classes is None else classes
        proof = Proof(registration_id, "EHR", "1", made_on, a_year_after(made_on), "tests", ("p-dana",), classes)
        write_proof(proof, self.proof)


@pytest.fixture(scope="session")
def settings_keys(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """One key file for all: making keys takes longer than reading settings."""
    path = tmp_path_factory.mktemp("keys") / "keys.json"
    create_key_file(path)
    return path.read_bytes()


@pytest.fixture
def folder(tmp_path: Path, settings_keys: bytes) -> Folder:
    place = demo.Place(tmp_path)

    def copy_keys(path: Path) -> None:
        path.write_bytes(settings_keys)
        path.chmod(0o600)

    demo.prepare(place, create_keys=copy_keys)
    made = Folder(place)
    made.prove("a", datetime.now(UTC).date())
    return made


@pytest.fixture
def as_production() -> Change:
    return production


def _toml(table: dict[str, Any], name: str = "") -> list[str]:
    lines = [f"[{name}]"] if name and not name.startswith("[") else [name] if name else []
    lines += [f"{json.dumps(k)} = {_value(v)}" for k, v in table.items() if not _is_table(k, v)]
    for key, value in table.items():
        if _is_table(key, value):
            below = f"{name.strip('[]')}.{key}" if name else key
            for one in value if isinstance(value, list) else [value]:
                lines += _toml(one, f"[[{below}]]" if isinstance(value, list) else below)
    return lines


def _is_table(key: str, value: Any) -> bool:
    if key == "ehr":
        return isinstance(value, list) and bool(value) and all(isinstance(one, dict) for one in value)
    return key in ("site", "demo", "inbox", "mail", "roles") and isinstance(value, dict)


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(key)} = {_value(inner)}" for key, inner in value.items()) + " }"
    return json.dumps(value)

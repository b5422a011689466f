"""Unsafe settings never start, and every mistake is named at once with its remedy (R41, R6)."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from launch.doctor.site_proof import Proof, a_year_after, write_proof
from launch.keys import create_key_file
from smart_app import demo
from smart_app.cli import cli
from smart_app.settings import Settings, SettingsError, load

TYPES = ("Observation", "ServiceRequest", "Appointment")
Change = Callable[[dict[str, Any]], None]


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """One key file for all: making keys takes longer than reading settings."""
    path = tmp_path_factory.mktemp("keys") / "keys.json"
    create_key_file(path)
    return path.read_bytes()


@pytest.fixture
def place(tmp_path: Path, keys: bytes) -> demo.Place:
    """A demo's folder with keys, settings and a proof that was made today."""
    made = demo.Place(tmp_path)

    def copy_keys(path: Path) -> None:
        path.write_bytes(keys)
        path.chmod(0o600)

    demo.prepare(made, create_keys=copy_keys)
    write_proof(proof_of("a", datetime.now(UTC).date()), made.proof)
    return made


def proof_of(registration_id: str, made_on: date) -> Proof:
    classes = dict.fromkeys(TYPES, "A")
    return Proof(registration_id, "EHR", "1", made_on, a_year_after(made_on), "tests", ("p-dana",), classes)


def loaded(place: demo.Place, change: Change = lambda _: None) -> Settings:
    """The demo's settings after ``change``, loaded from TOML as always."""
    settings = tomllib.loads(place.config.read_text())
    change(settings)
    place.config.write_text("\n".join(_toml(settings)))
    return load(place.config)


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
    return key in ("site", "demo", "roles") or (key == "ehr" and isinstance(value, list))


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_value(inner)}" for key, inner in value.items()) + " }"
    return json.dumps(value)


def production(settings: dict[str, Any]) -> None:
    """A health center's own settings instead of the demo's."""
    settings.pop("demo")
    settings.update(mode="production", public_base_url="https://care.example.org")
    for ehr in settings["ehr"]:
        ehr.update(issuer=f"https://ehr.example.org/{ehr['id']}", frame_origins=["https://ehr.example.org"])


def problems_after(place: demo.Place, change: Change) -> list[str]:
    with pytest.raises(SettingsError) as refused:
        loaded(place, change)
    return refused.value.problems


def test_the_demo_and_a_health_center_can_start(place: demo.Place) -> None:
    """What is safe starts, and settings are frozen from then on."""
    assert loaded(place).mode == "demo"
    settings = loaded(place, production)
    assert settings.placement.registrations["a"].proof is not None
    with pytest.raises(ValueError, match="frozen"):
        settings.product_name = "Other"


BAD: list[tuple[str, Change]] = [
    ("public_base_url", lambda s: s.update(public_base_url="http://care.example.org")),
    ("ehr.b.issuer", lambda s: s["ehr"][1].update(issuer="http://ehr.example.org/b")),
    ("master_key_file", lambda s: s.pop("master_key_file")),
    ("master_key_file", lambda s: s.update(master_key_file="/nowhere/master.key")),
    ("keys_file", lambda s: s.update(keys_file="/nowhere/keys.json")),
    ("site.time_zone", lambda s: s["site"].update(time_zone="Mars/Olympus")),
    ("site.weekdays", lambda s: s["site"].update(weekdays=[])),
    ("site.opens", lambda s: s["site"].update(opens="18:00:00")),
    ("placement", lambda s: s["ehr"][1].update(placement={"Condition": "ehr-and-vault"})),
    ("test_patients", lambda s: s["ehr"][1].update(environment="test", placement={"Observation": "ehr-and-vault"})),
    ("ehr.id", lambda s: s["ehr"][1].update(id="a")),
    ("frame_origins", lambda s: s["ehr"][1].update(frame_origins=[])),
    ("frame_origins", lambda s: s["ehr"][1].update(frame_origins=["https://*.example.org"])),
    ("confidentiality", lambda s: s.update(confidentiality="N")),
    ("audit", lambda s: s.update(audit="off")),
    ("tenant_id", lambda s: s.pop("tenant_id")),
    ("roles", lambda s: s["ehr"][0]["roles"].update({"Practitioner/x": "king"})),
    ("demo", lambda s: s.update(demo={"ehr_control": "http://127.0.0.1:1", "program_control": "http://127.0.0.1:2"})),
]


@pytest.mark.rule("R41")
@pytest.mark.parametrize(("key", "change"), BAD, ids=[f"{n}-{key}" for n, (key, _) in enumerate(BAD)])
def test_rule_R41_each_unsafe_value_refuses_the_start(place: demo.Place, key: str, change: Change) -> None:
    """An unsafe or wrong value stops the start and names its key, never its value.

    Break: let ``load`` return before it asks ``unsafe``.
    """

    def both(settings: dict[str, Any]) -> None:
        production(settings)
        change(settings)

    problems = problems_after(place, both)
    assert any(key in problem for problem in problems), problems


@pytest.mark.rule("R41")
def test_rule_R41_all_bad_keys_are_named_in_one_list(place: demo.Place) -> None:
    """Whoever sets it up mends everything in one go. Break: return the first group of problems in ``unsafe``."""

    def several(settings: dict[str, Any]) -> None:
        production(settings)
        settings.update(public_base_url="http://care.example.org", keys_file="/nowhere/keys.json")
        settings["site"].update(time_zone="Mars/Olympus")
        settings["ehr"][1].update(placement={"Condition": "ehr-and-vault"})

    problems = problems_after(place, several)
    for key in ("public_base_url", "keys_file", "site.time_zone", "ehr.b.placement"):
        assert any(problem.startswith(key) for problem in problems), problems


@pytest.mark.rule("R41")
@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("public_base_url", lambda s: s.update(public_base_url="http://care.example.org:8000")),
        ("bind_host", lambda s: s.update(bind_host="0.0.0.0")),
        ("ehr.b.issuer", lambda s: s["ehr"][1].update(issuer="http://ehr.example.org/b/fhir")),
        ("demo.ehr_control", lambda s: s["demo"].update(ehr_control="http://ehr.example.org:9001")),
    ],
)
def test_rule_R41_http_stays_on_this_computer(place: demo.Place, key: str, change: Change) -> None:
    """A demo with one public host does not start. Break: leave a host out of ``hosts`` in ``_mode_problems``."""
    assert any(problem.startswith(key) for problem in problems_after(place, change))


@pytest.mark.rule("R41")
def test_debug_pages_never_start(place: demo.Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A debugger that shows data to anyone is refused, wherever it was switched on."""
    monkeypatch.setenv("FLASK_DEBUG", "1")
    assert any("FLASK_DEBUG" in problem for problem in problems_after(place, lambda _: None))


@pytest.mark.rule("R6")
@pytest.mark.parametrize("proof", ["none", "another's", "unreadable"])
def test_rule_R06_copies_without_a_proof_of_this_ehr_refuse_the_start(place: demo.Place, proof: str) -> None:
    """Nobody switches write-back on by a word in a file: the proof of this very registration has to be there.

    Break: drop the two ``proof`` branches of ``_ehr_problems``.
    """
    if proof == "none":
        place.proof.unlink()
    elif proof == "unreadable":
        place.proof.write_text("{}")
    else:
        write_proof(proof_of("b", datetime.now(UTC).date()), place.proof)
    assert any(problem.startswith("ehr.a.proof_file") for problem in problems_after(place, lambda _: None))


@pytest.mark.rule("R6")
def test_an_expired_proof_never_stops_the_app(place: demo.Place) -> None:
    """A proof that ran out turns its feature off, not the app."""
    write_proof(proof_of("a", date(2020, 1, 1)), place.proof)
    proof = loaded(place).placement.registrations["a"].proof
    assert proof is not None
    assert proof.expires_on == date(2021, 1, 1)


def test_the_command_names_every_problem_and_stops_with_2(place: demo.Place) -> None:
    """At the command line a bad file is a list of sentences and exit code 2, never a trace."""
    problems_after(place, lambda s: s.update(bind_host="0.0.0.0", public_base_url="http://care.example.org"))
    result = CliRunner().invoke(cli, ["--config", str(place.config), "serve"])
    assert result.exit_code == 2
    assert "bind_host" in result.output
    assert "public_base_url" in result.output
    assert "Traceback" not in result.output
    missing = CliRunner().invoke(cli, ["--config", str(place.directory / "none.toml"), "migrate"])
    assert missing.exit_code == 2
    assert "no settings file" in missing.output

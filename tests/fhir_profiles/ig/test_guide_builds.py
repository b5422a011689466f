"""The guide compiles offline to what is committed, and another guide can build on it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

Payload = dict[str, Any]


def test_what_is_committed_is_what_the_fsh_gives(sushi: ModuleType, tmp_path: Path) -> None:
    """Nobody edits the compiled guide by hand: SUSHI, without a network, gives the same bytes and no new warning."""
    assert sushi.differences(sushi.compile_guide(tmp_path)) == [], "run `make guide` and commit what it changes"


def test_the_examples_are_what_our_builders_make(ig: Path) -> None:
    """An example never shows something that our software does not say."""
    command = [sys.executable, str(ig / "examples.py"), "--check"]
    run = subprocess.run(command, cwd=ig.parents[1], capture_output=True, text=True, timeout=120, check=False)
    assert (run.returncode, run.stdout) == (0, ""), run.stderr


def test_another_engine_holds_every_invariant(sushi: ModuleType, ig: Path) -> None:
    """Each invariant is kept by every valid example and broken by one invalid example, by code that is not ours."""
    command = ["node", str(ig / "invariants.js")]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.fixture(scope="module")
def package(build: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packed guide."""
    made: Path = build.pack(tmp_path_factory.mktemp("package") / "guide.tgz")
    return made


def test_the_package_is_a_fhir_package(build: ModuleType, package: Path, tmp_path: Path) -> None:
    """Who installs the guide finds every resource by its address, and the examples apart from the definitions."""
    build.unpack(package, "warm-referral.fhir#0.1.0", tmp_path)
    folder = tmp_path / ".fhir" / "packages" / "warm-referral.fhir#0.1.0" / "package"
    manifest = json.loads((folder / "package.json").read_text())
    assert manifest["name"] == "warm-referral.fhir"
    assert manifest["fhirVersions"] == ["4.0.1"]
    assert manifest["dependencies"] == {"hl7.fhir.r4.core": "4.0.1"}
    for place in (folder, folder / "example"):
        listed = json.loads((place / ".index.json").read_text())["files"]
        there = {path.name for path in place.glob("*.json")} - {"package.json", ".index.json"}
        assert {entry["filename"] for entry in listed} == there
    index = json.loads((folder / ".index.json").read_text())["files"]
    urls = {entry["url"] for entry in index if entry["resourceType"] == "StructureDefinition"}
    assert "https://warm-referral.example/fhir/StructureDefinition/referral-task" in urls


def test_packing_twice_gives_the_same_bytes(build: ModuleType, package: Path, tmp_path: Path) -> None:
    """A package can be compared with the one that somebody else built."""
    assert build.pack(tmp_path / "again.tgz").read_bytes() == package.read_bytes()


CONFIG = """canonical: https://other.example/fhir
status: draft
version: 0.0.1
fhirVersion: 4.0.1
FSHOnly: true
dependencies:
  warm-referral.fhir: 0.1.0
"""
FSH = """Profile: OurTask
Parent: https://warm-referral.example/fhir/StructureDefinition/referral-task
Id: our-task
* businessStatus 1..1

Profile: OurBundle
Parent: https://warm-referral.example/fhir/StructureDefinition/referral-bundle
Id: our-bundle
* entry[task].resource only OurTask
"""


def test_another_guide_derives_from_ours(sushi: ModuleType, package: Path, tmp_path: Path) -> None:
    """A program's own guide can depend on the package and narrow a profile of ours."""
    home = sushi.core_home(tmp_path / "home")
    sushi.unpack(package, "warm-referral.fhir#0.1.0", home)
    project = tmp_path / "other"
    (project / "input" / "fsh").mkdir(parents=True)
    (project / "sushi-config.yaml").write_text(CONFIG)
    (project / "input" / "fsh" / "OurTask.fsh").write_text(FSH)
    sushi.sushi(project, home)
    (path,) = project.rglob("StructureDefinition-our-task.json")
    derived = json.loads(path.read_text())
    assert derived["baseDefinition"] == "https://warm-referral.example/fhir/StructureDefinition/referral-task"
    element = {item["id"]: item for item in derived["snapshot"]["element"]}
    assert element["Task.businessStatus"]["min"] == 1
    assert element["Task.description"]["max"] == "0"


def test_a_fault_in_the_fsh_stops_the_build(sushi: ModuleType, tmp_path: Path) -> None:
    """An error or a new warning is not overlooked: the same project with an unknown parent is refused."""
    home = sushi.core_home(tmp_path / "home")
    project = tmp_path / "other"
    (project / "input" / "fsh").mkdir(parents=True)
    (project / "sushi-config.yaml").write_text(CONFIG.split("dependencies:")[0])
    (project / "input" / "fsh" / "OurTask.fsh").write_text("Profile: OurTask\nParent: NoSuchParent\nId: our-task\n")
    with pytest.raises(sushi.GuideError):
        sushi.sushi(project, home)

"""The house has one direction: smart_app -> launch -> fhir_profiles, and one door."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_import_contracts_hold() -> None:
    """No package reaches back, no page goes round the door, nobody imports the sandbox."""
    program = Path(sys.executable).parent / "lint-imports"
    result = subprocess.run([program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stdout[-3000:]


@pytest.mark.parametrize("package", ["smart_app", "launch", "fhir_profiles"])
def test_no_folder_is_named_after_nothing(package: str) -> None:
    """A file named utils, common or misc has no subject; it is not finished."""
    nameless = {"utils", "util", "common", "manager", "helper", "helpers", "base", "misc"}
    found = [path.name for path in (ROOT / package).rglob("*.py") if path.stem in nameless]
    assert found == []


def test_files_stay_near_one_subject() -> None:
    """A file that one reader cannot hold in mind is two files."""
    long = {
        path.relative_to(ROOT).as_posix(): lines
        for package in ("smart_app", "launch", "fhir_profiles")
        for path in (ROOT / package).rglob("*.py")
        if (lines := len(path.read_text().splitlines())) > 500
    }
    assert long == {}

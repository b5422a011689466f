"""What is installed from a wheel is whole: pages, settings and data come along."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

PACKAGES = ("smart_app", "launch", "fhir_profiles")
# The guide and what it is compiled from: a package of its own, not read when the app runs.
GUIDE = ("fhir_profiles/ig/", "fhir_profiles/definitions/")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory, require_tool: Callable[[str], str]) -> set[str]:
    """The names inside a wheel built from what git would give a newcomer."""
    root = Path(__file__).resolve().parents[2]
    folder = tmp_path_factory.mktemp("wheel")
    listed = [require_tool("git"), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    files = subprocess.run(listed, cwd=root, capture_output=True, check=True).stdout.decode().split("\0")
    for name in files:
        if name.startswith(PACKAGES) or name in ("pyproject.toml", "README.md", "LICENSE"):
            if not (root / name).is_file():
                continue
            copy = folder / "source" / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes((root / name).read_bytes())
    build = [sys.executable, "-m", "pip", "wheel", ".", "--no-deps", "--no-build-isolation", "-q", "-w", str(folder)]
    result = subprocess.run(build, cwd=folder / "source", capture_output=True, text=True, timeout=180, check=False)
    assert result.returncode == 0, result.stderr[-2000:]
    return set(zipfile.ZipFile(next(folder.glob("*.whl"))).namelist())


def test_wheel_holds_every_file_of_the_packages(wheel: set[str]) -> None:
    """A page that works from a checkout works when installed: templates, TOML, JSON, styles and fonts are inside."""
    root = Path(__file__).resolve().parents[2]
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *PACKAGES]
    files = subprocess.run(listed, cwd=root, capture_output=True, check=True).stdout.decode().split("\0")
    wanted = (name for name in files if name and not name.startswith(GUIDE))
    missing = sorted(name for name in wanted if (root / name).is_file() and name not in wheel)
    assert missing == []


def test_wheel_does_not_hold_the_guide(wheel: set[str]) -> None:
    """An app server does not carry five megabytes of guide that nothing reads while it runs."""
    assert [name for name in wheel if name.startswith(GUIDE)] == []


def test_wheel_brings_the_command(wheel: set[str]) -> None:
    """`warm-referral` is there after installing."""
    assert any(name.endswith(".dist-info/entry_points.txt") for name in wheel)

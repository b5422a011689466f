"""What we install is what we looked at: hashed locks without addresses, and none behind pyproject.toml."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ("requirements.lock", "requirements-dev.lock", "requirements-mutate.lock", "requirements-bootstrap.lock")
PIN = re.compile(r"([A-Za-z0-9._-]+)==([^\s;\\]+)( ; [^\\]+?)? \\")
HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}( \\)?")


def pins(lock: str) -> dict[str, str]:
    return {canonicalize_name(name): version for name, version, _ in PIN.findall((ROOT / lock).read_text())}


def wanted(section: str) -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    if section == "run":
        return [Requirement(line) for line in project["project"]["dependencies"]]
    return [Requirement(line) for line in project["dependency-groups"][section]]


@pytest.mark.parametrize("lock", LOCKS)
def test_every_line_of_a_lock_is_a_pin_or_a_hash(lock: str) -> None:
    """A lock holds names, versions and hashes only: no address, no registry's name, no option that could carry one."""
    lines = (ROOT / lock).read_text().splitlines()
    strange = [line for line in lines if line and not PIN.fullmatch(line) and not HASH.fullmatch(line)]
    assert not strange, strange[:3]
    assert lines


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_a_hash(lock: str) -> None:
    """A package that was changed after we chose it is refused."""
    text = (ROOT / lock).read_text()
    entries = re.split(r"\n(?=\S)", text.strip())
    assert [entry.splitlines()[0] for entry in entries if "--hash=sha256:" not in entry] == []


@pytest.mark.parametrize(
    ("lock", "section"),
    [
        ("requirements.lock", "run"),
        ("requirements-dev.lock", "run"),
        ("requirements-dev.lock", "dev"),
        ("requirements-mutate.lock", "mutate"),
    ],
)
def test_the_lock_holds_what_the_project_asks_for(lock: str, section: str) -> None:
    """A dependency added to pyproject.toml without `make lock` is found here, not on somebody's first day."""
    held = pins(lock)
    behind = [
        str(requirement)
        for requirement in wanted(section)
        if not requirement.specifier.contains(held.get(canonicalize_name(requirement.name), "0"))
    ]
    assert not behind, f"run `make lock`: {lock} lacks {behind}"


def test_the_app_runs_on_the_versions_that_were_tested() -> None:
    """The lock for running and the lock for testing name the same version of the same package."""
    run, dev = pins("requirements.lock"), pins("requirements-dev.lock")
    assert {name: (version, dev.get(name)) for name, version in run.items() if dev.get(name) != version} == {}


def test_the_lock_of_the_guides_tools_names_no_address() -> None:
    """Every Node package is pinned by its hash, and where it comes from is the installer's setting, not ours."""
    packages = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    # A package that lies inside another's archive (inBundle) is covered by that archive's hash.
    pinned = [name for name, facts in packages.items() if "integrity" in facts or facts.get("inBundle")]
    strange = [name for name in packages if name and name not in pinned]
    assert strange == []
    assert [name for name, facts in packages.items() if "resolved" in facts] == []
    assert "registry" not in (ROOT / "package-lock.json").read_text()


def test_the_lock_of_the_guides_tools_holds_what_package_json_asks_for() -> None:
    """The guide is compiled by the version that was measured, exactly."""
    asked = json.loads((ROOT / "package.json").read_text())["devDependencies"]
    held = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    assert {name: held[f"node_modules/{name}"]["version"] for name in asked} == asked

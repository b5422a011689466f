"""The guide as it is committed, and the tools that compile it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from scripts import load_script

ROOT = Path(__file__).resolve().parents[3]
IG = ROOT / "fhir_profiles" / "ig"
Payload = dict[str, Any]


@pytest.fixture(scope="session")
def ig() -> Path:
    """The folder of the guide's sources."""
    return IG


@pytest.fixture(scope="session")
def build() -> ModuleType:
    """The script that compiles and packs the guide."""
    return load_script(IG / "build.py")


@pytest.fixture(scope="session")
def sushi(build: ModuleType, require_tool: Callable[[str], str]) -> ModuleType:
    """The same, after making sure that Node and the locked tools are there."""
    require_tool("node")
    npm = require_tool("npm")
    if not build.SUSHI.exists():
        command = [npm, "ci", "--silent", "--ignore-scripts", "--no-audit", "--no-fund"]
        run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
        assert run.returncode == 0, f"npm ci:\n{run.stdout}{run.stderr}"
    return build


@pytest.fixture(scope="session")
def resources() -> dict[str, Payload]:
    """Every committed resource of the guide, "ValueSet/<id>" -> resource."""
    made = [json.loads(path.read_text()) for path in sorted((IG / "fsh-generated" / "resources").glob("*.json"))]
    return {f"{resource['resourceType']}/{resource['id']}": resource for resource in made}

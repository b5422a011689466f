"""Each dependency has one reason, written down where a reviewer looks for it."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]


def declared() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    lines = [
        *project["project"]["dependencies"],
        *(line for extra in project["project"]["optional-dependencies"].values() for line in extra),
        *(line for group in project["dependency-groups"].values() for line in group),
    ]
    tools = json.loads((ROOT / "package.json").read_text())
    assert "dependencies" not in tools, "Node runs in builds and checks only"
    return {Requirement(line).name.lower() for line in lines} | tools["devDependencies"].keys()


def test_each_dependency_has_one_line_in_docs() -> None:
    """Nothing is installed that nobody can give a reason for, and no reason is left for what is gone."""
    text = (ROOT / "docs" / "dependencies.md").read_text()
    explained = [name.lower() for name in re.findall(r"^\| `([\w.@/-]+)` \|", text, flags=re.MULTILINE)]
    assert sorted(explained) == sorted(set(explained)), "a dependency is explained twice"
    assert declared() | {"uv"} == set(explained)

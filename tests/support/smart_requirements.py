"""What SMART App Launch 2.2 asks of us and what shows it: ``tests/house/smart_requirements.toml`` and the markers.

``.venv/bin/python tests/support/smart_requirements.py`` writes docs/smart-requirements.md.
"""

from __future__ import annotations

import ast
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ASKED = ROOT / "tests" / "house" / "smart_requirements.toml"
PAGE = ROOT / "docs" / "smart-requirements.md"
MADE_BY = ".venv/bin/python tests/support/smart_requirements.py"

HEAD = f"""# SMART requirements and their tests

What SMART App Launch 2.2 asks of this app, in our words, and the test that shows it. Numbers are those of Inferno's
requirement set `hl7.fhir.uv.smart-app-launch_2.2.0`; all its SHALLs and SHOULDs for clients stand here, those for the
server of backend services that we are for programs, and the MAYs that we do. A test carries its numbers as markers:

```
make test ARGS="-k inferno"                              the ported cases of Inferno's client suite
grep -rn 'requirement("smart@60")' tests                 the tests of one requirement
```

This page is made by `{MADE_BY}`; `make check` fails when it and the markers part, and when
a requirement has neither a test nor a reason.
"""


@dataclass(frozen=True)
class Requirement:
    """One requirement. ``reason``: why no test shows it, "" where one does."""

    number: int
    level: str
    words: str
    group: str
    reason: str


def requirements() -> list[Requirement]:
    """All of the list, in its order."""
    content = tomllib.loads(ASKED.read_text())
    reasons = content["no_test"]
    return [
        Requirement(number, level, words, group["title"], reasons.get(str(number), ""))
        for group in content["group"]
        for number, level, words in group["rows"]
    ]


def reasons() -> dict[int, str]:
    """Number -> why no test shows it, also of numbers that are not on the list."""
    return {int(number): reason for number, reason in tomllib.loads(ASKED.read_text())["no_test"].items()}


@cache
def marked() -> dict[int, list[str]]:
    """Number -> "tests/<file>.py::<test>" of every test that carries it, in the order of files and lines."""
    found: dict[int, list[str]] = defaultdict(list)
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        file = path.relative_to(ROOT).as_posix()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                for number in _numbers(node):
                    found[number].append(f"{file}::{node.name}")
    return dict(found)


def _numbers(node: ast.FunctionDef) -> Iterator[int]:
    for mark in node.decorator_list:
        if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.requirement":
            for argument in mark.args:
                if isinstance(argument, ast.Constant):
                    yield int(str(argument.value).removeprefix("smart@"))


def page() -> str:
    """docs/smart-requirements.md as it has to be."""
    tests, parts, group = marked(), [HEAD], ""
    for one in requirements():
        if one.group != group:
            group = one.group
            parts.append(f"\n## {group}\n\n| id | | what is asked | shown by |\n|---|---|---|---|\n")
        shown = "; ".join(f"`{test}`" for test in tests.get(one.number, [])) or f"no test: {one.reason}"
        parts.append(f"| @{one.number} | {one.level} | {one.words} | {shown} |\n")
    return "".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page())

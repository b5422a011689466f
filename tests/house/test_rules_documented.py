"""docs/rules.md tells the truth: every rule and attack has a test that exists, or names the work that brings it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "docs" / "rules.md"
IDS = [f"R{number}" for number in range(1, 42)] + [f"attack {number}" for number in range(1, 16)]
WORK = re.compile(r"comes with the (launch|profiles|partner|door|pages|operations) work")
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
# These have their own test from the first release on.
FROM_THE_START = (1, 2, 3, 5, 6, 7, 9, 10, 12, 13, 16, 17, 18, 20, 21, 23, 27, 36, 37, 41)


@cache
def rows() -> dict[str, str]:
    found: dict[str, str] = {}
    for line in RULES.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
        if line.startswith("|") and cells[0] in IDS:
            assert cells[0] not in found, f"docs/rules.md has {cells[0]} twice"
            found[cells[0]] = cells[-1]
    return found


@cache
def functions(file: str) -> dict[str, ast.FunctionDef]:
    path = ROOT / file
    if not path.exists():
        return {}
    return {n.name: n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.FunctionDef)}


def marked_rules() -> Iterator[tuple[str, str, str]]:
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        file = path.relative_to(ROOT).as_posix()
        for name, node in functions(file).items():
            yield from ((file, name, rule) for rule in rules_of(node))


def rules_of(node: ast.FunctionDef) -> list[str]:
    return [
        str(argument.value)
        for mark in node.decorator_list
        if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.rule"
        for argument in mark.args
        if isinstance(argument, ast.Constant)
    ]


@pytest.mark.parametrize("rule", IDS)
def test_each_rule_has_a_test_or_names_the_work_that_brings_it(rule: str) -> None:
    """Nobody can forget a rule: each of the 41 rules and 15 attacks stands in docs/rules.md with its proof."""
    assert rule in rows(), f"docs/rules.md has no row for {rule}"
    proof = rows()[rule]
    assert TEST.search(proof) or WORK.search(proof), f"{rule}: neither a test nor the work that brings it"
    for file, name in TEST.findall(proof):
        assert name in functions(file), f"{rule}: docs/rules.md names {file}::{name}, which does not exist"


@pytest.mark.parametrize("number", FROM_THE_START)
def test_rules_of_the_first_release_are_proved_by_a_test_with_their_name(number: int) -> None:
    """A rule that protects people from the first release on is proved now, not promised."""
    tests = TEST.findall(rows()[f"R{number}"])
    assert any(name.startswith(f"test_rule_R{number:02d}_") for _, name in tests), (
        f"docs/rules.md: R{number} needs a test named test_rule_R{number:02d}_..."
    )


def named_after_a_rule() -> Iterator[tuple[str, str, ast.FunctionDef, str]]:
    """File, name, function and rule id of every test that carries a rule in its name."""
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        file = path.relative_to(ROOT).as_posix()
        for name, node in functions(file).items():
            if found := re.match(r"test_(rule_R|attack_)(\d+)_", name):
                yield file, name, node, ("R" if found[1] == "rule_R" else "attack ") + str(int(found[2]))


def test_every_test_named_after_a_rule_is_marked_with_it() -> None:
    """A test is found by its rule: `pytest -m rule` and docs/rules.md see what its name says."""
    problems = [
        f'{file}::{name} lacks @pytest.mark.rule("{rule}")'
        for file, name, node, rule in named_after_a_rule()
        if rule not in rules_of(node)
    ]
    assert not problems, "\n".join(problems)


def test_every_rule_says_how_to_see_its_test_fail() -> None:
    """For each rule that has a test, one of them names the line to break, so that nobody has to believe it."""
    told: dict[str, bool] = {}
    for _, _, node, rule in named_after_a_rule():
        says = re.search(r"\bbreak\b|\bfails when\b", (ast.get_docstring(node) or "").lower())
        told[rule] = told.get(rule, False) or says is not None
    assert [rule for rule, is_told in told.items() if not is_told] == []


def test_no_test_claims_a_rule_that_does_not_exist() -> None:
    """The ids in the tests are the ids of the rules."""
    unknown = [f"{file}::{name} claims {rule}" for file, name, rule in marked_rules() if rule not in IDS]
    assert not unknown, "\n".join(unknown)

"""No text without a remedy: whatever the gate can say, the command and the page for engineers say what to do."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from fhir_profiles.validation import examine, parse
from fhir_profiles.validation.remedies import remedies, remedy_of

ROOT = Path(__file__).resolve().parents[3]
NO_ISSUES = {"capability_statement.py"}  # sentences about the API, none of them an issue
CODE = [
    path
    for path in sorted((ROOT / "fhir_profiles").rglob("*.py"))
    if "ig" not in path.parts and path.name not in NO_ISSUES
]
INVALID = ROOT / "fhir_profiles" / "ig" / "invalid"


def texts_in(path: Path) -> set[str]:
    """Every sentence in the code that is no docstring: capital letter, three words at least, full stop; ``{}`` for what
    is filled in. By the style of this house, that is a text of an issue and nothing else."""
    tree = ast.parse(path.read_text())
    skip = {id(node) for node in _docstrings(tree)}
    skip |= {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    made = {_template(node) for node in ast.walk(tree) if id(node) not in skip}
    return {text for text in made if _is_sentence(text)}


def _is_sentence(text: str) -> bool:
    words = re.findall(r"[A-Za-z]+", text)
    return len(words) >= 3 and text.endswith(".") and (text[0].isupper() or text[0] == "{")


def _docstrings(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
            first = node.body[0]
            assert isinstance(first, ast.Expr)
            yield first.value


def _template(node: ast.AST) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
    return ""


@pytest.mark.parametrize("path", CODE, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_text_in_the_code_has_its_remedy(path: Path) -> None:
    """Who writes a new error text also says why it comes and what mends it. Breaks when a text is added alone."""
    known = {remedy.text for remedy in remedies()}
    assert texts_in(path) - known == set(), "add it to fhir_profiles/validation/remedies.toml"


def test_every_remedy_is_of_a_text_in_the_code() -> None:
    """A remedy of a text that nobody says any more misleads."""
    said = set().union(*map(texts_in, CODE))
    assert {remedy.text for remedy in remedies()} - said == set()


def test_issue_texts_are_written_as_sentences() -> None:
    """The search above finds them all: each text given to a report begins with a capital letter and ends in a stop."""
    calls = [node for path in CODE for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    told = [
        _template(call.args[-1])
        for call in calls
        if isinstance(call.func, ast.Attribute) and call.func.attr in ("add", "note") and len(call.args) > 1
    ]
    assert len(told) > 50
    assert [text for text in told if text and not _is_sentence(text)] == []


@pytest.mark.parametrize("entry", json.loads((INVALID / "index.json").read_text()), ids=lambda entry: entry["file"])
def test_every_issue_of_an_invalid_example_has_its_remedy(entry: dict[str, str]) -> None:
    """What the gate really says is found again in the table, words filled in."""
    issues = examine.examine(parse((INVALID / entry["file"]).read_bytes()), entry["profile"])
    assert issues
    assert [issue.text for issue in issues if remedy_of(issue.text) is None] == []


def test_a_remedy_is_the_one_that_fits_best() -> None:
    """A special text is not taken for a general one."""
    special = remedy_of("A date with time and zone is expected here, such as 2026-10-01T09:00:00Z.")
    assert special is not None
    assert special.text.startswith("A date with time and zone")
    general = remedy_of("The element meet is required.")
    assert general is not None
    assert general.do == "Add the element."
    assert remedy_of("Nobody says this.") is None


def test_each_remedy_says_why_and_what_to_do_once() -> None:
    """Nobody finds an empty cell, or two answers to one text."""
    assert all(remedy.why and remedy.do for remedy in remedies())
    assert len({remedy.text for remedy in remedies()}) == len(remedies())

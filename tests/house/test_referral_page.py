"""docs/referral-by-fhir.md is what the code says: the shortest referral, and every text and status there is."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from scripts import load_script

from fhir_profiles.validation import parse, validate
from fhir_profiles.validation.remedies import remedies
from launch.token_endpoint import DESCRIPTIONS
from smart_app import errors
from smart_app.policy import attestation

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGE = (DOCS / "referral-by-fhir.md").read_text()
Payload = dict[str, Any]
# What a program's request runs through, besides the gate.
ON_THE_WAY = ("api/partner_fhir", "workflows/inbound", "workflows/release", "workflows/status_update")
# Errors that only a page for staff raises.
FOR_PAGES = {"LockedError", "EhrUnavailableError"}


def maker() -> ModuleType:
    """The script that writes the made parts."""
    return load_script(DOCS / "make_referral_page.py")


def shown() -> Payload:
    """The referral as the page prints it."""
    block = PAGE.split("## The shortest referral", 1)[1].split("```json\n", 1)[1].split("```", 1)[0]
    made: Payload = parse(block.encode())
    return made


def rows() -> Iterator[list[str]]:
    """The cells of every table."""
    for line in PAGE.splitlines():
        if line.startswith("| ") and not line.startswith("|---"):
            yield [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def test_the_made_parts_are_as_the_code_makes_them() -> None:
    """Nobody edits them by hand, and a change in the code reaches the page. Breaks when a text of the gate changes."""
    command = [sys.executable, str(DOCS / "make_referral_page.py"), "--check"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert (run.returncode, run.stderr) == (0, ""), "run `python docs/make_referral_page.py`"


def test_the_referral_on_the_page_is_valid() -> None:
    """What an engineer copies is right, to the last letter."""
    assert shown() == json.loads(json.dumps(maker().shortest_referral(maker().SIGNED)))
    assert validate(shown(), "referral-bundle") == []


def _without_one(value: Any) -> Iterator[Any]:
    """The same value with one element or one item left out, each in turn."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield {name: other for name, other in value.items() if name != key}
            yield from ({**value, key: less} for less in _without_one(item))
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield [*value[:position], *value[position + 1 :]]
            yield from ([*value[:position], less, *value[position + 1 :]] for less in _without_one(item))


def test_nothing_can_be_left_out_of_it() -> None:
    """It is the shortest: without any one of its elements it is refused."""
    fewer = list(_without_one(shown()))
    assert len(fewer) > 100
    assert [json.dumps(one)[:200] for one in fewer if not validate(one, "referral-bundle")] == []


def test_every_text_of_the_gate_stands_on_the_page() -> None:
    """An engineer who is told something finds it here, with cause and remedy."""
    told = {cells[0] for cells in rows()}
    wanted = {one.text.replace("{}", "…") for one in remedies() if one.group in maker().GROUPS}
    assert {text for text in wanted if re.sub(r"<(\w[^>]*)>", r"`<\1>`", text) not in told} == set()


def test_every_error_of_the_api_stands_on_the_page() -> None:
    """Each class of refusal that a program can meet, with its status, issue code and words."""
    told = {(cells[0], cells[1].strip("`"), cells[2]) for cells in rows() if len(cells) == 5}
    classes = [item for item in vars(errors).values() if isinstance(item, type) and issubclass(item, errors.AppError)]
    for error in classes:
        if error.__name__ in FOR_PAGES | {"ConflictError"}:  # a conflict has words of its own each time
            continue
        constant = error.__name__ in ("NothingToShowError", "RefusedError")
        assert (str(error.status), error.code, "" if constant else error.words) in told, error.__name__


def _sentences(path: Path) -> Iterator[str]:
    tree = ast.parse(path.read_text())
    skip = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
            first = node.body[0]
            assert isinstance(first, ast.Expr)
            skip.add(id(first.value))
    for node in ast.walk(tree):
        if id(node) in skip:
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value
        elif isinstance(node, ast.JoinedStr):
            text = "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
        else:
            continue
        if re.fullmatch(r"[A-Z].*\.", text, re.DOTALL):
            yield text


@pytest.mark.parametrize("name", ON_THE_WAY)
def test_every_text_on_the_way_of_a_request_stands_on_the_page(name: str) -> None:
    """Who adds an error text to the API or to what it calls also adds its row. Breaks when a text is added alone."""
    told = {cell for cells in rows() for cell in cells}
    filled = {"Send {}.": "Send application/fhir+json."}
    filled["The performer is this clinic or {}."] = "The performer is this clinic or HealthcareService/nextday."
    found = {filled.get(text, text) for text in _sentences(ROOT / "smart_app" / f"{name}.py")}
    assert found, "nothing was looked at"
    assert found - told == set()


def test_every_condition_of_a_release_stands_on_the_page() -> None:
    """Each place where a release can fail is explained."""
    told = {(cells[0], cells[1]) for cells in rows() if len(cells) == 4}
    assert {(text, place) for place, text in attestation.WORDS.items()} - told == set()


def test_every_error_of_the_token_endpoint_stands_on_the_page() -> None:
    """Each OAuth error with its constant words."""
    told = {(cells[1].strip("`"), cells[2]) for cells in rows() if len(cells) == 5}
    assert set(DESCRIPTIONS.items()) - told == set()


def test_readers_find_the_page() -> None:
    """The README and the page for programs lead to it."""
    assert "(docs/referral-by-fhir.md)" in (ROOT / "README.md").read_text()
    assert "(referral-by-fhir.md" in (DOCS / "partner.md").read_text()

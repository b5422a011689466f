"""docs/health-center-it.md tells the truth: what it shows is what the commands print."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from it_page import MADE_BY, PAGE, SCENES, Stage, shape, shown

from launch.doctor.findings import ExitCode
from launch.doctor.report import OUTCOMES
from smart_app.demo import Place

EXIT_CODE = re.compile(r"^\| `(\d)` \| ", re.MULTILINE)


@pytest.fixture(scope="session")
def stage(demo: Place, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    return Stage(demo, tmp_path_factory.mktemp("it-page"))


@pytest.mark.parametrize("name", SCENES)
def test_the_page_shows_what_the_command_prints(name: str, stage: Stage, require_tool: Callable[[str], str]) -> None:
    """An IT reader who types what stands on the page reads what stands on the page, but for days, times and key ids."""
    if SCENES[name].needs_chromium:
        require_tool("chromium")
    assert shape(shown()[name]) == shape(stage.play(name)), f"run {MADE_BY}"


def test_nothing_is_shown_that_nobody_runs() -> None:
    """Each block on the page is one of the scenes that are run, and each scene has its block."""
    assert set(shown()) == set(SCENES)
    assert PAGE.read_text().count("<!-- shown: ") == len(SCENES)


def test_the_page_has_every_exit_code_of_the_doctor() -> None:
    """A script that reads exit codes finds each of them on the page, and no other."""
    part = PAGE.read_text().partition("### Exit codes of the doctor")[2].partition("\n## ")[0]
    known = {value for name, value in vars(ExitCode).items() if name.isupper()}
    assert {int(code) for code in EXIT_CODE.findall(part)} == known == set(OUTCOMES)


def test_each_line_of_the_report_is_explained() -> None:
    """Whatever the doctor names on the page, the table says what it looks at and whose work it is."""
    part = PAGE.read_text().partition("### What the lines mean")[2].partition("\n### ")[0]
    explained = set(re.findall(r"^\| `([a-z-]+)` \|", part, re.MULTILINE))
    printed = re.findall(r"^(?:green|WARNING|RED|-) +([a-z-]+)", "".join(shown().values()), re.MULTILINE)
    assert set(printed) <= explained
    assert len(set(printed)) >= 10


def test_no_path_of_a_machine_is_on_the_page() -> None:
    """What was run in a test folder is shown as if in a place where one would install."""
    assert "/tmp/" not in PAGE.read_text()
    assert str(Path.home()) + "/" not in PAGE.read_text()

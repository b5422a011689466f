"""docs/smart-requirements.md tells the truth: what SMART asks has a test that exists, or a reason why not."""

from __future__ import annotations

import re
from pathlib import Path

import smart_requirements
from smart_requirements import MADE_BY, PAGE, marked, page, reasons, requirements

LEVELS = {"SHALL", "SHALL NOT", "SHOULD", "SHOULD NOT", "MAY"}
# The numbers that Inferno's set gives to SHALLs of a client, so that no row can be dropped unseen.
CLIENT_SHALLS = """1-7 13 20-23 29 32-37 39-42 44 45 47 50-52 60-64 67-72 93 105 106 108 120-122 124 125 132 135 137 141
    143 146 150-153 155 156 161 166 191 196 201 202 211 215 216 218-220 225-227 229 230 232-238 264 270 290 291 293-295
    298 301 302 307-309 313-315 317-323 325 327-334 345 415 416"""
# What a server of backend services has to do, as far as our programs meet it.
SERVER_SHALLS = "249-251 253-256 258 261 265 266 272-279 285-289 296 297 310 335-341 344 372 373"


def _numbers(text: str) -> set[int]:
    found: set[int] = set()
    for first, last in re.findall(r"(\d+)(?:-(\d+))?", text):
        found |= set(range(int(first), int(last or first) + 1))
    return found


def _duties() -> set[int]:
    return {one.number for one in requirements() if one.level in ("SHALL", "SHALL NOT")}


def test_no_duty_is_missing_from_the_list() -> None:
    """A row that is dropped, given twice or made a mere wish is missed here."""
    numbers = [one.number for one in requirements()]
    assert len(numbers) == len(set(numbers))
    assert _numbers(CLIENT_SHALLS) | _numbers(SERVER_SHALLS) <= _duties()
    assert {one.level for one in requirements()} <= LEVELS


def test_each_requirement_has_a_test_or_a_reason() -> None:
    """Nobody can forget a requirement: each has a test that carries its number, or a sentence why it has none."""
    tests = marked()
    forgotten = [one.number for one in requirements() if not tests.get(one.number) and not one.reason]
    assert forgotten == [], "write a test with its marker, or a reason in smart_requirements.toml"


def test_no_reason_excuses_what_has_a_test() -> None:
    """A reason that no longer holds goes when the test comes; and it excuses nothing that is not on the list."""
    tests, listed = marked(), {one.number for one in requirements()}
    assert [number for number in reasons() if tests.get(number)] == []
    assert set(reasons()) <= listed
    assert all(len(reason) > 10 or re.fullmatch(r"As @\d+\.", reason) for reason in reasons().values())


def test_a_reason_that_points_elsewhere_points_at_one() -> None:
    """ "As @413." leads to a sentence, and a number in a reason to a requirement."""
    listed, given = {one.number for one in requirements()}, reasons()
    for number, reason in given.items():
        for other in map(int, re.findall(r"@(\d+)", reason)):
            assert other in listed, number
            if reason == f"As @{other}.":
                assert not given[other].startswith("As @"), number


def test_each_marker_names_a_requirement_of_the_list() -> None:
    """A mistyped number is not taken for a proof."""
    listed = {one.number for one in requirements()}
    assert {number: tests for number, tests in marked().items() if number not in listed} == {}


def test_the_page_says_what_the_markers_say() -> None:
    """A reader of the page finds every test, and only tests that are there."""
    assert PAGE.read_text() == page(), f"run {MADE_BY}"


def test_the_page_and_the_command_name_each_other() -> None:
    """Whoever finds the page out of date also finds what makes it anew."""
    assert MADE_BY in PAGE.read_text()
    assert MADE_BY.endswith(Path(smart_requirements.__file__).relative_to(PAGE.parents[1]).as_posix())

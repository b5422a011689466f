"""The scopes on a sheet are those that a launch asks, each with its reason."""

from __future__ import annotations

from itertools import combinations
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from launch.doctor.registration_sheet import subject as sheet_subject
from launch.doctor.registration_sheet.document import plain
from launch.doctor.registration_sheet.listing import scope_table
from launch.doctor.registration_sheet.subject import asked_scopes
from launch.doctor.site import SetUpError
from launch.registrations import Registration
from smart_app.settings import PLACEABLE

READABLE = ("CareTeam", "PractitionerRole")


def registration(write_types: Any, read_types: Any = (), syntax: str = "auto") -> Registration:
    return Registration(
        "main", "https://ehr.example/fhir", "app", "Main", ("https://ehr.example",), frozenset(write_types),
        scope_syntax=syntax, read_types=frozenset(read_types),
    )  # fmt: skip


def subsets(names: Any) -> list[tuple[str, ...]]:
    ordered = sorted(names)
    return [chosen for size in range(len(ordered) + 1) for chosen in combinations(ordered, size)]


@pytest.mark.parametrize(("listed", "column"), [(["permission-v2"], 0), ([], 1)], ids=["v2", "v1"])
@pytest.mark.parametrize("write_types", subsets(PLACEABLE), ids="-".join)
def test_scopes_on_the_sheet_are_those_of_a_launch(
    make_launch_app: Any, ehr: Any, write_types: tuple[str, ...], listed: list[str], column: int
) -> None:
    """What the vendor is told to allow is, scope by scope, what the browser then carries to the EHR.

    Breaks when ``asked_scopes`` leaves one out or spells it itself.
    """
    ehr.configuration_changes = {"capabilities": ["launch-ehr", "sso-openid-connect", *listed]}
    app = make_launch_app(ehr, write_types=write_types)
    opened = app.browser().get("/launch", query_string={"iss": ehr.fhir_base, "launch": "any"})
    sent = parse_qs(urlsplit(opened.headers["Location"]).query)["scope"][0].split()
    table = scope_table(asked_scopes(registration(write_types)), "auto", is_public=True)
    told = [plain(row[column]) if plain(row[column]) != "the same" else plain(row[0]) for row in table.rows]
    assert " ".join(told).split() == sent


@pytest.mark.parametrize("is_public", [True, False])
@pytest.mark.parametrize("syntax", ["auto", "v1", "v2"])
def test_each_scope_has_a_reason_in_both_texts(syntax: str, is_public: bool) -> None:
    """No scope is asked that nobody can explain, whatever is written or read, in either spelling."""
    for read_types in subsets(READABLE):
        table = scope_table(asked_scopes(registration(PLACEABLE, read_types, syntax)), syntax, is_public=is_public)
        assert len(table.rows) == 7 + len(PLACEABLE) + len(read_types)
        assert [row for row in table.rows if len(plain(row[-1])) < 20] == []
        assert all(len(row) == len(table.header) == len(table.widths) for row in table.rows)


def test_reasons_that_nobody_needs_are_not_kept() -> None:
    """The file of reasons holds those of the scopes that can be asked, and no other."""
    asked = {sheet_subject._without_interactions(one.v2) for one in asked_scopes(registration(PLACEABLE, READABLE))}
    assert set(sheet_subject._data("scope_reasons.toml")) == asked


def test_a_scope_without_a_reason_makes_no_sheet() -> None:
    """A scope that was added to the app and not explained is refused here, not discovered by a reviewer."""
    with pytest.raises(SetUpError, match="Nobody has written down why patient/Condition"):
        asked_scopes(registration(["Condition"]))

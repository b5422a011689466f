"""The page for IT shows what the command really says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from launch.doctor.registration_sheet.subject import VENDORS
from smart_app.cli import cli

PAGE = Path(__file__).resolve().parents[4] / "docs" / "health-center-it.md"


def section() -> str:
    return PAGE.read_text().split("## Register the app at your EHR\n")[1].split("\n## ")[0]


@pytest.fixture
def shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The commands of the page, from nothing, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    said = ("--public-base-url", "https://care.example.org", "--site-name", "Riverside Health Center")
    more = ("--site-phone", "555-0123", "--time-zone", "America/Chicago")
    for words in (
        ("init", *said, *more),
        ("ehr", "add", "https://ehr.example.org/fhir/r4", "--template", "epic"),
        ("registration-sheet", "--ehr", "epic"),
    ):
        result = CliRunner().invoke(cli, words)
    assert result.exit_code == 1
    return result


def test_output_on_the_page_is_that_of_the_command(shown: Any) -> None:
    """Somebody who follows the page sees the same lines, and the same table in the same file."""
    (block,) = re.findall(r"```\n\$ warm-referral registration-sheet --ehr epic\n(.*?)```", section(), re.DOTALL)
    assert block == shown.stdout + shown.stderr
    listing = Path("registration-epic/public/listing.md").read_text()
    rows = [line for line in section().split("Part of the listing:")[1].splitlines() if line.startswith("|")]
    assert len(rows) > 15
    assert "\n".join(rows[:12]) in listing
    assert [row for row in rows if row not in listing] == []


def test_page_names_every_vendor_and_every_text(shown: Any) -> None:
    """Nothing that the command can write is missing on the page."""
    words = section()
    assert [name for name in VENDORS if f"`{name}`" not in words] == []
    files = {path.with_suffix("").as_posix() for path in Path("registration-epic").rglob("*") if path.is_file()}
    assert [name for name in files if f"`{name.removeprefix('registration-epic/')}`" not in words] == []


def test_help_of_the_program_lists_the_command() -> None:
    """Whoever asks the program for help finds the sheet, and the sheet explains itself."""
    assert "registration-sheet" in CliRunner().invoke(cli, ["--help"]).stdout
    told = CliRunner().invoke(cli, ["registration-sheet", "--help"]).stdout
    for words in ("--ehr", "--text", "--format", "--output", "--replace", "--print", "Exit codes: 0", "confidential/"):
        assert words in told

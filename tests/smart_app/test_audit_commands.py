"""The log on the command line: listed, handed out as FHIR, and every look at it is in it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from fhir_profiles.validation import validate
from launch.doctor.site_proof import Proof, a_year_after, write_proof
from launch.keys import create_key_file
from smart_app import demo
from smart_app.cli import cli
from smart_app.foundation import lay_foundation
from smart_app.policy.access import Purpose, Requester, Role
from smart_app.settings import load

Run = Callable[..., Result]
MONTH = f"{datetime.now(UTC):%Y-%m}"


@pytest.fixture
def run(tmp_path: Path, empty_database: bytes) -> Run:
    """A health center in which one program asked for an item that is not there."""
    place = demo.Place(tmp_path / "demo")
    demo.prepare(place, create_keys=create_key_file)
    today = datetime.now(UTC).date()
    types = dict.fromkeys(("Observation", "ServiceRequest", "Appointment"), "A")
    write_proof(Proof("a", "none", "0", today, a_year_after(today), "test", (), types), place.proof)
    (place.directory / "vault.sqlite3").write_bytes(empty_database)
    program = Requester(Role.ADVOCATE, "Organization/harbor", Purpose.COC)
    with lay_foundation(load(place.config)).door.open_for(program, datetime.now(UTC)) as work:
        assert work.case_of("Task/nobody") is None

    def run_it(*words: str) -> Result:
        return CliRunner().invoke(cli, ["--config", str(place.config), "audit", *words])

    return run_it


@pytest.mark.rule("R26")
def test_rule_R26_every_look_at_the_log_is_in_it(run: Run) -> None:
    """Whoever reads the log at the console leaves a row, like everybody else.

    Break: in ``audit_rows`` leave out ``note_log_read``.
    """
    first = run("list", "--month", MONTH)
    assert first.exit_code == 0, first.output
    rows = [line.split("\t") for line in first.output.splitlines()]
    assert [row[2:5] for row in rows] == [
        ["Organization/harbor", "find", "not shown"],
        ["Device/console", "read-log", "done"],
    ]
    assert len(run("list").output.splitlines()) == 3
    assert run("list", "--action", "find").output.count("\n") == 1
    assert run("list", "--month", "2020-01").output == ""
    assert run("verify").output == "The audit chain holds: 5 rows.\n"


def test_the_log_is_handed_out_as_audit_events(run: Run) -> None:
    """Each access is one line of JSON that keeps our profile; what is none is counted."""
    answer = run("export")
    events = [json.loads(line) for line in answer.stdout.splitlines()]
    assert [validate(event, "access-audit-event") for event in events] == [[]]
    assert events[0]["outcome"] == "8"
    assert "1 rows are no access to an item" in answer.stderr


def test_a_month_is_a_month(run: Run) -> None:
    """A wrong month is told at once."""
    assert "2026-11" in run("list", "--month", "November").output

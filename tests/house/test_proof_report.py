"""The report in docs/ is of these checks, and the command says aloud when one of them fails."""

from __future__ import annotations

import re
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from smart_app.cli import cli
from smart_app.proofs import report
from smart_app.proofs.check import Check, ProofError
from smart_app.proofs.observers import OBSERVERS


def table(text: str, heading: str) -> list[str]:
    """First cells of the table under a heading."""
    part = text.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return [line.split(" | ")[0].removeprefix("| ") for line in part.splitlines() if line.startswith("| ")][1:]


def test_the_report_lists_every_check_and_observer(root: Path) -> None:
    """Whoever adds a check or an observer makes the report anew (`warm-referral prove --report
    docs/proof-report.md`), or this test says so."""
    text = (root / "docs" / "proof-report.md").read_text(encoding="utf-8")
    assert table(text, "Checks") == [check.name for check in report.CHECKS]
    assert table(text, "Observers") == [observer.name for observer in OBSERVERS]
    assert "failed**" not in text
    assert re.search(r"^- date: \d{4}-\d\d-\d\d$", text, re.MULTILINE)
    assert re.search(rf"^- checks: {len(report.CHECKS)}, 0 failed$", text, re.MULTILINE)


def test_names_of_checks_are_ids() -> None:
    """A check is named by one name, and a name is of one check."""
    names = [check.name for check in report.CHECKS]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("fails", [False, True])
def test_the_command_fails_with_a_check(
    prove_bench: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fails: bool
) -> None:
    """One check that does not hold is exit code 1, and it stands in the report with what was seen."""

    @contextmanager
    def ready(_: Any) -> Any:
        yield prove_bench

    def run(_: Any) -> None:
        if fails:
            raise ProofError("saw it | twice")

    monkeypatch.setattr(report, "bench", ready)
    monkeypatch.setattr(
        report, "CHECKS", (Check("one", "shows one thing", run), Check("two", "breaks", lambda _: 1 / 0))
    )
    if not fails:
        monkeypatch.setattr(report, "CHECKS", report.CHECKS[:1])
    done = CliRunner().invoke(cli, ["prove", "--report", str(tmp_path / "r.md")])
    text = (tmp_path / "r.md").read_text(encoding="utf-8")
    assert done.exit_code == (1 if fails else 0)
    assert ("FAILED  one: saw it | twice" in done.output) is fails
    assert ("**failed**: saw it \\| twice" in text) is fails
    assert ("**failed**: broke off with ZeroDivisionError" in text) is fails

"""The checks are themselves tried: each guard is removed once, and the check that is there for it has to say so."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from smart_app.gateways import judge
from smart_app.policy import access
from smart_app.proofs.report import CHECKS, run_one
from smart_app.proofs.two_worlds import Bench

FAULTS = sorted((Path(__file__).parent / "seeded_faults").glob("*.py"))
BY_NAME = {check.name: check for check in CHECKS}
FEWEST = 25


def loaded(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"seeded_fault_{file.stem}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def fresh_decisions() -> Iterator[None]:
    """No answer of the decision table is remembered from before a fault, nor from it."""
    for remembered in (access.decide, judge._turns_on_a_release):
        remembered.cache_clear()
    yield
    for remembered in (access.decide, judge._turns_on_a_release):
        remembered.cache_clear()


@pytest.mark.parametrize("file", FAULTS, ids=lambda file: file.stem)
def test_a_removed_guard_is_found(
    prove_bench: Bench, monkeypatch: pytest.MonkeyPatch, fresh_decisions: None, file: Path
) -> None:
    """With this guard gone, the check that is there for it fails, and it is a finding, no crash of the check."""
    fault = loaded(file)
    check = BY_NAME[fault.CHECK]
    with monkeypatch.context() as removed:
        fault.seed(removed, prove_bench)
        seen = run_one(check, prove_bench).seen
    assert seen is not None
    assert "broke off" not in seen


def test_there_are_enough_faults() -> None:
    """At least twenty-five guards are tried, and each group of checks by one fault or more."""
    assert len(FAULTS) >= FEWEST
    tried = {str(loaded(file).CHECK).partition(":")[0] for file in FAULTS}
    assert tried == {check.name.partition(":")[0] for check in CHECKS}

"""Runs every check and writes down what came of each, with the figures and the computer it ran on."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from smart_app.proofs import audit_chain, canaries, coming_in, headers, leak_paths, leaving, routes, two_worlds
from smart_app.proofs.check import Check, ProofError
from smart_app.proofs.observers import OBSERVERS, VARIANTS, Observer
from smart_app.proofs.two_worlds import Bench, bench

CHECKS: tuple[Check[Bench], ...] = tuple(
    check
    for module in (two_worlds, routes, headers, leak_paths, leaving, coming_in, canaries, audit_chain)
    for check in module.CHECKS
)
INTRODUCTION = (
    "Made by `warm-referral prove --report FILE` on health centers that are thrown away afterwards: four of them,",
    "equal but for one referral, with the real web apps, worker and database. All that an observer gets is compared:",
    "status, headers, body, size, SQL statements, log lines, outgoing calls, mails. Only clocks and random ids are",
    "made alike. `tests/house/seeded_faults` removes one guard after the other and sees a check fail for each.",
)
NOT_COMPARED = (
    "The privacy officer's two pages of the log, which name every item by right, in ids alone; the officer's other "
    "pages are compared, and to everybody else those two are not there.",
    "Time: measured elsewhere (`bench/`); here the number of SQL statements has to be equal.",
    "Whoever reads the database file sees its rows become more; what they hold is looked for under *canaries*.",
    "Counts per month (`fact`) grow with each referral. No page shows them yet; what will leave is totals with small "
    "cells suppressed.",
    "The EHR's own screens: shown against the sandbox EHR in `tests/flows/test_observers.py`, and by the site proof.",
    "Excluded people, break-glass users and proxies: their features are not there yet.",
)


@dataclass(frozen=True)
class Outcome:
    """One check: ``seen`` is None when it holds, else what was seen instead."""

    check: Check[Bench]
    seen: str | None

    @property
    def in_cell(self) -> str:
        """For a cell of a table."""
        if self.seen is None:
            return "ok"
        return "**failed**: " + self.seen.replace("|", "\\|").replace("\n", " ")


@dataclass(frozen=True)
class Report:
    """All of it."""

    outcomes: tuple[Outcome, ...]
    made_at: datetime
    figures: dict[str, str]

    @property
    def holds(self) -> bool:
        """Every check does."""
        return all(outcome.seen is None for outcome in self.outcomes)

    def as_markdown(self) -> str:
        """For ``docs/`` or an auditor's folder."""
        lines = [
            "# What was proven, and how",
            "",
            *INTRODUCTION,
            "",
            *(f"- {name}: {value}" for name, value in self.figures.items()),
            "",
            "## Checks",
            "",
            "| check | what it shows | result |",
            "|---|---|---|",
            *(f"| {one.check.name} | {one.check.says} | {one.in_cell} |" for one in self.outcomes),
            "",
            "## Observers",
            "",
            f"The one more referral is in turn {', '.join(VARIANTS[:-1])} and {VARIANTS[-1]}.",
            "",
            "| observer | is on the referral when it was |",
            "|---|---|",
            *(f"| {one.name} | {_variants_of(one)} |" for one in OBSERVERS),
            "",
            "## What is not compared, and why",
            "",
            *(f"- {line}" for line in NOT_COMPARED),
            "",
        ]
        return "\n".join(lines)


def prove(create_keys: Callable[[Path], None], say: Callable[[str], None]) -> Report:
    """Every check, each said aloud as it ends."""
    started, made_at = time.process_time(), datetime.now(UTC)
    with bench(create_keys) as made:
        outcomes = []
        for check in CHECKS:
            outcome = run_one(check, made)
            say(f"{'ok    ' if outcome.seen is None else 'FAILED'}  {check.name}: {outcome.seen or check.says}")
            outcomes.append(outcome)
        senses, compared = made.senses, made.compared_bytes
    figures = {
        "date": f"{made_at:%Y-%m-%d}",
        "computer": f"{os.cpu_count()} processors ({platform.machine()}), Python {platform.python_version()}, SQLite",
        "observers": str(len(OBSERVERS)),
        "checks": f"{len(outcomes)}, {sum(one.seen is not None for one in outcomes)} failed",
        "requests": f"{senses.requests:,}",
        "bytes compared between worlds": f"{compared:,}",
        "SQL statements": f"{senses.statements.total:,}",
        "processor seconds": f"{time.process_time() - started:.0f}",
    }
    return Report(tuple(outcomes), made_at, figures)


def run_one(check: Check[Bench], made: Bench) -> Outcome:
    """A check that breaks has not shown anything, so it failed."""
    try:
        check.run(made)
        seen = None
    except ProofError as error:
        seen = str(error)
    except Exception as error:
        seen = f"broke off with {type(error).__name__}"
    return Outcome(check, seen)


def _variants_of(observer: Observer) -> str:
    return ", ".join(variant for variant in VARIANTS if variant in observer.is_on_it) or "never"

"""pyrofile-validator, which shares no code with our gate, is asked about the same resources: valid, invalid, generated.

It reads HL7's definitions and our compiled guide by itself. What it reports wrongly is a table with a reason and a link
for each line (``pyrofile_false_reports.toml``), and what it does not see is a table here; both must stay needed.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from pyrofile_validator import Validator
from pyrofile_validator.config import ValidatorConfig
from scripts import load_script

from fhir_profiles.validation import PROFILES, validate
from fhir_profiles.validation.examine import examine

Payload = dict[str, Any]
ROOT = Path(__file__).resolve().parents[3]
GUIDE = ROOT / "fhir_profiles" / "ig"
SYNTHEA = ROOT.parent / "shared" / "fhir" / "synthea"
REPORTS = tomllib.loads((Path(__file__).parent / "pyrofile_false_reports.toml").read_text())["report"]
LINES = {(report["code"], path): report for report in REPORTS for path in report["paths"]}
INDEX: list[dict[str, str]] = json.loads((GUIDE / "invalid" / "index.json").read_text())
EACH = 20  # generated resources of each of four types
EVERY = 61  # of the mistakes in the examples every sixty-first; odd, so that all four kinds have their turn

# What is wrong in these is beyond its sight.
INSIDE = "It does not look into an extension that is made of extensions."
VALUE = "It does not hold an extension's value to the value set of its definition."
LETS_THROUGH = {
    "referral-service-request/person-as-requester.json": "It holds a reference to R4's targets, not to a profile's.",
    "safe-contact/no-way-to-meet.json": INSIDE,
    "safe-contact/number-without-safe-contact.json": INSIDE,
    "safe-contact/longer-than-30-days.json": INSIDE,
    "safe-contact/mail-address.json": INSIDE,
    "safe-contact/voicemail-without-number.json": INSIDE,
    "safe-contact/hours-backwards.json": INSIDE,
    "partnership-mou/no-document.json": INSIDE,
    "partnership-mou/promise-of-no-time.json": INSIDE,
    "mou/no-promise.json": INSIDE,
    "mou/promise-in-hours.json": INSIDE,
    "mou/document-in-words.json": INSIDE,
    "release-consent/unknown-signer.json": VALUE,
    "release-signer/unknown-signer.json": VALUE,
    "release-tier/unknown-tier.json": VALUE,
    "appointment-ehr-copy/based-on.json": "The copy claims no profile, so it is held to R4 alone.",
    "appointment-ehr-copy/sensitive-label.json": "The copy claims no profile, so it is held to R4 alone.",
    "referral-bundle/extra-resource.json": "What it says of closed entries is in the table of false reports.",
}


@dataclass
class SecondOpinion:
    """pyrofile-validator with R4's definitions and our guide, and which lines of the table were needed so far."""

    validator: Validator
    needed: Counter[tuple[str, str]] = field(default_factory=Counter)

    def errors(self, payload: Payload) -> list[str]:
        """The paths of its errors that are not in the table of false reports."""
        with contextlib.redirect_stdout(io.StringIO()):  # fhirpathpy's trace() prints
            report = self.validator.validate_resource(deepcopy(payload))
        found = []
        for issue in report.errors:
            line = issue.code, re.sub(r"\[\d+\]", "", issue.path or "")
            if line in LINES:
                self.needed[line] += 1
            else:
                found.append(f"{issue.code} at {issue.path}")
        return found


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> SecondOpinion:
    """Made once: it reads all of R4 in three seconds."""
    sources = [*sorted((ROOT / "fhir_profiles" / "definitions").glob("*.tgz")), GUIDE / "fsh-generated" / "resources"]
    config = ValidatorConfig(
        local_package_paths=[str(source) for source in sources],
        package_cache_dir=str(tmp_path_factory.mktemp("pyrofile")),
    )
    return SecondOpinion(Validator(config))


@pytest.fixture(scope="module")
def maker() -> Any:
    """The maker of distinct resources that the bench uses."""
    return load_script(ROOT / "bench" / "validation.py").Maker(7)


@pytest.fixture(scope="module")
def on_valid(second: SecondOpinion) -> dict[str, list[str]]:
    """What it says of each valid example."""
    files = sorted((GUIDE / "input" / "examples").glob("*.json"))
    return {file.name: second.errors(json.loads(file.read_text())) for file in files}


@pytest.fixture(scope="module")
def on_records(second: SecondOpinion) -> list[tuple[str, bool, list[str]]]:
    """(type, is it wrong for our gate, what it says) of public records: two of each type and person, and all that our
    gate finds wrong."""
    first: Counter[tuple[str, str]] = Counter()
    told = []
    for file in sorted(SYNTHEA.glob("*.json")):
        for entry in json.loads(file.read_text())["entry"]:
            resource = entry["resource"]
            kind = resource["resourceType"]
            first[file.name, kind] += 1
            is_wrong = any(issue.severity == "error" for issue in examine(resource, kind))
            if is_wrong or first[file.name, kind] <= 2 or (kind == "Claim" and "procedure" in resource):
                told.append((kind, is_wrong, second.errors(resource)))
    assert first.total() > 200
    return told


def test_it_agrees_on_every_valid_example(on_valid: dict[str, list[str]]) -> None:
    """What a partner copies from the guide is right for R4 and for our profiles by somebody else's reading too."""
    assert {name: errors for name, errors in on_valid.items() if errors} == {}
    assert len(on_valid) > 30


def test_it_agrees_on_every_invalid_example_that_it_can_see(second: SecondOpinion) -> None:
    """What the guide calls wrong is wrong for it too; the few that it lets through are listed, each with its reason."""
    passed = {
        row["file"] for row in INDEX if not second.errors(json.loads((GUIDE / "invalid" / row["file"]).read_text()))
    }
    assert passed == LETS_THROUGH.keys() & {row["file"] for row in INDEX}


def test_it_agrees_on_generated_resources(second: SecondOpinion, maker: Any) -> None:
    """Tasks, requests, releases and visits as our builders write them, each different, are right for both."""
    makes: dict[str, Callable[[], Payload]] = {
        "referral-task": maker.task,
        "referral-service-request": maker.service_request,
        "release-consent": maker.consent,
        "proposed-appointment": maker.appointment,
    }
    for profile, make in makes.items():
        for _ in range(EACH):
            payload = make()
            assert second.errors(payload) == []
            assert validate(payload, profile) == []


def _mistakes(payload: Payload) -> Iterable[tuple[str, Payload]]:
    """(kind, broken copy): a value gone, of another JSON kind, a text that no element takes, a strange element."""

    def walk(value: Any, way: tuple[Any, ...]) -> Iterable[tuple[Any, ...]]:
        for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
            if key not in ("resourceType", "meta", "id"):  # a number as id stops it with a TypeError
                yield (*way, key)
                yield from walk(value[key], (*way, key))

    def broken(way: tuple[Any, ...], change: Callable[[Any, Any], None]) -> Payload:
        copy = deepcopy(payload)
        target: Any = copy
        for step in way[:-1]:
            target = target[step]
        change(target, way[-1])
        return copy

    for way in walk(payload, ()):
        yield "gone", broken(way, lambda target, step: target.pop(step))
        yield "kind", broken(way, lambda target, step: target.__setitem__(step, 7))
        yield "text", broken(way, lambda target, step: target.__setitem__(step, "2026-02-30 x"))
        yield "strange", broken(way, lambda target, step: target.__setitem__(step, {"banana": 1}))


def test_what_it_finds_our_gate_finds(second: SecondOpinion, valid_examples: list[Any]) -> None:
    """Mistakes at all kinds of places: none that it sees passes our gate, and it sees most of what our gate sees."""
    broken = [
        (example, kind, copy)
        for example in valid_examples
        if not example.name.startswith("Bundle")
        for kind, copy in _mistakes(example.payload)
    ]
    seen: Counter[str] = Counter()
    missed = []
    for example, kind, copy in islice(broken, 0, None, EVERY):
        ours = [issue for issue in validate(copy, example.profile) if issue.severity == "error"]
        try:
            theirs = second.errors(copy)
        except (AttributeError, KeyError, TypeError):
            seen["it fell"] += 1  # it takes a code for a list, say, and has no opinion then; ours must not fall
            continue
        seen[f"{kind} both" if ours and theirs else f"{kind} ours" if ours else f"{kind} none"] += 1
        if theirs and not ours:
            missed.append((example.name, kind, theirs))
    assert missed == []
    assert {"gone both", "kind both", "text both", "strange both"} <= seen.keys()
    both = sum(count for name, count in seen.items() if name.endswith("both"))
    assert both > 0.5 * seen.total() > 25
    assert seen["it fell"] <= 0.05 * seen.total()


needs_records = pytest.mark.skipif(not SYNTHEA.is_dir(), reason="../shared/fhir/synthea is not beside this checkout")


@needs_records
def test_it_agrees_on_the_records_of_synthetic_patients(on_records: list[tuple[str, bool, list[str]]]) -> None:
    """Our gate finds no error in a public record that it does not find, and it none that our gate does not."""
    assert [(kind, is_wrong, errors) for kind, is_wrong, errors in on_records if is_wrong is not bool(errors)] == []
    assert len({kind for kind, _, _ in on_records}) > 8


@pytest.mark.usefixtures("on_valid")
def test_each_line_of_the_table_of_false_reports_is_needed(second: SecondOpinion) -> None:
    """A false report that a new version no longer makes leaves the table, so nothing true hides behind it."""
    assert {line for line, report in LINES.items() if "where" not in report} - second.needed.keys() == set()
    assert len(LINES) == sum(len(report["paths"]) for report in REPORTS)
    for report in REPORTS:
        assert report["why"]
        assert report["link"].startswith("https://hl7.org/fhir/R4/")


@needs_records
@pytest.mark.usefixtures("on_records")
def test_each_line_about_the_records_is_needed(second: SecondOpinion) -> None:
    """The same for what it reports in the public records alone."""
    lines = {line for line, report in LINES.items() if report.get("where") == "synthea"}
    assert lines
    assert lines - second.needed.keys() == set()


def test_every_profile_of_a_door_was_asked(valid_examples: list[Any]) -> None:
    """No profile is left without a second opinion on at least one valid example of it."""
    assert {example.profile for example in valid_examples} == PROFILES.keys()

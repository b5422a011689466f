"""``warm-referral validate``: three forms, three exit codes, and never a value or a key of the sender's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from fhir.resources.R4B import get_fhir_model_class

from fhir_profiles.validation import examine
from fhir_profiles.validation.remedies import remedy_of
from smart_app.cli import cli

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "fhir_profiles" / "ig" / "input" / "examples"
INVALID = ROOT / "fhir_profiles" / "ig" / "invalid"
GOOD = EXAMPLES / "Bundle-inbound-urn.json"
BAD = INVALID / "referral-task" / "status-received.json"
Payload = dict[str, Any]
Write = Callable[..., str]
NOT_ONE_OF_FOUR = "draft, requested, accepted, rejected, in-progress, on-hold, completed, cancelled, failed"


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Put bytes or a payload into a file; its path."""

    def write(content: bytes | Payload, name: str = "it.json") -> str:
        file = tmp_path / name
        file.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        return str(file)

    return write


def run(*arguments: str | Path, given: bytes | None = None) -> Result:
    """The command, in this process."""
    return CliRunner().invoke(cli, ["validate", *map(str, arguments)], input=given)


def lines(*arguments: str | Path, given: bytes | None = None) -> list[Payload]:
    """What it prints as JSON lines."""
    return [json.loads(line) for line in run("--format", "jsonl", *arguments, given=given).stdout.splitlines()]


def process(*arguments: str | Path, given: bytes = b"", **environment: str) -> subprocess.CompletedProcess[bytes]:
    """The command as a shell starts it."""
    return subprocess.run(
        [sys.executable, "-m", "smart_app", "validate", *map(str, arguments)],
        input=given,
        capture_output=True,
        cwd=ROOT,
        env={**os.environ, **environment},
        timeout=120,
        check=False,
    )


def test_a_program_of_its_own_checks_a_good_and_a_bad_file() -> None:
    """Run from a shell: 0 for what a clinic takes, 1 for what it refuses, and the place in FHIRPath."""
    good = process(GOOD)
    assert (good.returncode, good.stderr) == (0, b"")
    assert good.stdout.decode().splitlines()[-1].startswith(f"{GOOD}: valid as referral-bundle")
    bad = process(GOOD, BAD)
    assert bad.returncode == 1
    assert f"{BAD}: error code-invalid at Task.status: One of these codes is expected here: {NOT_ONE_OF_FOUR}" in (
        bad.stdout.decode()
    )


def test_standard_input_and_a_plain_locale() -> None:
    """ "-" is read from a pipe, and no locale breaks the machine's forms."""
    found = process("--format", "jsonl", "-", given=BAD.read_bytes(), LC_ALL="C", PYTHONUTF8="0")
    assert found.returncode == 1
    (line,) = [json.loads(line) for line in found.stdout.splitlines()]
    assert line["file"] == "-"
    assert "Task.status" in [issue["expression"] for issue in line["issues"]]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--format", "xml", str(GOOD)],
        ["--profile", "no-such-profile", str(GOOD)],
        ["--profile", "https://example.org/StructureDefinition/other", str(GOOD)],
        ["--quiet", str(GOOD)],
    ],
)
def test_a_wrong_call_is_two(arguments: list[str]) -> None:
    """A typing mistake is told apart from an invalid resource."""
    found = run(*arguments)
    assert (found.exit_code, found.stdout) == (2, "")
    assert "Usage:" in found.stderr


def test_an_unknown_profile_is_answered_with_the_known_ones() -> None:
    """Who mistypes a profile sees its name in the list."""
    assert "referral-bundle" in run("--profile", "referal-bundle", GOOD).stderr


def test_json_lines_have_exactly_these_keys() -> None:
    """One line for each input, in order, each issue with the four keys that scripts rely on."""
    found = lines(GOOD, BAD, GOOD)
    assert [line["file"] for line in found] == [str(GOOD), str(BAD), str(GOOD)]
    assert all(list(line) == ["file", "issues"] for line in found)
    issues = [issue for line in found for issue in line["issues"]]
    assert issues
    assert all(list(issue) == ["severity", "code", "expression", "text"] for issue in issues)
    assert [issue for issue in found[0]["issues"] if issue["severity"] == "error"] == []


def test_each_outcome_is_an_operation_outcome_of_r4() -> None:
    """A FHIR tool can read every answer: one OperationOutcome in each line, valid R4 itself."""
    found = run("--format", "outcome", GOOD, BAD, ROOT / "nowhere.json", *sorted(INVALID.glob("*/*.json")))
    assert found.exit_code == 1
    outcomes = [json.loads(line) for line in found.stdout.splitlines()]
    assert len(outcomes) == 3 + len(list(INVALID.glob("*/*.json")))
    for outcome in outcomes:
        get_fhir_model_class("OperationOutcome").model_validate(outcome)
        assert [issue for issue in examine.examine(outcome) if issue.severity == "error"] == []
    assert outcomes[0]["issue"][0]["severity"] == "information"
    assert outcomes[1]["issue"][0]["expression"] == ["Task.status"]


def test_the_text_says_what_to_do() -> None:
    """A person reads the place, what is wrong, what mends it, and a sum."""
    found = run(BAD)
    told = found.stdout.splitlines()
    assert told[0].startswith(f"{BAD}: error ")
    assert told[1].startswith("    Use one of those listed.")
    assert told[-1] == f"{BAD}: 1 error as referral-task"


TELLS: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "The file is empty."),
    "white": (b" \n\t", "The file is empty."),
    "xml": (b'<?xml version="1.0"?><Patient xmlns="http://hl7.org/fhir"/>', "This is XML, and only JSON is read here."),
    "html": (b"\n<!DOCTYPE html><title>Sign in</title>", "This is XML, and only JSON is read here."),
    "packed": (b"PK\x03\x04\x00\x00", "This is no text: it may be packed, encrypted, or in UTF-16."),
    "utf-16": (
        '{"resourceType":"Task"}'.encode("utf-16-le"),
        "This is no text: it may be packed, encrypted, or in UTF-16.",
    ),
    "latin-1": ('{"resourceType":"Pätient"}'.encode("latin-1"), "The body is not UTF-8."),
    "byte order mark": (
        b'\xef\xbb\xbf{"resourceType":"Task"}',
        "The file begins with a byte order mark, which JSON does not allow.",
    ),
    "ndjson": (
        b'{"resourceType":"Task"}\n{"resourceType":"Task"}\n',
        "These are several JSON documents, one in each line (NDJSON).",
    ),
    "list": (b'[{"resourceType":"Task"}]', "This is a JSON list, and one resource is expected."),
    "number": (b"7", "The body is not a JSON object."),
    "broken": (
        b'{"resourceType": "Task",\n "status": }',
        "The body is not valid JSON: it breaks at line 2, column 12.",
    ),
    "cut off": (b'{"resourceType": "Task", "code": {', "The body is not valid JSON: it breaks at line 1, column 35."),
    "deep": (b'{"a":' * 600 + b"1" + b"}" * 600, "The body is nested more than 40 levels deep."),
    "large": (b'{"a":"' + b"x" * 10_000_000 + b'"}', "The body is larger than 1 MB."),
    "half a character": (b'{"resourceType":"\\ud800"}', "The body holds half a character."),
    "no resource": (b'{"name":"Robin"}', "No FHIR resource: the element resourceType is required."),
    "of R5": (
        b'{"resourceType":"Transport","status":"in-progress"}',
        "This resource type is not one of FHIR R4 (4.0.1).",
    ),
}


@pytest.mark.parametrize("name", TELLS)
def test_what_is_no_resource_is_told_kindly(name: str, write: Write) -> None:
    """Wrong file, wrong format, wrong encoding: one issue that says what it is, and a remedy; never an exception."""
    content, text = TELLS[name]
    (line,) = lines(write(content))
    assert [issue["text"] for issue in line["issues"]] == [text]
    assert line["issues"][0]["severity"] == "error"
    assert remedy_of(text) is not None
    assert run(write(content)).exit_code == 1
    assert run(write(content), "--profile", "referral-bundle").exit_code == 1


def test_a_doubled_key_is_found_without_being_named(write: Write) -> None:
    """The engineer is led to the object; the key stays theirs."""
    (line,) = lines(write(b'{"resourceType":"Task","code":{"coding":[{},{"Marlowe":1,"Marlowe":2}]}}'))
    (issue,) = line["issues"]
    assert (issue["expression"], issue["text"]) == ("Task.code.coding[1]", "A key stands twice in one object.")


def test_a_file_that_cannot_be_read_does_not_hide_the_others(tmp_path: Path) -> None:
    """A path that is wrong, a folder, a file without permission: each is an issue of its own line."""
    locked = tmp_path / "locked.json"
    locked.write_text("{}")
    locked.chmod(0)
    found = lines(
        tmp_path / "none.json", tmp_path, GOOD, GOOD / "below", *([locked] if not os.access(locked, os.R_OK) else [])
    )
    codes = [[(issue["severity"], issue["code"]) for issue in line["issues"]] for line in found]
    assert codes[0] == [("error", "not-found")]
    assert codes[1] == [("error", "not-supported")]
    assert ("error", "structure") not in codes[2]
    assert codes[3] == [("error", "not-found")]
    assert codes[4:] in ([], [[("error", "forbidden")]])
    assert run(tmp_path / "none.json", GOOD).exit_code == 1


def test_endless_input_is_read_no_further_than_the_limit() -> None:
    """A pipe that never ends is refused after a megabyte."""
    with Path("/dev/zero").open("rb") as zeros:
        found = subprocess.run(
            [sys.executable, "-m", "smart_app", "validate", "--format", "jsonl", "-"],
            stdin=zeros,
            capture_output=True,
            cwd=ROOT,
            timeout=120,
            check=False,
        )
    assert found.returncode == 1
    assert json.loads(found.stdout)["issues"][0]["code"] == "too-long"


def test_the_profile_is_asked_by_id_by_address_and_by_type() -> None:
    """Each name of a profile leads to the same look."""
    address = "https://warm-referral.example/fhir/StructureDefinition/referral-bundle"
    for name in ("referral-bundle", address, f"{address}|0.1.0"):
        assert run("--profile", name, GOOD).exit_code == 0
    assert run("--profile", "Bundle", GOOD).exit_code == 0
    assert run("--profile", "http://hl7.org/fhir/StructureDefinition/Bundle", GOOD).exit_code == 0


def test_a_bundle_of_another_kind_is_told_once(write: Write) -> None:
    """A search result is no referral, and a Task in it is still held to what it claims."""
    task = json.loads((EXAMPLES / "Task-task-requested.json").read_text())
    bundle = {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": {**task, "status": "received"}}]}
    (line,) = lines("--profile", "referral-task", write(bundle))
    (issue,) = line["issues"]
    assert issue["text"] == "referral-task describes a resource of the type Task, and another type stands here."
    (line,) = lines(write(bundle))
    errors = [(issue["expression"], issue["code"]) for issue in line["issues"] if issue["severity"] == "error"]
    assert errors == [("Bundle.entry[0].resource.status", "code-invalid")]
    (line,) = lines("--profile", "referral-bundle", write(bundle))
    assert "Bundle.type" in [issue["expression"] for issue in line["issues"]]


def test_what_claims_no_profile_is_told_which_one_to_ask_for(write: Write) -> None:
    """Valid R4 is not yet a referral: nobody is lulled by a green line."""
    bundle = {"resourceType": "Bundle", "type": "transaction"}
    (line,) = lines(write(bundle))
    assert [issue["severity"] for issue in line["issues"]] == ["information"]
    assert line["issues"][0]["text"].endswith("ask for referral-bundle.")
    assert run(write(bundle)).exit_code == 0
    assert run("--profile", "referral-bundle", write(bundle)).exit_code == 1


def test_elements_of_r5_are_recognized(write: Write) -> None:
    """Who writes R5 is told so, and not only that something is wrong."""
    task = json.loads((EXAMPLES / "Task-task-requested.json").read_text())
    (line,) = lines(write({**task, "requestedPeriod": {"start": "2026-10-01"}}))
    assert [issue["severity"] for issue in line["issues"]] == ["error", "information"]
    assert line["issues"][1]["text"] == examine.LOOKS_LIKE_R5
    (line,) = lines(write({**task, "Marlowe": 1}))
    assert examine.LOOKS_LIKE_R5 not in [issue["text"] for issue in line["issues"]]


def test_what_was_not_checked_is_said(write: Write) -> None:
    """Codes of foreign systems, languages, and claims of profiles that are not installed: remarks, exit 0."""
    code = {"coding": [{"system": "http://loinc.org", "code": "1"}, {"system": "http://snomed.info/sct", "code": "2"}]}
    value = {"value": 1, "system": "http://unitsofmeasure.org", "code": "min"}
    observation: Payload = {
        "resourceType": "Observation",
        "meta": {"profile": ["http://hl7.org/fhir/us/core/StructureDefinition/us-core-observation-lab"]},
        "language": "es",
        "status": "final",
        "code": code,
        "valueQuantity": value,
    }
    found = run("--format", "jsonl", write(observation))
    issues = json.loads(found.stdout)["issues"]
    assert found.exit_code == 0
    assert {issue["severity"] for issue in issues} == {"information"}
    told = {issue["expression"]: issue["text"] for issue in issues}
    assert "LOINC" in told["Observation.code.coding[0].code"]
    assert "SNOMED" in told["Observation.code.coding[1].code"]
    assert "UCUM" in told["Observation.value.code"]
    assert "BCP 47" in told["Observation.language"]
    assert "not known" in told["Observation.meta.profile[0]"]
    assert run(write(observation)).stdout.splitlines()[-1].endswith("valid as Observation; 6 remarks above")


CANARY = "Quillfeather"


def _with_canaries(value: Any, words: list[str]) -> Any:
    """The same value with a word of the sender's in every string, and a key of the sender's in every object."""
    if isinstance(value, dict):
        made = {key: _with_canaries(item, words) for key, item in value.items()}
        words.append(f"{CANARY}{len(words)}")
        return {**made, words[-1]: 1}
    if isinstance(value, list):
        return [_with_canaries(item, words) for item in value]
    if isinstance(value, str):
        words.append(f"{CANARY}{len(words)}")
        return words[-1]
    return value


@pytest.mark.parametrize("form", ["text", "outcome", "jsonl"])
def test_neither_a_value_nor_a_key_is_printed(form: str, write: Write) -> None:
    """Whatever stands in a file, none of it comes out: every string and every object of two referrals, one by one and
    all at once, for our profiles and for R4. Breaks when a text quotes what it refuses."""
    for source in (GOOD, EXAMPLES / "Appointment-visit-proposed.json"):
        payload = json.loads(source.read_text())
        all_at_once = _with_canaries(payload, [])
        kept_kind = {**all_at_once, "resourceType": payload["resourceType"], "type": payload.get("type", 1)}
        entries = [
            {
                **payload["entry"][n],
                "resource": {**one["resource"], "resourceType": payload["entry"][n]["resource"]["resourceType"]},
            }
            for n, one in enumerate(all_at_once.get("entry", []))
        ]
        files = [
            write(all_at_once, "a.json"),
            write(kept_kind, "b.json"),
            write({**kept_kind, "entry": entries}, "c.json"),
        ]
        for held in ([], ["--profile", "referral-bundle"], ["--profile", payload["resourceType"]]):
            found = run("--format", form, *held, *files)
            assert found.exit_code == 1
            assert CANARY not in found.output


def test_a_strange_file_name_breaks_no_line(tmp_path: Path) -> None:
    """A line break or bytes that are no text in a name: still one line for each input."""
    names = [tmp_path / "two\nlines.json", Path(os.fsdecode(bytes(tmp_path) + b"/\xff.json"))]
    for name in names:
        name.write_bytes(BAD.read_bytes())
    assert len(lines(*names)) == 2
    assert len(run(*names).stdout.splitlines()) == 2 * 3

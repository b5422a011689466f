"""The look at a desk: what a resource is held to, what stayed open, and a place for everything that is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fhir_profiles.shapes import MAX_ISSUES, ONLY_THE_FIRST
from fhir_profiles.terminology import profile
from fhir_profiles.validation import compiler, examine, parse, unreadable
from fhir_profiles.validation.limits import LimitError

EXAMPLES = Path(__file__).resolve().parents[3] / "fhir_profiles" / "ig" / "input" / "examples"
Payload = dict[str, Any]


def example(name: str) -> Payload:
    made: Payload = parse((EXAMPLES / f"{name}.json").read_bytes())
    return made


def errors(payload: Payload, name: str | None = None) -> list[tuple[str, str]]:
    return [(issue.expression, issue.code) for issue in examine.examine(payload, name) if issue.severity == "error"]


def test_what_is_claimed_is_what_is_asked() -> None:
    """A resource is held to the profile of ours that it claims, in any order of claims and with any version; without a
    claim to R4."""
    task = example("Task-task-requested")
    for claims in (
        [profile("referral-task")],
        [f"{profile('referral-task')}|0.1.0"],
        [
            "http://hl7.org/fhir/us/sdoh-clinicalcare/StructureDefinition/SDOHCC-TaskForReferralManagement",
            profile("referral-task"),
        ],
    ):
        looked = examine.look({**task, "meta": {**task["meta"], "profile": claims}, "status": "received"})
        assert looked.held_to == "referral-task"
        assert not looked.is_right
    unclaimed = {**task, "meta": {"security": task["meta"]["security"]}, "status": "received"}
    assert examine.look(unclaimed).held_to == "Task"
    assert examine.look(unclaimed).is_right
    counts = example("MeasureReport-counts-of-september")
    assert examine.look(counts).held_to == "program-measure-report"


def test_a_foreign_claim_is_not_passed_over_in_silence() -> None:
    """A claim that nobody here can check is said, with its place, and is no error."""
    task = example("Task-task-requested")
    gravity = "http://hl7.org/fhir/us/sdoh-clinicalcare/StructureDefinition/SDOHCC-TaskForReferralManagement"
    claimed = {**task, "meta": {**task["meta"], "profile": [profile("referral-task"), gravity]}}
    notes = examine.look(claimed).issues
    assert [(issue.expression, issue.text) for issue in notes] == [("Task.meta.profile[1]", examine.CLAIM_UNKNOWN)]
    lookalike = {**task, "meta": {"profile": [profile("no-such-profile")]}}
    assert examine.CLAIM_UNKNOWN in [issue.text for issue in examine.look(lookalike).issues]


@pytest.mark.parametrize("name", examine.profiles())
def test_another_type_is_one_clear_error(name: str) -> None:
    """A file of the wrong type is told as that, not as fifty missing elements."""
    looked = examine.look({"resourceType": "Basic", "code": {"text": "x"}}, name)
    (issue,) = looked.issues
    assert (issue.severity, issue.expression) == ("error", "Basic")
    assert name in issue.text


def test_each_entry_of_a_bundle_is_held_to_its_own_claim() -> None:
    """In a search result or a batch a Task is still a Task of ours; its references may lead to other entries."""
    bundle = example("Bundle-inbound-urn")
    for kind in ("batch", "transaction"):
        assert errors({**bundle, "type": kind}, "Bundle") == []
    broken = json.loads(json.dumps(bundle, default=float))
    for entry in broken["entry"]:
        if entry["resource"]["resourceType"] == "Task":
            entry["resource"]["description"] = "words"
            place = f"Bundle.entry[{broken['entry'].index(entry)}].resource"
    assert errors(broken, "Bundle") == [(place, "structure")]


@pytest.mark.parametrize("kind", examine._OF_R5)
def test_what_is_called_an_element_of_r5_is_none_of_r4(kind: str) -> None:
    """Nobody who writes R4 is told that it is R5."""
    record = compiler.definitions().record(kind)
    assert [name for name in examine._OF_R5[kind].split() if name in record.keys] == []


def test_more_than_can_be_told_is_said() -> None:
    """Fifty errors end in a line that says there may be more."""
    task = example("Task-task-requested")
    many = {**task, "identifier": [{"system": "x y", "value": "a b"}] * 200}
    listed = examine.look({"resourceType": "Bundle", "type": "batch", "entry": [{"resource": many, "x": 1}] * 60})
    assert sum(issue.severity == "error" for issue in listed.issues) == MAX_ISSUES
    assert ONLY_THE_FIRST in [issue.text for issue in listed.issues]


def test_a_profile_has_several_names_and_no_invented_ones() -> None:
    """By id, by address, with a version, or a type of R4."""
    for name in ("referral-task", profile("referral-task"), f"{profile('referral-task')}|0.1.0"):
        assert examine.profile_id(name) == "referral-task"
    assert examine.profile_id("http://hl7.org/fhir/StructureDefinition/Task") == "Task"
    for name in ("", "referral", "Taskk", "https://example.org/Task", profile("safe-contact")):
        with pytest.raises(examine.UnknownProfileError):
            examine.profile_id(name)


def test_no_kind_is_given_without_a_place_or_a_reason() -> None:
    """Whatever JSON object comes, there is an answer and its expression begins at the resource."""
    for payload in (
        {},
        {"resourceType": 1},
        {"resourceType": ["Task"]},
        {"resourceType": "task"},
        {"resourceType": None},
    ):
        (issue,) = examine.look(payload).issues
        assert issue.expression == "Resource"


@pytest.mark.parametrize(
    ("body", "expression"),
    [
        (b'{"a":1,"a":2}', "Resource"),
        (b'{"resourceType":"Task","a":1,"a":2}', "Task"),
        (b'{"resourceType":"Task","code":{"text":"a","text":"b"}}', "Task.code"),
        (b'{"resourceType":"Task","Marlowe":{"x":1,"x":2}}', "Task"),
        (b'{"resourceType":"Marlowe","code":{"x":1,"x":2}}', "Resource.code"),
        (b'{"resourceType":"Task","input":[{"valueString":"a"},{"type":1,"type":2}]}', "Task.input[1]"),
    ],
)
def test_a_doubled_key_has_a_place(body: bytes, expression: str) -> None:
    """The way to it stops where a key is none of FHIR's."""
    with pytest.raises(LimitError) as refused:
        parse(body)
    assert unreadable.why(body, refused.value).expression == expression

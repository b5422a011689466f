"""Hostile and broken bodies: every problem told in constant words, in less than 50 ms, and nothing raised."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from mistakes import broken

from fhir_profiles.operation_outcome import operation_outcome
from fhir_profiles.shapes import MAX_ISSUES, ONLY_THE_FIRST
from fhir_profiles.validation import MAX_BYTES, PROFILES, LimitError, parse, profile_of, validate
from fhir_profiles.validation.examine import look_at
from fhir_profiles.validation.limits import MAX_PARTS
from fhir_profiles.validation.primitives import PRIMITIVES

Payload = dict[str, Any]
MOST_SECONDS = 0.05
STATUSES = {400, 413}
TASK = {"resourceType": "Task", "status": "requested", "intent": "order"}
PATIENT = {"resourceType": "Patient", "active": True}
ADDRESS = "urn:uuid:00000000-0000-4000-8000-{:012d}"


def dump(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def task(**more: Any) -> bytes:
    return dump({**TASK, **more})


def patient(**more: Any) -> bytes:
    return dump({**PATIENT, **more})


def nested(depth: int, opening: bytes, closing: bytes, inside: bytes = b"1") -> bytes:
    return b'{"resourceType":"Task","a":' + opening * depth + inside + closing * depth + b"}"


def holding(value: bytes) -> bytes:
    return b'{"resourceType":"Task","a":' + value + b"}"


def within(depth: int) -> Payload:
    """A Patient in a Patient in a Patient."""
    made: Payload = {**PATIENT, "id": "a", "name": [{"given": ["x"] * 9000}]}
    for _ in range(depth):
        made = {**PATIENT, "id": "a", "contained": [made]}
    return made


def div(text: str) -> bytes:
    return patient(text={"status": "generated", "div": f"<div>{text}</div>"})


# Refused before the gate: name -> (body, HTTP status, issue code).
REFUSED: dict[str, tuple[bytes, int, str]] = {
    "600 levels of objects": (nested(600, b'{"a":', b"}"), 400, "too-costly"),
    "600 levels of lists": (nested(600, b"[", b"]", b""), 400, "too-costly"),
    "a million brackets": (b"[" * 999_999, 400, "too-costly"),
    "a string of 10 MB": (task(description="x" * 10_000_000), 413, "too-long"),
    "a body just too long": (b" " * (MAX_BYTES + 1), 413, "too-long"),
    "not a number": (b'{"resourceType":"Task","a":NaN}', 400, "structure"),
    "infinity": (b'{"resourceType":"Task","a":-Infinity}', 400, "structure"),
    "a key twice": (b'{"resourceType":"Task","status":"requested","status":"draft"}', 400, "structure"),
    "a key twice inside": (b'{"resourceType":"Task","for":{"reference":"Patient/1","reference":"Patient/2"}}', 400,
                           "structure"),
    "a key twice by escape": (b'{"resourceType":"Task","status":"draft","st\\u0061tus":"draft"}', 400, "structure"),
    "UTF-16 with mark": (task().decode().encode("utf-16"), 400, "structure"),
    "UTF-16 without mark": (task().decode().encode("utf-16-le"), 400, "structure"),
    "UTF-32": (task().decode().encode("utf-32"), 400, "structure"),
    "a byte order mark": (task().decode().encode("utf-8-sig"), 400, "structure"),
    "Latin-1": ('{"resourceType":"Task","a":"é"}'.encode("latin-1"), 400, "structure"),
    "half a character": (b'{"resourceType":"Task","a":"\\ud83d"}', 400, "structure"),
    "half a character as a key": (b'{"resourceType":"Task","\\udfff":1}', 400, "structure"),
    "a surrogate in UTF-8": (b'{"resourceType":"Task","a":"\xed\xa0\x80"}', 400, "structure"),
    "an overlong form": (b'{"resourceType":"Task","a":"\xc0\xaf"}', 400, "structure"),
    "a control character": (b'{"resourceType":"Task","a":"\x01"}', 400, "structure"),
    "five thousand digits": (holding(b"9" * 5000), 400, "too-long"),
    "a million digits": (holding(b"9" * 900_000), 400, "too-long"),
    "a million decimals": (holding(b"1." + b"9" * 900_000), 400, "too-long"),
    "a huge exponent": (holding(b"1e400000000"), 400, "too-costly"),
    "a tiny exponent": (holding(b"1e-400000000"), 400, "too-costly"),
    "an impossible exponent": (holding(b"1e" + b"9" * 40), 400, "too-costly"),
    "numbers of 4,000 digits": (task(a=[int("9" * 4000)] * 240), 400, "too-long"),
    "a million items": (holding(b"[" + b"0," * 490_000 + b"0]"), 400, "too-costly"),
    "empty objects": (holding(b"[" + b"{}," * 330_000 + b"0]"), 400, "too-costly"),
    "empty strings": (holding(b"[" + b'"",' * 330_000 + b"0]"), 400, "too-costly"),
    "deep lists, many": (holding(b"[" + (b"[" * 37 + b"]" * 37 + b",") * 13_000 + b"0]"), 400, "too-costly"),
    "many keys": (task(**{f"k{number}": 1 for number in range(60_000)}), 400, "too-costly"),
    "strings never closed": (b'{"resourceType":"' + b'"c' * 400_000, 400, "too-costly"),
    "escapes never closed": (b'"' + b"\\" * 999_000, 400, "structure"),
    "a narrative of 1 MB of tags": (div("<p>a</p>" * 120_000), 400, "too-costly"),
    "tags written as escapes": (div("<b>a</b>" * 50_000).replace(b"<", b"\\u003c"), 400, "too-costly"),
    "attributes without end": (div("<p" + ' id="a"' * 90_000 + ">a</p>"), 400, "too-costly"),
    "no object": (b'["Task"]', 400, "structure"),
    "nothing": (b"", 400, "structure"),
    "white space": (b" \n" * 400_000, 400, "structure"),
    "two documents": (task() + b"\n" + task(), 400, "structure"),
    "lines": (b"\nx" * 499_000, 400, "structure"),
    "XML": (b'<Task xmlns="http://hl7.org/fhir"/>', 400, "structure"),
}  # fmt: skip
SPACE = " " * 900_000
# Read, and then refused by the gate or, where it says so, right.
READ: dict[str, bytes] = {
    "labels": task(meta={"security": [{"system": "https://x.example/s", "code": "b"}] * 3000}),
    "identifiers": task(identifier=[{"system": "https://x.example/" + "y" * 90, "value": "v"}] * 3000),
    "extensions": task(extension=[{"url": "https://x.example", "valueString": "b"}] * 3000),
    "unknown keys": task(**{f"k{number}": SPACE[:90] for number in range(9500)}),
    "unknown keys in an extension": patient(extension=[{"url": "a", **{f"k{n}": SPACE[:90] for n in range(9500)}}]),
    "numbers of 64 digits": task(a=[int("9" * 64)] * 9000),
    "decimals of 64 digits": b'{"resourceType":"Task","a":[' + b",".join([b"1." + b"9" * 62] * 9000) + b"]}",
    "escapes": b'{"resourceType":"Task","a":"' + b"\\u0041" * 160_000 + b'"}',
    "backslashes": b'{"resourceType":"Task","a":[' + b",".join([b'"' + b"\\\\" * 48 + b'"'] * 9000) + b"]}",
    "pairs of escapes": b'{"resourceType":"Task","a":"' + b"\\ud83d\\ude00" * 80_000 + b'"}',
    "one pair in long text": b'{"resourceType":"Task","a":"\\ud83d\\ude00' + b"x" * 990_000 + b'"}',
    "37 levels": holding(b"[" + b",".join([b"[" * 36 + b"]" * 36] * 250) + b"]"),
    "names": patient(name=[{"family": "x" * 90}] * 4500),
    "given names": patient(name=[{"given": ["x" * 90] * 9000}]),
    "names said beside": patient(name=[{"given": [None] * 3000, "_given": [{"id": "a"}] * 3000}]),
    "extensions of R4": patient(extension=[{"url": "https://x.example/" + "y" * 90, "valueString": "b"}] * 3000),
    "contained": patient(contained=[{"resourceType": "Organization", "id": f"a{n}", "name": "n"} for n in range(2000)]),
    "references to contained": patient(
        contained=[{"resourceType": "Organization", "id": f"a{n}", "name": "n"} for n in range(1500)],
        generalPractitioner=[{"reference": f"#a{n}"} for n in range(1500)],
    ),
    "contained in contained": dump(within(16)),
    "contained of no type": patient(contained=[{"resourceType": "Banana"}] * 4500),
    "contained of odd types": patient(contained=[{"resourceType": odd} for odd in (7, None, [], {}, True, "", "Task")]),
    "contained unknown, nested": patient(contained=[{"resourceType": "Banana", "contained": [{"resourceType": "X"}]}]),
    "entries": dump({"resourceType": "Bundle", "type": "collection", "entry": [
        {"fullUrl": ADDRESS.format(number), "resource": PATIENT} for number in range(1900)]}),
    "claims": patient(meta={"profile": [f"https://warm-referral.example/fhir/StructureDefinition/{n}"
                                        for n in range(9000)]}),
    "claims inside": dump({"resourceType": "Bundle", "type": "collection", "entry": [
        {"resource": {**TASK, "meta": {"profile": [
            "https://warm-referral.example/fhir/StructureDefinition/referral-task"]}}}] * 1000}),
    "a narrative of text": div("a" * 990_000),
    "a narrative of tags": div("<p>a</p>" * 4700 + "b" * 900_000),
    "a narrative of entities": div("&amp;" * 150_000),
    "a narrative of comments": div("<!---->" * 9000 + "a"),
    "a narrative of open comments": div("<!--" * 9000),
    "a narrative of spaces": div("<p" + SPACE),
    "a narrative that nests": div("<b>" * 4900 + "a" + "</b>" * 4900),
    "a narrative of attributes": div(('<p id="a" title="b" lang="c">d</p>') * 1900),
}  # fmt: skip
HOSTILE = {
    "spaces": " " * 900_000,
    "spaces inside": "a" + " " * 900_000 + "a",
    "words": "a " * 450_000,
    "letters": "A" * 900_000,
    "letters and a sign": "A" * 900_000 + "!",
    "equals and letters": "A=" * 4000,
    "lines": "A\r\n" * 220_000,
    "tabs": "\t" * 400_000,
    "no-break spaces": " " * 140_000,
    "separators": "\x1c" * 140_000,
    "digits": "2026-10-01T00:00:00." + "0" * 900_000,
    "dots": "urn:oid:1" + ".1" * 400_000 + "x",
    "slashes": "https://x.example" + "/a" * 400_000,
    "colons": "a:" * 400_000,
    "dashes": "-" * 900_000,
    "percent": "%" * 900_000,
    "quotes": '"' * 160_000,
    "joiners": "‍" * 100_000,
    "emoji": "\U0001f600" * 70_000,
    "combining": "à́" * 70_000,
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_body_outside_the_limits_is_one_refusal(name: str, least_cpu: Callable[..., tuple[float, Any]]) -> None:
    """Too long, too deep, too many, no JSON: a status of the 4xx kind and constant words, in a moment."""
    body, status, code = REFUSED[name]

    def refused() -> LimitError:
        with pytest.raises(LimitError) as caught:
            parse(body)
        return caught.value

    seconds, error = least_cpu(refused)
    assert (error.status, error.code) == (status, code)
    assert seconds < MOST_SECONDS
    seconds, issues = least_cpu(lambda: look_at(body).issues)
    assert [issue.severity for issue in issues] == ["error"]
    assert seconds < MOST_SECONDS


@pytest.mark.parametrize("name", READ)
def test_a_body_just_inside_the_limits_costs_little(name: str, least_cpu: Callable[..., tuple[float, Any]]) -> None:
    """As much as the limits let in, made to be slow: an answer from the door and from the command within 50 ms."""
    body = READ[name]
    payload = parse(body)
    for profile in {profile_of(payload["resourceType"]) or "referral-task", "referral-bundle", "referral-task"}:
        seconds, issues = least_cpu(lambda profile=profile: validate(parse(body), profile))
        assert issues
        assert len(issues) <= MAX_ISSUES
        assert seconds < MOST_SECONDS, profile
    seconds, issues = least_cpu(lambda: look_at(body).issues)
    assert len(issues) <= 2 * MAX_ISSUES
    assert seconds < MOST_SECONDS


@pytest.mark.parametrize("name", HOSTILE)
def test_no_string_makes_a_type_slow(name: str, least_cpu: Callable[..., tuple[float, Any]]) -> None:
    """Every type of text meets long strings made for its expression: linear, each in less than 50 ms."""
    text = HOSTILE[name]
    for kind, accepts in PRIMITIVES.values():
        if kind == "text":
            seconds, _ = least_cpu(lambda accepts=accepts: accepts(text))
            assert seconds < MOST_SECONDS


@pytest.mark.parametrize("name", HOSTILE)
def test_no_string_makes_a_profile_slow(
    name: str, valid_examples: list[Any], least_cpu: Callable[..., tuple[float, Any]]
) -> None:
    """A long string at any place of any of our resources is told, in less than 50 ms."""
    text = HOSTILE[name][:30_000]
    for example in {one.profile: one for one in valid_examples}.values():
        for way in ways_to_strings(example.payload, ()):
            body = dump(broken(example.payload, (way, text)))
            seconds, issues = least_cpu(lambda body=body, example=example: look(body, example.profile))
            assert issues, (example.name, way)
            assert seconds < MOST_SECONDS, (example.name, way)


def look(body: bytes, profile: str) -> list[Any]:
    try:
        return validate(parse(body), profile)
    except LimitError as error:
        return [error]


def ways_to_strings(value: Any, way: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    if isinstance(value, str):
        return [way]
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [one for key, item in inside for one in ways_to_strings(item, (*way, key))]


def test_the_largest_right_referral_is_far_from_the_limits(valid_examples: list[Any]) -> None:
    """Nobody who refers somebody meets these limits: the largest example has a tenth of what is let in."""
    for example in valid_examples:
        body = dump(example.payload)
        assert len(body) < MAX_BYTES / 10
        assert body.count(b",") + body.count(b"{") + body.count(b"[") < MAX_PARTS / 10


def test_every_problem_is_told_at_once(valid_examples: list[Any]) -> None:
    """A sender with seven mistakes in five entries hears of seven, and mends them in one round."""
    bundle = deepcopy(next(one.payload for one in valid_examples if one.name == "Bundle-inbound-urn"))
    by_type = {entry["resource"]["resourceType"]: entry["resource"] for entry in bundle["entry"]}
    bundle["timestamp"] = "yesterday"
    by_type["Patient"]["gender"] = "female"
    by_type["Task"]["status"] = "banana"
    del by_type["Task"]["owner"]
    by_type["ServiceRequest"]["note"] = [{"text": "CANARY"}]
    by_type["ServiceRequest"]["subject"]["reference"] = "Group/1"
    by_type["Appointment"]["participant"][0]["status"] = 7
    told = {issue.expression for issue in validate(bundle, "referral-bundle")}
    assert told >= {
        "Bundle.timestamp",
        "Bundle.entry[0].resource.gender",
        "Bundle.entry[3].resource.status",
        "Bundle.entry[3].resource.owner",
        "Bundle.entry[2].resource",
        "Bundle.entry[2].resource.subject.reference",
        "Bundle.entry[4].resource.participant[0].status",
    }


def test_of_a_list_that_is_far_too_long_the_first_items_are_looked_at(valid_examples: list[Any]) -> None:
    """Sixty items where one may stand are counted; what is wrong with the second is told, and the last is not read."""
    task = next(one.payload for one in valid_examples if one.profile == "referral-task")
    right, wrong = task["identifier"][0], {"value": 7}
    task["identifier"] = [right, wrong, *[right] * 58, wrong]
    told = [issue.expression for issue in validate(task, "referral-task")]
    assert {"Task.identifier", "Task.identifier[1].value"} <= set(told)
    assert not any("identifier[60]" in place for place in told)


def test_of_very_many_problems_the_first_are_told_and_that_there_are_more() -> None:
    """A hostile body earns no longer answer than a clumsy one, and the answer says that it is not whole."""
    bundle = {"resourceType": "Bundle", "entry": [{"resource": {**TASK, "note": 1}, "fullUrl": 7}] * 6}
    issues = validate({**bundle, "type": 7, "identifier": [], "meta": {}}, "referral-bundle")
    assert len(issues) == MAX_ISSUES
    outcome = operation_outcome(issues)
    assert len(outcome["issue"]) == MAX_ISSUES + 1
    assert outcome["issue"][-1]["details"]["text"] == ONLY_THE_FIRST
    assert operation_outcome(issues[:-1])["issue"][-1]["details"]["text"] != ONLY_THE_FIRST


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("payload", [None, [], "Task", 7, True, {}, {"resourceType": None}, {"resourceType": ["Task"]}])
def test_what_is_no_resource_is_an_issue(profile: str, payload: Any) -> None:
    """Whatever JSON may be instead of a resource, the answer is an error in words."""
    assert [issue.severity for issue in validate(payload, profile)][:1] == ["error"]

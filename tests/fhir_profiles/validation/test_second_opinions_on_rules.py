"""The invariants of our own profiles, which partners read in FHIRPath, and the rules in Python that our gate runs.

``BY_RULES`` says which rule keeps which invariant. Here each is broken once and caught by that rule at its place; and
npm `fhirpath` is asked about every invariant at every element of every valid example, and of hundreds of changed ones.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from copy import deepcopy
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from fhir_profiles.security_labels import labels_for
from fhir_profiles.shapes import Issue, Report
from fhir_profiles.terminology import profile
from fhir_profiles.validation import PROFILES, compiler, profile_of, validate
from fhir_profiles.validation.examine import examine
from fhir_profiles.validation.own_invariants import BY_RULES

Payload = dict[str, Any]
Question = tuple[str, str, Any, Any, Any]  # key, type of the element, element, resource, outermost resource
GUIDE = Path(__file__).resolve().parents[3] / "fhir_profiles" / "ig"
INDEX: list[dict[str, str]] = json.loads((GUIDE / "invalid" / "index.json").read_text())
STEP = re.compile(r"([A-Za-z]+)(?:\[(\d+)\])?")
EVERY, EVERY_OF_BUNDLES = 8, 30  # of the changed examples every eighth, of Bundles every thirtieth


def errors_of(payload: Payload, profile_id: str) -> list[Issue]:
    look = validate if profile_id in PROFILES else examine
    return [issue for issue in look(payload, profile_id) if issue.severity == "error"]


def on_the_way(payload: Payload, expression: str) -> Iterator[tuple[str, Any]]:
    """(path, value) from the resource down to the place that an expression names, as far as it is there."""
    steps = expression.split(".")
    value: Any = payload
    path = steps[0]
    yield path, value
    for step in steps[1:]:
        match = STEP.fullmatch(step)
        assert match is not None
        name, position = match[1], match[2]
        keys = [key for key in value if key == name or (key.startswith(name) and key[len(name)].isupper())]
        if not keys:
            return
        value = value[keys[0]]
        if position is not None:
            value = value[int(position)]
        path = f"{path}.{step}"
        yield path, value


def is_for(module: str, thing: str, value: Any, profile_id: str, *, is_root: bool) -> bool:
    """True when this rule is meant for this value: a resource of its profile, an extension of its name, a date."""
    if thing == "DATE_TIME":
        return isinstance(value, str)
    if not isinstance(value, dict):
        return False
    if thing == "label_problems":
        return "resourceType" in value
    if "url" in value and "resourceType" not in value:
        return bool(value["url"].endswith(f"/{module.replace('_', '-')}"))
    own = profile_id if is_root else profile_of(str(value.get("resourceType")))
    return own == module.replace("_", "-")


def told_by(name: str, payload: Payload, profile_id: str, expression: str) -> list[Issue]:
    """What the rule of this name, and no other, says on the way to this place."""
    module, thing = name.split(".")
    rule = getattr(import_module(f"fhir_profiles.{module}"), thing)
    report = Report()
    for path, value in on_the_way(payload, expression):
        if is_for(module, thing, value, profile_id, is_root="." not in path):
            if thing == "label_problems":
                for problem in rule(value, labels_for(profile_id, confidentiality="R")):
                    report.add("business-rule", f"{path}.meta.security", problem)
            elif thing == "rules":
                rule(value, path, report)
            else:
                rule.check(value, path, report)
    return report.issues


def _words_as_a_number(request: Payload) -> str:
    (contact,) = [one for one in request["extension"] if one["url"] == profile("safe-contact")]
    place = next(number for number, part in enumerate(contact["extension"]) if part["url"] == "telecom")
    contact["extension"][place]["valueContactPoint"]["value"] = "call me"
    return f"ServiceRequest.extension[0].extension[{place}].value.value"


def _two_patients(visit: Payload) -> str:
    visit["participant"][1]["actor"] = deepcopy(visit["participant"][0]["actor"])
    return "Appointment.participant"


# In the guide's example of these another shape refuses first: a phone of a partner, an organization as actor.
BREAK: dict[str, tuple[str, Callable[[Payload], str]]] = {
    "wap-1": ("Appointment-visit-proposed", _two_patients),
    "wrp-1": ("ServiceRequest-request-safe-number", _words_as_a_number),
}


def broken_once(key: str, valid_examples: list[Any]) -> tuple[Payload, str, str]:
    """(resource, profile, place) that breaks this invariant."""
    if key in BREAK:
        name, change = BREAK[key]
        (example,) = [one for one in valid_examples if one.name == name]
        expression = change(example.payload)
        return example.payload, example.profile, expression
    row = next(row for row in INDEX if row.get("invariant") == key)
    return json.loads((GUIDE / "invalid" / row["file"]).read_text()), row["profile"], row["expression"]


@pytest.mark.parametrize(("key", "name"), BY_RULES.items())
def test_each_invariant_of_ours_is_kept_by_the_rule_that_is_named(
    key: str, name: str, valid_examples: list[Any]
) -> None:
    """Broken once, it is told at its place by that very rule, and the gate passes on what the rule says."""
    payload, profile_id, expression = broken_once(key, valid_examples)
    told = [issue for issue in told_by(name, payload, profile_id, expression) if issue.expression == expression]
    assert told
    assert set(told) <= set(errors_of(payload, profile_id))


def recorded(monkeypatch: pytest.MonkeyPatch) -> Callable[[Payload, str], list[Question]]:
    """A walk that asks no invariant but notes each: which one, of which element."""
    found: list[Question] = []
    base = compiler.Definitions(json.loads(compiler.DATA.read_bytes()))

    def note(key: str) -> Callable[[Any, Any, Any], bool]:
        def holds(node: Any, resource: Any, root: Any) -> bool:
            kind = "Element" if key == "ele-1" else base.expressions[key][2]
            found.append((key, node.get("resourceType", kind), node, dict(resource), dict(root)))
            return True

        return holds

    notes = {key: note(key) for key in base.expressions}
    monkeypatch.setattr(compiler, "NATIVE", notes)
    base.more_invariants = dict(notes)

    def walk(payload: Payload, profile_id: str) -> list[Question]:
        found.clear()
        url = profile(profile_id)
        base.check(payload, url if base.has(url) else payload["resourceType"], Report(), payload["resourceType"])
        return list(found)

    return walk


NODE = Path(__file__).parent / "fhirpath_node.js"


def ask_node(node: str, questions: list[Question]) -> list[Any]:
    expressions = compiler.definitions().expressions
    lines = [json.dumps([expressions[key][1], *question]) for key, *question in questions]
    run = subprocess.run(
        [node, str(NODE)], input="\n".join(lines), capture_output=True, text=True, timeout=120, check=True
    )
    answers = [json.loads(line) for line in run.stdout.splitlines()]
    assert len(answers) == len(questions)
    return answers


def test_npm_fhirpath_finds_every_invariant_kept_in_every_valid_example(
    monkeypatch: pytest.MonkeyPatch, require_tool: Callable[[str], str]
) -> None:
    """R4's and ours, at every element that the compiled definitions ask: nothing that we publish breaks a rule that a
    partner's validator reads."""
    walk = recorded(monkeypatch)
    questions = []
    for file in sorted((GUIDE / "input" / "examples").glob("*.json")):
        payload = json.loads(file.read_text())
        claims = payload["meta"].get("profile", [""])[0].removeprefix(profile(""))
        questions += walk(payload, claims or "appointment-ehr-copy")
    answers = ask_node(require_tool("node"), questions)
    wrong = [
        (key, kind, answer) for (key, kind, *_), answer in zip(questions, answers, strict=True) if answer != [True]
    ]
    assert wrong == []
    assert BY_RULES.keys() - {key for key, *_ in questions} == {"wrx-1"}  # of a plain value: invariants.js asks it
    assert len(questions) > 2000


def leaves(value: Any, way: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    """The ways to all plain values and lists."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, (*way, key))
    elif isinstance(value, list):
        yield way
        for position, item in enumerate(value):
            yield from leaves(item, (*way, position))
    else:
        yield way


def at(payload: Any, way: tuple[Any, ...]) -> Any:
    for step in way:
        payload = payload[step]
    return payload


def changed(payload: Payload, more: dict[str, set[str]]) -> Iterator[Payload]:
    """The resource with one text taken from another of the same name, one day moved far, one item gone or twice."""
    for way in list(leaves(payload, ())):
        value = at(payload, way)
        others: list[Any] = []
        if isinstance(value, list):
            others = [[*value, value[0]], value[1:], value[:-1]]
        elif isinstance(value, str) and way[-1] != "resourceType":
            others = sorted(more[str(way[-1])] - {value})[:3]
            if re.match(r"20\d\d-", value):
                others = [f"2019{value[4:]}", f"2041{value[4:]}", value[:7]]
        for other in others:
            copy = deepcopy(payload)
            at(copy, way[:-1])[way[-1]] = other
            yield copy


def test_what_breaks_an_invariant_of_ours_is_refused(
    monkeypatch: pytest.MonkeyPatch, valid_examples: list[Any], require_tool: Callable[[str], str]
) -> None:
    """Hundreds of changed examples: where npm `fhirpath` finds an invariant of ours broken, the gate finds an error."""
    asked: list[tuple[Any, Payload, Question]] = []
    count, walk = 0, recorded(monkeypatch)
    names: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for example in valid_examples:
        for way in leaves(example.payload, ()):
            value = at(example.payload, way)
            if isinstance(value, str):
                names[example.profile][str(way[-1])].add(value)
    for example in valid_examples:
        every = EVERY_OF_BUNDLES if example.payload["resourceType"] == "Bundle" else EVERY
        for copy in islice(changed(example.payload, names[example.profile]), 0, None, every):
            count += 1
            asked += [(example, copy, one) for one in walk(copy, example.profile) if one[0] in BY_RULES]
    answers = ask_node(require_tool("node"), [question for *_, question in asked])
    broken: Counter[str] = Counter()
    passed = []
    for (example, copy, (key, *_)), answer in zip(asked, answers, strict=True):
        if answer != [True]:
            broken[key] += 1
            if not errors_of(copy, example.profile):
                passed.append((example.name, key, answer))
    assert passed == []
    assert count > 500
    assert len(broken) > 0.5 * len(BY_RULES)

"""Each invariant in Python, fhirpathpy and npm `fhirpath`: the same answer on some hundreds of generated elements.

The elements are built from the definitions themselves: what an invariant names is there often, all else rarely, and
values are of small sets, so that equal values, forbidden codes and wrong orders happen. Every generated element is one
that the structure accepts, for what it refuses is told there, and the three may then differ.
"""

from __future__ import annotations

import json
import random
import re
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fhir_profiles.validation import compiler, fhirpath
from fhir_profiles.validation.invariants import NATIVE, UCUM, is_certainly_before
from fhir_profiles.validation.own_invariants import OURS

Payload = dict[str, Any]
NODE = Path(__file__).parent / "fhirpath_node.js"
FORMS = {**NATIVE, **OURS}
DEFINITIONS = compiler.definitions()
EACH = 300
LEAST = 5  # of each outcome

# No engine at hand has htmlChecks(); `narrative` answers it, and its tests hold it to R4's list.
NO_ENGINE = {"txt-1", "txt-2"}
# What fhirpathpy cannot do; npm `fhirpath` alone is the other opinion there.
FHIRPATHPY_CANNOT = {
    "rng-2": "it does not compare two Quantities: TypeError",
    "wmr-2": "it adds days to a time of day wrongly, and takes no month",
}
# Where the published expression gives nothing, neither true nor false, and Python says "kept". All else that gives
# nothing counts as broken, as R4's validators have it.
NOTHING_IS_KEPT = {
    "bdl-8": "an address that is only said to be unknown has no text",
    "inv-1": "a month and a day in it have no order",
    "per-1": "a month and a day in it have no order",
    "tim-4": "a number that is only said to be unknown has no sign",
    "tim-5": "a number that is only said to be unknown has no sign",
}
# What the invariant reads without naming it.
MORE_WORDS = {
    "ele-1": {"value", "code", "url"},
    "obs-7": {"system", "code"},
    "rng-2": {"value"},
    "wmr-2": {"start", "end"},
}
# Values of a type, or of an element of this name, that an invariant needs to be seen with. Two dates are both days or
# both times: a day has no zone, and the engines then read that of the machine.
DAYS = ["2026-02-01", "2026-02-27", "2026-02-28", "2026-03-15"]
TIMES = ["2026-02-01T10:00:00Z", "2026-02-01T10:00:00+02:00", "2026-02-28T09:59:59Z", "2026-03-15T00:00:00.5Z"]
MONTHS = ["2026", "2026-02", "2026-03", *DAYS]
SCOPES = {"ppc-2": "patient-privacy", "ppc-3": "research", "ppc-4": "adr", "ppc-5": "treatment"}
VALUES: dict[str, dict[str, list[Any]]] = {
    # Python takes any text "#a" for a link; the expression only what is a Reference, canonical, uri or url.
    "dom-3": {
        "string": ["a", "b"],
        "code": ["a", "b"],
        "uri": ["#a", "#b", "urn:x"],
        "url": ["#a", "#b"],
        "reference": ["#a", "#b", "#", "Organization/1"],
    },
    **{key: {"system": ["something", "something", "urn:x"], "code": [scope, "a"]} for key, scope in SCOPES.items()},
}
# What a value never lacks: neither engine compares Quantities that are not of UCUM.
BESIDE_VALUE = {"rng-2": {"system": UCUM, "code": "mg"}}
PLAIN: dict[str, list[Any]] = {
    "base64Binary": ["AAAA"],
    "boolean": [True, False],
    "canonical": ["urn:x", "#a", "#b"],
    "code": ["a", "b"],
    "decimal": [0, 1, -1, 2.5, 7],
    "id": ["a", "b"],
    "instant": TIMES,
    "integer": [-1, 0, 1, 7],
    "markdown": ["a"],
    "oid": ["urn:oid:1.2"],
    "positiveInt": [1, 7],
    "string": ["a", "b", "1", "#a"],
    "time": ["10:00:00", "11:00:00"],
    "unsignedInt": [0, 1, 5, 11, 40],
    "uri": [UCUM, "urn:x", "#a"],
    "url": ["urn:x"],
    "uuid": ["urn:uuid:00000000-0000-4000-8000-000000000001"],
}
ABSENT = {"extension": [{"url": "urn:x", "valueCode": "unknown"}]}
LEFT_OUT = ("modifierExtension", "implicitRules", "language", "text")
LEFT_OUT_FOR = {"dom-3": ("extension",), "rng-2": ("comparator",)}  # its url is no uri in R4; "< 5" has no order
DEEPEST = 6


class Maker:
    """Elements for one invariant, always the same ones."""

    def __init__(self, key: str, *, has_absent: bool, dates: tuple[list[str], ...]) -> None:
        expression = DEFINITIONS.expressions[key][1]
        self.chance = random.Random(f"{key} {has_absent}")
        self.beside_value = BESIDE_VALUE.get(key, {})
        self.left_out = LEFT_OUT_FOR.get(key, ())
        self.words = set(re.findall(r"[A-Za-z][A-Za-z0-9-]*", expression)) | MORE_WORDS.get(key, set())
        self.literals = [text for text in re.findall(r"'([^']+)'", expression) if "unmatched" not in text]
        self.values = {**PLAIN, **VALUES.get(key, {})}
        self.own_values = VALUES.get(key, {}).keys()
        self.has_absent = has_absent
        self.dates = dates
        self.density = 0.5

    def element(self, node: Payload) -> Payload:
        """One element, dense or sparse."""
        self.density = self.chance.choice([0.1, 0.4, 0.6, 0.9])
        dates = self.chance.choice(self.dates)
        self.values |= {"date": [text for text in dates if "T" not in text] or DAYS, "dateTime": dates}
        return self._object(node, 0)

    def _object(self, node: Payload, depth: int) -> Payload:
        if "k" not in node:
            node = DEFINITIONS.types[node["t"][0][0]]["tree"]
        made: Payload = {}
        for child in node["k"].values():
            if child.get("max", 1) != 0 and "r" not in child and self._is_there(child, depth):
                self._put(made, child, depth)
        if not made.keys() - {"id", "extension"} and depth:
            plain = [c for c in node["k"].values() if c.get("t") and c["t"][0][0] in PLAIN and not c.get("list")]
            for child in self.chance.sample(plain, min(1, len(plain))):
                self._put(made, {**child, "min": 1}, depth)
        made |= self.beside_value if "value" in made else {}
        return made if made.keys() - {"id", "extension"} or not depth else {}

    def _is_there(self, child: Payload, depth: int) -> bool:
        if child["n"] in LEFT_OUT or child["n"] in self.left_out or depth > DEEPEST:
            return False
        if child.get("min"):
            return True
        if child["n"] in self.words:
            return self.chance.random() < self.density
        return self.chance.random() < (0.04 if depth < 3 else 0)

    def _put(self, made: Payload, child: Payload, depth: int) -> None:
        code = self.chance.choice(child.get("t") or [["Element", []]])[0]
        key = f"{child['n']}{code[:1].upper()}{code[1:]}" if child.get("x") else child["n"]
        if child.get("list"):
            items = [self._value(code, child, depth + 1) for _ in range(self.chance.choice([1, 1, 2, 3]))]
            items = [item for item in items if item != {}]
            value: Any = [*items, *items[:1]] if self.chance.random() < 0.2 else items
        else:
            value = self._value(code, child, depth + 1)
        if value in ({}, []):
            return
        is_plain = not isinstance(value, dict | list)
        if self.has_absent and is_plain and not child.get("min") and self.chance.random() < 0.06:
            made[f"_{key}"] = ABSENT
        else:
            made[key] = value

    def _value(self, code: str, node: Payload, depth: int) -> Any:
        if code in self.values or ":" in code:
            return self._plain(code, node)
        if code == "Resource":
            return self._resource(depth)
        return self._object(node if "k" in node else DEFINITIONS.types[code]["tree"], depth)

    def _plain(self, code: str, node: Payload) -> Any:
        if node["n"] in self.own_values:
            return self.chance.choice(self.values[node["n"]])
        expanded = DEFINITIONS.value_sets.get(node.get("b", "")) or {}
        codes = [one for several in expanded.values() for one in several]
        named = [one for one in codes if one in self.literals]
        if codes:
            return self.chance.choice(named if named and self.chance.random() < 0.6 else codes)
        is_text = code in ("string", "uri", "code", "canonical", "url") and code not in self.own_values
        if is_text and self.literals and self.chance.random() < 0.4:
            return self.chance.choice(self.literals)
        return self.chance.choice(self.values.get(code, ["a"]))

    def _resource(self, depth: int) -> Payload:
        named = [kind for kind in ("Composition", "MessageHeader") if kind in self.words]
        made: Payload = {"resourceType": self.chance.choice(["Organization", "Patient", *named])}
        made |= {"id": self.chance.choice("ab")} if self.chance.random() < 0.8 else {}
        if self.chance.random() < 0.5:
            meta = self._object(DEFINITIONS.types["Meta"]["tree"], depth + 1)
            made |= {"meta": meta} if meta else {}
        if "contained" in self.words and self.chance.random() < 0.2:
            made["contained"] = [{"resourceType": "Organization", "id": "a"}]
        if self.chance.random() < 0.3:
            made["managingOrganization"] = {"reference": self.chance.choice(["#", "#a", "Organization/1"])}
        return made


def node_of(element: str) -> Payload:
    root, *way = element.split(".")
    node: Payload = DEFINITIONS.types[root]["tree"]
    for name in way:
        node = node["k"][name]
    return node


Case = tuple[Payload, Payload, Payload]


def cases(key: str, *, has_absent: bool, dates: tuple[list[str], ...]) -> Iterator[Case]:
    """(element, the resource it stands in, the outermost resource)."""
    element = DEFINITIONS.expressions[key][2]
    maker = Maker(key, has_absent=has_absent, dates=dates)
    node, made = node_of(element), 0
    while made < EACH:
        value = maker.element(node) if key != "ele-1" or maker.chance.random() < 0.7 else {"id": "a"}
        if element in DEFINITIONS.resources:
            resource = {"resourceType": element, **value}
            yield resource, resource, resource
        elif value and _is_comparable(key, value):
            inside = {"resourceType": "Organization", "id": "a", "name": "a"}
            root = {"resourceType": "Basic", "code": {"text": "a"}, "contained": [inside]}
            yield value, maker.chance.choice([root, inside]), root
        else:
            continue
        made += 1


def _is_comparable(key: str, value: Payload) -> bool:
    return key != "rng-2" or all("value" in value[side] for side in ("low", "high") if side in value)


@pytest.mark.parametrize("key", sorted(FORMS.keys() - NO_ENGINE - FHIRPATHPY_CANNOT.keys()))
def test_each_invariant_answers_as_fhirpathpy_does(key: str) -> None:
    """Kept or broken: our Python form and the published expression say the same of three hundred elements."""
    _, expression, element = DEFINITIONS.expressions[key]
    assert fhirpath.can_read(expression)
    theirs, ours = fhirpath.invariant(expression, element), FORMS[key]
    outcomes: Counter[bool] = Counter()
    for case in cases(key, has_absent=False, dates=(DAYS, TIMES)):
        assert ours(*case) is theirs(*case), case[0]
        outcomes[ours(*case)] += 1
    assert min(outcomes[True], outcomes[False]) >= LEAST
    assert outcomes.total() == EACH


def ask_node(node: str, questions: list[list[Any]]) -> list[Any]:
    run = subprocess.run(
        [node, str(NODE)],
        input="".join(f"{json.dumps(question)}\n" for question in questions),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    answers = [json.loads(line) for line in run.stdout.splitlines()]
    assert len(answers) == len(questions)
    return answers


def test_each_invariant_answers_as_npm_fhirpath_does(require_tool: Callable[[str], str]) -> None:
    """The same by an engine of another language, on other elements, with values that are only said to be unknown and
    dates of every precision. No line of the tables above is there for nothing."""
    asked = [
        (key, case)
        for key in sorted(FORMS.keys() - NO_ENGINE)
        for case in cases(key, has_absent=True, dates=(DAYS if key == "wmr-2" else MONTHS, TIMES))
    ]
    questions = [[*DEFINITIONS.expressions[key][1:], *case] for key, case in asked]
    outcomes: Counter[tuple[str, bool]] = Counter()
    silent: Counter[str] = Counter()
    wrong = []
    for (key, case), answer in zip(asked, ask_node(require_tool("node"), questions), strict=True):
        ours = FORMS[key](*case)
        outcomes[key, ours] += 1
        is_kept = answer == [True]
        if answer == [] and key in NOTHING_IS_KEPT:
            silent[key] += 1
            is_kept = True
        if ours is not is_kept:
            wrong.append((key, ours, answer, case[0]))
    assert wrong == []
    assert [
        key for key in FORMS if key not in NO_ENGINE and min(outcomes[key, True], outcomes[key, False]) < LEAST
    ] == []
    assert silent.keys() == NOTHING_IS_KEPT.keys()


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        ("2026-02-01", "2026-02-02", True),
        ("2026-02-02", "2026-02-02", False),
        ("2026-02-02", "2026-02-01", False),
        ("2026-02", "2026-02-28", False),
        ("2026-02", "2026-03-01", True),
        ("2026", "2026-12-31", False),
        ("2025", "2026", True),
        ("2026-02-01T10:00:00Z", "2026-02-01T10:00:00.001Z", True),
        ("2026-02-01T10:00:00+02:00", "2026-02-01T09:00:00Z", True),
        ("2026-02-01", "2026-02-01T20:00:00-08:00", False),  # the same evening, though UTC has the next day
        ("2026-02-01", "2026-02-02T04:00:00Z", False),
        ("2026-02-01", "2026-02-02T12:30:00Z", True),
        ("2026-02-01T09:00:00Z", "2026-02-02", True),
        ("2026-02-01T11:00:00Z", "2026-02-02", False),
        ("0001-01-01T00:00:00Z", "0001-01-01", False),
        ("9999-12-31", "9999-12-31T23:59:59Z", False),
        ("yesterday", "2026-02-01", False),
        (7, "2026-02-01", False),
    ],
)
def test_a_date_is_before_another_only_when_it_is_certain(first: Any, last: Any, expected: bool) -> None:
    """A stay that ends on the day it began, in whatever zone, is no mistake."""
    assert is_certainly_before(first, last) is expected


HOSTILE = [None, True, 0, -1.5, "", "#", "2026-02-30", [], [None], [[]], {}, {"a": []}, [{"coding": 7}], "x" * 50]


@pytest.mark.parametrize("key", sorted(FORMS))
def test_no_invariant_raises_on_values_of_a_wrong_kind(key: str) -> None:
    """A hostile resource is answered in words: no Python form stumbles over it."""
    chance = random.Random(key)
    element = DEFINITIONS.expressions[key][2]
    node = node_of(element)
    if "k" not in node and node["t"][0][0] in DEFINITIONS.types:
        node = DEFINITIONS.types[node["t"][0][0]].get("tree", node)
    names = sorted({child["n"] for child in node.get("k", {}).values()} | {"valueString", "resourceType", "contained"})
    for _ in range(EACH):
        value = {name: chance.choice(HOSTILE) for name in chance.sample(names, min(len(names), 4))}
        nested = {name: chance.choice([value, [value], {name: value}]) for name in chance.sample(names, 2)}
        for case in (value, nested):
            assert FORMS[key](case, chance.choice([case, value]), nested) in (True, False)

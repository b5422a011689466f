"""Bodies that nobody would think of: whatever comes, an answer in our own words, soon, and nothing of it told again.

``make test`` looks at 20,000 inputs, the same ones every time; ``make fuzz`` at 200,000, new ones each time. A failure
names one recipe and the body it makes: put that body into ``FOUND``, mend the code, and it is looked at for ever.
"""

from __future__ import annotations

import json
import re
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hostile_bodies import LENGTH, TREE, Base, Kitchen, Recipe, with_canaries
from hostile_values import CANARY, NUMBER
from hypothesis import HealthCheck, Phase, given, note, seed, settings
from hypothesis import strategies as st

from fhir_profiles.operation_outcome import operation_outcome
from fhir_profiles.shapes import MAX_ISSUES, Issue
from fhir_profiles.validation import PROFILES, LimitError, compiler, desk, examine, gate, limits, snapshots
from fhir_profiles.validation.remedies import remedy_of

Payload = dict[str, Any]
ROUND = 5000  # inputs of one run of Hypothesis
ORDINARY = 20_000
MOST_SECONDS = 0.05  # of processor time for one input
TRIES = 5
LONGEST = 2000  # characters of one text: codes and addresses of ours are listed in some
PLACE = re.compile(r"[A-Z][A-Za-z]*(?:\.[A-Za-z]+(?:\[\d+\])?)*")
# Several in one example, because Hypothesis spends as much on an example as the gate on a body; it shrinks to one.
RECIPES = st.lists(st.binary(min_size=LENGTH, max_size=LENGTH).map(Recipe), min_size=1, max_size=19)


@dataclass(frozen=True)
class Doors:
    """What is tried. A test that must fail puts something broken here."""

    parse: Callable[[bytes], Payload] = limits.parse
    validate: Callable[..., list[Issue]] = gate.validate
    is_right: Callable[[Payload, str], bool] = gate.is_right
    look_in_full: Callable[[Payload, str, str, str], list[Issue]] = gate.look_in_full
    look_at: Callable[[bytes, str | None], examine.Looked] = examine.look_at


@dataclass
class Tally:
    """What came of the inputs: a fuzz that only ever meets the first guard proves little."""

    inputs: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    wrong: int = 0
    right: int = 0
    slowest: float = 0.0
    texts: set[str] = field(default_factory=set)


class Look:
    """Everything that has to hold for one body."""

    def __init__(self, kitchen: Kitchen, doors: Doors | None = None) -> None:
        self.kitchen, self.doors, self.tally = kitchen, doors or Doors(), Tally()

    def at_recipe(self, recipe: Recipe) -> None:
        """At the body of a recipe, as the example's own profile or as another, at either level of a site."""
        base, body = self.kitchen.base(recipe), self.kitchen.body(recipe)
        other = recipe.profile % 8 == 7
        profile = sorted(PROFILES)[recipe.profile // 8 % len(PROFILES)] if other else base.profile
        note(f"{base.name} as {profile}: {body[:3000]!r}{'...' if len(body) > 3000 else ''}")
        self.at(body, profile, level="R" if recipe.profile % 8 == 6 else "V", is_whole=recipe.mode // 8 % 8 == 0)

    def at(self, body: bytes, profile: str, level: str = "V", *, is_whole: bool = True) -> None:
        """``is_whole``: as a person at a desk asks as well."""
        self.tally.inputs += 1
        payload, issues = self._soon(lambda: self._answer(body, profile, level))
        assert len(issues) <= MAX_ISSUES, "more issues than a clumsy body gets"
        self._says_nothing_of_it(issues)
        if payload is not None:
            self._looks_agree(payload, profile, level, issues)
        if is_whole:
            self._at_a_desk(body, payload, profile, level, issues)

    def _at_a_desk(self, body: bytes, payload: Payload | None, profile: str, level: str, issues: list[Issue]) -> None:
        assert payload is None or self.doors.parse(body) == payload, "the look changes what it looks at"
        for name in (None, profile):
            looked = self._soon(lambda name=name: self.doors.look_at(body, name))
            assert len(looked.issues) <= 2 * MAX_ISSUES + 2
            self._says_nothing_of_it(list(looked.issues))
            said = "\n".join(form("-", looked) for form in desk.FORMS.values())
            assert not _holds_canary(said), "the desk tells a value or a key of the body"
        if level == "V":
            assert looked.is_right == (not issues), "the desk and the door disagree"

    def _answer(self, body: bytes, profile: str, level: str) -> tuple[Payload | None, list[Issue]]:
        try:
            payload = self.doors.parse(body)
        except LimitError as error:
            if error.status not in (400, 413):
                raise
            self.tally.refused[error.text] += 1
            return None, [Issue("error", error.code, "", error.text)]
        return payload, self.doors.validate(payload, profile, confidentiality=level)

    def _soon(self, call: Callable[[], Any]) -> Any:
        """The answer of a call that takes little processor time. One that does not is asked again five times, and the
        least counts."""
        start = time.thread_time()
        answer = call()
        least = time.thread_time() - start
        for _ in range(TRIES):
            if least <= MOST_SECONDS:
                break
            start = time.thread_time()
            call()
            least = min(least, time.thread_time() - start)
        self.tally.slowest = max(self.tally.slowest, least)
        assert least <= MOST_SECONDS, f"an answer takes {least * 1000:.0f} ms"
        return answer

    def _says_nothing_of_it(self, issues: list[Issue]) -> None:
        assert not _holds_canary(json.dumps(operation_outcome(issues))), "an answer tells a value or a key of the body"
        for issue in issues:
            assert issue.expression == "" or PLACE.fullmatch(issue.expression), "an expression is no place in FHIR"
            if issue.text not in self.tally.texts:
                assert len(issue.text) < LONGEST
                assert remedy_of(issue.text) is not None, f"nobody knows the text: {issue.text}"
                self.tally.texts.add(issue.text)

    def _looks_agree(self, payload: Payload, profile: str, level: str, issues: list[Issue]) -> None:
        """The quick look says "right" only where the full one finds nothing that the quick one does not leave to it."""
        if self.doors.is_right(payload, profile):
            full = self.doors.look_in_full(payload, profile, level, payload["resourceType"])
            assert issues == full, "the two looks disagree"
        self.tally.wrong += bool(issues)
        self.tally.right += not issues


def _holds_canary(text: str) -> bool:
    return CANARY.casefold() in text.casefold() or str(NUMBER) in text


def run(look: Look, number: int, inputs: int, *phases: Phase) -> None:
    """At least so many recipes, the same for the same number. Hypothesis shrinks the first that fails and prints it."""
    end, examples = look.tally.inputs + inputs, max(5, inputs // 10)
    while look.tally.inputs < end:

        @seed(number)
        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            report_multiple_bugs=False,
            phases=phases or (Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        )
        @given(RECIPES)
        def at_each(recipes: list[Recipe]) -> None:
            for recipe in recipes:
                look.at_recipe(recipe)

        at_each()
        number += 1_000_003


@pytest.fixture(scope="module")
def kitchen(right_ones: list[tuple[str, str, Payload]]) -> Kitchen:
    """The guide's examples; referrals, which guard the only open door, twice as often as the rest."""
    bases = [
        Base(
            name,
            profile,
            with_canaries(json.dumps(payload), lambda one, profile=profile: not gate.validate(one, profile)),
        )
        for name, profile, payload in right_ones
    ]
    bundles = [base for base in bases if base.profile == "referral-bundle"]
    return Kitchen([*bundles, *bases], compiler.definitions().names)


@pytest.fixture(scope="module")
def only_what_is_installed() -> Iterator[None]:
    """As where the app is installed: without HL7's core package, from which a type may be compiled at a desk."""
    gate.load()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(snapshots, "core_sources", lambda: ())
        yield


@pytest.fixture(scope="module")
def look(kitchen: Kitchen, only_what_is_installed: None, pytestconfig: pytest.Config) -> Iterator[Look]:
    """The real doors; at the end a line says what came of the inputs."""
    made = Look(kitchen)
    yield made
    tally = made.tally
    reporter = pytestconfig.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and tally.inputs:
        told = (
            f"\n{tally.inputs} inputs: {sum(tally.refused.values())} refused before the gate, {tally.wrong} wrong, "
            f"{tally.right} right; {len(tally.texts)} different texts; the slowest took {tally.slowest * 1000:.1f} ms"
        )
        reporter.write_line(told)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Rounds of some thousand inputs: the same ones, or, with ``--inputs``, new ones."""
    if "round_seed" in metafunc.fixturenames:
        asked = metafunc.config.getoption("--inputs")
        rounds = -(-int(asked or ORDINARY) // ROUND)
        metafunc.parametrize("round_seed", [secrets.randbits(48) if asked else n for n in range(rounds)])


def test_whatever_comes_is_answered_soon_and_in_our_own_words(look: Look, round_seed: int) -> None:
    """No exception but the declared one, no more than 50 ms, no value and no key told again, and one opinion."""
    before = look.tally.inputs
    run(look, round_seed, ROUND)
    assert look.tally.inputs - before >= ROUND


def test_the_inputs_get_past_the_first_guard(kitchen: Kitchen, only_what_is_installed: None) -> None:
    """Most of the limits are met, and most bodies come to the gate; some changed ones are still right."""
    look = Look(kitchen)
    run(look, 1, 2000)
    assert len(look.tally.refused) >= 7, look.tally.refused
    assert look.tally.wrong > 1000
    assert look.tally.right > 200
    assert len(look.tally.texts) > 200


def test_every_example_is_right_before_it_is_changed(kitchen: Kitchen) -> None:
    """The recipe without steps gives a right body with the canary in it: its absence from an answer says something."""
    bodies = [kitchen.body(Recipe(bytes([number]).ljust(LENGTH, b"\0"))) for number in range(len(kitchen.bases))]
    for base, body in zip(kitchen.bases, bodies, strict=True):
        assert gate.validate(limits.parse(body), base.profile) == []
    assert sum(CANARY.encode() in body for body in bodies) > len(bodies) / 2


# What must fail: the same look, with one door broken.


def overlooks(kitchen: Kitchen, match: str, error: type[BaseException] = AssertionError, **broken: Any) -> Recipe:
    """The recipe that the fuzz finds for a broken door; the failure names the mistake. Shrunk where that is quick."""
    phases = (Phase.generate, Phase.shrink) if error is not AssertionError else (Phase.generate,)
    with pytest.raises(error, match=match) as caught:
        run(Look(kitchen, replace(Doors(), **broken)), 7, 3000, *phases)
    *_, told = re.finditer(r"Recipe\(bytes.fromhex\('([0-9a-f]+)'\)\)", "\n".join(caught.value.__notes__))
    return Recipe(bytes.fromhex(told[1]))


def _without_status(payload: Payload) -> bool:
    return payload.get("resourceType") == "Task" and "status" not in payload


def test_an_exception_is_noticed_and_its_recipe_is_short(kitchen: Kitchen, only_what_is_installed: None) -> None:
    """A look that stumbles over a Task without status: found, with one or two steps to it."""

    def stumbles(payload: Payload, profile: str, **more: Any) -> list[Issue]:
        return [] if _without_status(payload) and payload["status"] else gate.validate(payload, profile, **more)

    recipe = overlooks(kitchen, "status", KeyError, validate=stumbles)
    assert len([number for number, _, _ in recipe.steps if number % len(TREE)]) <= 2
    assert b'"Task"' in kitchen.body(recipe)


def test_an_echo_is_noticed_wherever_it_stands(kitchen: Kitchen, only_what_is_installed: None) -> None:
    """A value in a text, a key in an expression, a number, or a word of the body in a refusal: each is found."""

    def last_of(payload: Payload) -> tuple[str, Any]:
        return next(reversed(payload.items()), ("", ""))

    def in_text(payload: Payload, profile: str, **more: Any) -> list[Issue]:
        return [Issue("error", "value", "Task", f"{last_of(payload)[1]} is wrong.")]

    def in_expression(payload: Payload, profile: str, **more: Any) -> list[Issue]:
        issues = gate.validate(payload, profile, **more)
        return [replace(issue, expression=f"{issue.expression}.{last_of(payload)[0]}") for issue in issues]

    def in_refusal(body: bytes) -> Payload:
        try:
            return limits.parse(body)
        except LimitError as error:
            raise LimitError(error.status, error.code, f"Not read: {body!r}") from None

    overlooks(kitchen, "tells a value or a key", validate=in_text)
    overlooks(kitchen, "no place in FHIR|tells a value or a key", validate=in_expression)
    overlooks(kitchen, "tells a value or a key|knows the text", parse=in_refusal)


def test_a_slow_answer_is_noticed_and_a_busy_machine_is_not(kitchen: Kitchen, only_what_is_installed: None) -> None:
    """Sixty milliseconds every time are found; sixty the first time only are no fault of the input."""

    def burn(seconds: float) -> None:
        end = time.thread_time() + seconds
        while time.thread_time() < end:
            pass

    def slow(payload: Payload, profile: str, **more: Any) -> list[Issue]:
        burn(0.06 if _without_status(payload) else 0)
        return gate.validate(payload, profile, **more)

    overlooks(kitchen, "an answer takes", validate=slow)
    left = [0.06] * 3

    def slow_at_first(payload: Payload, profile: str, **more: Any) -> list[Issue]:
        burn(left.pop() if left else 0)
        return gate.validate(payload, profile, **more)

    run(Look(kitchen, replace(Doors(), validate=slow_at_first)), 7, 20)
    assert not left


def test_a_quick_look_that_overlooks_a_key_is_noticed(
    kitchen: Kitchen, only_what_is_installed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A quick look blind to keys that FHIR does not know answers otherwise than the full one, and is found."""
    is_right, names = gate.is_right, {*kitchen.names, "resourceType"}

    def seen(value: Any) -> Any:
        if isinstance(value, list):
            return [seen(item) for item in value]
        known = value.items() if isinstance(value, dict) else ()
        return {key: seen(item) for key, item in known if key in names} if known else value

    def blind(payload: Payload, profile: str) -> bool:
        return is_right(seen(payload), profile)

    monkeypatch.setattr(gate, "is_right", blind)
    overlooks(kitchen, "disagree", is_right=blind)


def test_too_many_issues_are_noticed(kitchen: Kitchen, only_what_is_installed: None) -> None:
    """An answer longer than a clumsy body earns is found."""
    many = [Issue("error", "required", "Task", "The element status is required.")] * (MAX_ISSUES + 1)
    overlooks(kitchen, "more issues", validate=lambda payload, profile, **more: many)


# Bodies that once got a wrong answer: (profile, body).
FOUND: dict[str, tuple[str, bytes]] = {
    "a place below a list in a list": (
        "referral-service-request",
        b'{"resourceType":"ServiceRequest","extension":[[{"url":"language","valueCode":"Quillfeather"}]]}',
    ),
    "a place below a key without letters": (
        "referral-task",
        b'{"resourceType":"Task","":[{"url":"language","valueCode":"Quillfeather"}]}',
    ),
    "a doubled key in a list below an unknown key": (
        "referral-task",
        b'{"resourceType":"Task","Quillfeather":[{"a":1,"a":2}]}',
    ),
    "a doubled key in a list in a list": ("referral-task", b'{"resourceType":"Task","input":[[{"a":1,"a":2}]]}'),
}


@pytest.mark.parametrize("name", FOUND)
def test_what_was_once_found_stays_mended(name: str, look: Look) -> None:
    """A body that the fuzz found stays among the inputs of every later day."""
    profile, body = FOUND[name]
    look.at(body, profile)

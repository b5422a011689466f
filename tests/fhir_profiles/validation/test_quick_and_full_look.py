"""The quick look may only ever save time: what is told is what the full look tells, and what is right it does know."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from scripts import load_script

from fhir_profiles.validation import gate, validate

ROOT = Path(__file__).resolve().parents[3]
EACH = 60


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    """The bench, with its maker of distinct resources and its own comparison of the two looks."""
    return load_script(ROOT / "bench" / "validation.py")


def test_both_looks_give_the_same_issues_for_generated_resources(bench: ModuleType) -> None:
    """Some hundred distinct referrals, releases and visits, and a broken copy of each: equal issues, in equal order."""
    made = bench.generated(EACH)
    assert len(made) == 4
    for profile, payloads in made.items():
        bench.assert_looks_agree([(profile, payload) for payload in payloads])
        assert all(gate.is_right(payload, profile) for payload in payloads), profile
        broken = [bench.broken(payload, number) for number, payload in enumerate(payloads)]
        assert any(validate(payload, profile) for payload in broken)


def test_the_bench_notices_when_the_looks_disagree(bench: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """A quick look that overlooks one strange key does not come through."""
    is_right = gate.is_right

    def overlooks(payload: dict[str, Any], profile: str) -> bool:
        return is_right({key: value for key, value in payload.items() if key != "banana"}, profile)

    monkeypatch.setattr(gate, "is_right", overlooks)
    made = bench.generated(3)
    with pytest.raises(AssertionError, match="disagree"):
        bench.assert_looks_agree([(profile, payload) for profile, payloads in made.items() for payload in payloads])


def test_both_looks_give_the_same_issues_for_every_example(
    valid_examples: list[Any], invalid_examples: list[Any]
) -> None:
    """Right or wrong, each example of the guide is answered alike; what is right the quick look knows by itself."""
    for example in [*valid_examples, *invalid_examples]:
        if example.profile in gate.PROFILES:
            kind = str(example.payload["resourceType"])
            issues = validate(example.payload, example.profile)
            assert issues == gate.look_in_full(example.payload, example.profile, "V", kind), example.name
    assert [one.name for one in valid_examples if not gate.is_right(one.payload, one.profile)] == []


def test_nothing_is_kept_between_two_resources(bench: ModuleType) -> None:
    """The same resource, changed in place after it was found right, is looked at anew."""
    for profile, (payload,) in bench.generated(1).items():
        assert validate(payload, profile) == []
        payload["status"] = "banana"
        assert validate(payload, profile)[0].expression.endswith(".status")
        del payload["status"]
        assert validate(payload, profile) != []

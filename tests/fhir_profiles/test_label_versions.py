"""Versions and labels: what a reader saw is told by both."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_profiles.label_versions import etag, is_lowered, labels_of_version
from fhir_profiles.security_labels import KNOWN, LEVELS, REDACTED, Label, as_security, labels_for
from fhir_profiles.terminology import ACT_CODE, CONFIDENTIALITY

FULL = labels_for("referral-task")
RESTRICTED = labels_for("referral-task", confidentiality="R")
SETS = st.lists(st.sampled_from(sorted(KNOWN)), max_size=6)


def test_an_etag_changes_with_the_version_and_with_the_labels() -> None:
    """R4 lets labels change under one version, so who read it under other labels has read something else."""
    assert re.fullmatch(r'W/"3-[0-9a-f]{16}"', etag(3, FULL))
    assert etag(3, FULL) != etag(4, FULL)
    assert etag(3, FULL) != etag(3, RESTRICTED)
    assert etag(3, FULL) != etag(3, FULL[:-1])
    assert etag(3, ()) != etag(3, FULL)
    assert etag(1, [Label("a", "b|c")]) != etag(1, [Label("a", "b"), Label("", "c")])


@given(SETS, st.randoms())
def test_order_and_repetition_of_labels_do_not_change_an_etag(labels: list[Label], chance: object) -> None:
    """A server that writes the same labels in another order has not changed the record. Fails when the set is not
    sorted."""
    shuffled = [*labels, *labels[:1]]
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert etag(7, shuffled) == etag(7, labels)


@given(SETS, SETS)
def test_different_label_sets_have_different_etags(one: list[Label], other: list[Label]) -> None:
    """No change of labels goes unnoticed."""
    assert (etag(1, one) == etag(1, other)) is (set(one) == set(other))


@pytest.mark.parametrize(
    ("own", "current", "level", "is_sensitive"),
    [
        (FULL, FULL, "V", True),
        (RESTRICTED, FULL, "V", True),
        (FULL, RESTRICTED, "V", True),
        (RESTRICTED, RESTRICTED, "R", True),
        ((Label(CONFIDENTIALITY, "R"),), FULL, "V", True),
        (FULL, (Label(CONFIDENTIALITY, "R"),), "V", True),
        ((Label(CONFIDENTIALITY, "N"),), (Label(CONFIDENTIALITY, "R"),), "R", False),
        ((), (Label(CONFIDENTIALITY, "R"),), "V", True),
        ((Label(CONFIDENTIALITY, "N"), Label("x", "y")), (Label(CONFIDENTIALITY, "R"),), "V", True),
    ],
)
def test_an_old_version_is_protected_by_its_own_labels_and_by_todays(
    own: tuple[Label, ...], current: tuple[Label, ...], level: str, is_sensitive: bool
) -> None:
    """Lowering today's label does not open yesterday's record, and raising it closes yesterday's too.

    Fails when only one of the two is taken.
    """
    made = labels_of_version(own, current)
    assert made[0] == Label(CONFIDENTIALITY, level)
    assert (Label(ACT_CODE, "SDV") in made) is is_sensitive
    assert sum(label.system == CONFIDENTIALITY for label in made) == 1


@given(SETS, SETS)
def test_nothing_that_protects_is_lost_from_an_old_version(own: list[Label], current: list[Label]) -> None:
    """Every label of either version counts, and the order of the two does not."""
    made = set(labels_of_version(own, current))
    assert {label for label in (*own, *current) if label.system != CONFIDENTIALITY} <= made
    assert made == set(labels_of_version(current, own))
    levels = [LEVELS.index(label.code) for label in (*own, *current) if label.system == CONFIDENTIALITY]
    (level,) = (LEVELS.index(label.code) for label in made if label.system == CONFIDENTIALITY)
    assert level >= max(levels, default=0)


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (FULL, False),
        (tuple(reversed(FULL)), False),
        ((*FULL, Label(ACT_CODE, "NOPAT")), False),
        (RESTRICTED, True),
        (FULL[:-1], True),
        (FULL[1:], True),
        ((*FULL, Label(CONFIDENTIALITY, "R")), True),
        ((*FULL, REDACTED), True),
        ((), True),
    ],
)
def test_a_change_that_lowers_is_noticed(after: tuple[Label, ...], expected: bool) -> None:
    """A label gone, a weaker level, two levels or a redacted view: each is lowering."""
    before = {"meta": {"security": as_security(FULL)}}
    assert is_lowered(before, {"meta": {"security": as_security(after)}}) is expected

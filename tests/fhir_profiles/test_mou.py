"""The extension that names the signed paper and the promise."""

from __future__ import annotations

import pytest

from fhir_profiles.mou import LONGEST_MINUTES, mou


@pytest.mark.parametrize("minutes", [1, 30, LONGEST_MINUTES])
def test_the_promise_is_a_time_from_a_minute_to_a_week(minutes: int) -> None:
    """The timers that escalate to a person run on it."""
    made = mou(document_reference="DocumentReference/mou7", acknowledge_minutes=minutes)
    assert made["extension"][1]["valueDuration"] == {
        "value": minutes,
        "system": "http://unitsofmeasure.org",
        "code": "min",
    }


@pytest.mark.parametrize("minutes", [0, -1, LONGEST_MINUTES + 1, True])
def test_a_promise_outside_is_refused(minutes: int) -> None:
    """No time at all, or more than a week, is no promise."""
    with pytest.raises(ValueError, match="whole number"):
        mou(document_reference="DocumentReference/mou7", acknowledge_minutes=minutes)


def test_the_paper_is_a_document() -> None:
    """The signed paper is named, not described."""
    with pytest.raises(ValueError, match="expected here"):
        mou(document_reference="Signed in 2026", acknowledge_minutes=30)

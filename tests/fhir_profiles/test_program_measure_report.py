"""Counts that leave: a month or more, small ones masked, nobody in them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from fhir_profiles import r4
from fhir_profiles.program_measure_report import MOST_COUNTS, is_safe_count, program_measure_report
from fhir_profiles.security_labels import labels_for
from fhir_profiles.terminology import DATA_ABSENT_REASON
from fhir_profiles.validation import validate

Payload = dict[str, Any]
PROFILE = "program-measure-report"


def report(**changes: Any) -> Payload:
    given: dict[str, Any] = {
        "labels": labels_for(PROFILE),
        "starts_on": date(2026, 9, 1),
        "ends_on": date(2026, 9, 30),
        "counts": [("Referrals offered", 42), ("Next clinic day met", None), ("Taken back", 0)],
    }
    return program_measure_report(**{**given, **changes})


def test_a_count_is_told_masked_or_zero() -> None:
    """What stands in the report is a number above 10, a zero, or the word "masked"."""
    made = report(id="counts-1")
    assert validate(made, PROFILE) == []
    assert r4.structure_problems(made) == []
    masked = {"extension": [{"url": DATA_ABSENT_REASON, "valueCode": "masked"}]}
    assert [group["population"] for group in made["group"]] == [[{"count": 42}], [masked], [{"count": 0}]]
    assert not {"subject", "reporter", "evaluatedResource"} & made.keys()


@pytest.mark.rule("R33")
@pytest.mark.parametrize("count", [*range(1, 11), -1, True, 10.5, "42"])
def test_rule_R33_a_count_that_could_point_at_a_person_is_not_built(count: Any) -> None:
    """A count from 1 to 10 never leaves, and nothing that is no count does.

    Fails when the builder no longer looks at the counts, or when ``is_safe_count`` takes 10.
    """
    assert not is_safe_count(count)
    with pytest.raises(ValueError, match="masked before"):
        report(counts=[("Referrals offered", count)])


@pytest.mark.parametrize("count", [0, 11, 4000])
def test_a_count_that_points_at_nobody_is_told(count: int) -> None:
    """Zero and more than ten may be said."""
    assert validate(report(counts=[("Referrals offered", count)]), PROFILE) == []


@pytest.mark.rule("R33")
@pytest.mark.parametrize(
    ("start", "end", "is_long_enough"),
    [
        (date(2026, 9, 1), date(2026, 9, 30), True),
        (date(2026, 9, 1), date(2026, 9, 29), False),
        (date(2026, 2, 1), date(2026, 2, 28), True),
        (date(2028, 2, 1), date(2028, 2, 28), False),
        (date(2026, 9, 15), date(2026, 10, 14), True),
        (date(2026, 9, 15), date(2026, 10, 13), False),
        (date(2026, 12, 1), date(2026, 12, 31), True),
        (date(2026, 12, 31), date(2027, 1, 29), False),
        (date(2026, 1, 31), date(2026, 2, 27), True),
        (date(2026, 7, 1), date(2026, 9, 30), True),
        (date(2026, 9, 30), date(2026, 9, 1), False),
    ],
)
def test_rule_R33_counts_leave_for_a_month_or_more(start: date, end: date, is_long_enough: bool) -> None:
    """Weeks could be subtracted from each other.

    Fails when ``_is_month`` compares days with a fixed number, or is not called.
    """
    if is_long_enough:
        assert validate(report(starts_on=start, ends_on=end), PROFILE) == []
    else:
        with pytest.raises(ValueError, match="a month or more"):
            report(starts_on=start, ends_on=end)


@pytest.mark.parametrize(
    "wrong",
    [
        {"counts": []},
        {"counts": [("A", 42), ("A", 43)]},
        {"counts": [("", 42)]},
        {"counts": [(f"Count {number}", 42) for number in range(MOST_COUNTS + 1)]},
        {"counts": [("x" * 81, 42)]},
        {"measure": "counts of the program"},
        {"labels": labels_for("referral-task")},
        {"labels": ()},
        {"starts_on": datetime(2026, 9, 1, tzinfo=UTC)},
    ],
)
def test_what_the_profile_does_not_allow_is_not_built(wrong: dict[str, Any]) -> None:
    """No count at all, one name twice, a story for a name, labels of a person, times of day."""
    with pytest.raises(ValueError, match=r"expected here|not allowed here|name of its own|labels|whole days"):
        report(**wrong)


@pytest.mark.parametrize(
    ("changes", "expression"),
    [
        ({"subject": {"reference": "Patient/p1"}}, "MeasureReport"),
        ({"evaluatedResource": [{"reference": "Task/t1"}]}, "MeasureReport"),
        ({"reporter": {"reference": "Organization/hc1"}}, "MeasureReport"),
        ({"type": "individual"}, "MeasureReport.type"),
        ({"type": "subject-list"}, "MeasureReport.type"),
        ({"status": "pending"}, "MeasureReport.status"),
        ({"period": {"start": "2026-09-01", "end": "2026-09-07"}}, "MeasureReport"),
        ({"group": [{"code": {"text": "A"}, "population": [{"count": 7}]}]}, "MeasureReport.group[0].population[0]"),
        ({"group": [{"code": {"text": "A"}, "population": [{}]}]}, "MeasureReport.group[0].population[0]"),
        ({"group": [{"code": {"text": "A"}}]}, "MeasureReport.group[0].population"),
    ],
)
def test_a_report_of_somebody_or_of_too_little_is_refused(changes: Payload, expression: str) -> None:
    """Whatever points at a person is refused at its place."""
    assert expression in [issue.expression for issue in validate({**report(), **changes}, PROFILE)]


def test_a_masked_count_tells_no_number_beside_it() -> None:
    """Masked and told at once would not be masked."""
    made = report()
    made["group"][1]["population"][0]["count"] = 4000
    assert validate(made, PROFILE)

"""Profile ``program-measure-report``: counts that may leave a site, nobody in them.

A count from 1 to 10 could point at a person: it is masked, and so is what would reveal it by subtraction. The counts
that come in here are suppressed already, by the one engine for all counts; this builder refuses one that is not.
"""

from __future__ import annotations

import calendar
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

from fhir_profiles import dates, shapes
from fhir_profiles.construction import built
from fhir_profiles.security_labels import Label, own_security
from fhir_profiles.shapes import Extensions, Many, Record, Report
from fhir_profiles.terminology import DATA_ABSENT_REASON, MEASURE, Payload, profile

PROFILE = profile("program-measure-report")
LARGEST_SMALL_COUNT = 10
LONGEST_NAME = 80
MOST_COUNTS = 50
_MASKED = {"url": DATA_ABSENT_REASON, "valueCode": "masked"}
_POPULATION = Record(
    {
        "count": shapes.Whole(0, 2**31 - 1),  # R4's integer
        "extension": Extensions({DATA_ABSENT_REASON: Record({"valueCode!": shapes.code("masked")})}),
    }
)
_GROUP = Record({"code!": Record({"text!": shapes.line(LONGEST_NAME)}), "population!": Many(_POPULATION)})
SHAPE = Record(
    {
        "resourceType!": shapes.code("MeasureReport"),
        "id": shapes.ID,
        "meta": shapes.meta(PROFILE),
        "status!": shapes.code("complete"),
        "type!": shapes.code("summary"),
        "measure!": shapes.PLAIN_URI,
        "period!": shapes.PERIOD,
        "group!": Many(_GROUP, 1, MOST_COUNTS),
    }
)


def program_measure_report(
    *,
    labels: Sequence[Label],
    starts_on: date,
    ends_on: date,
    counts: Sequence[tuple[str, int | None]],
    id: str | None = None,
    measure: str = MEASURE,
) -> Payload:
    """The MeasureReport of a period from ``starts_on`` to ``ends_on``, both in it: a calendar month or more.

    ``counts``: up to 50 pairs of a name of at most 80 characters, each once, and a count that was already suppressed,
    where None is masked. ValueError for a count from 1 to 10, a negative one, a shorter period, or labels of another
    set than the summary's.
    """
    if isinstance(starts_on, datetime) or isinstance(ends_on, datetime) or not _is_month(starts_on, ends_on):
        raise ValueError("counts leave for a month or more, in whole days")
    if not all(count is None or is_safe_count(count) for _, count in counts):
        raise ValueError("a count from 1 to 10 is masked before it comes here")
    made = {
        "resourceType": "MeasureReport",
        **({"id": id} if id is not None else {}),
        "meta": {"profile": [PROFILE], "security": own_security("program-measure-report", labels)},
        "status": "complete",
        "type": "summary",
        "measure": measure,
        "period": {"start": dates.as_text(starts_on), "end": dates.as_text(ends_on)},
        "group": [{"code": {"text": name}, "population": [_population(count)]} for name, count in counts],
    }
    return built(made, SHAPE, rules)


def is_safe_count(count: Any) -> bool:
    """A whole number that points at nobody: 0, or more than 10."""
    return isinstance(count, int) and not isinstance(count, bool) and (count == 0 or count > LARGEST_SMALL_COUNT)


def _population(count: int | None) -> Payload:
    return {"extension": [dict(_MASKED)]} if count is None else {"count": count}


def _is_month(start: date, end: date) -> bool:
    """Does the period reach the day before its first day's date in the next month?"""
    if start.year >= date.max.year:
        return False
    year, month = (start.year + 1, 1) if start.month == 12 else (start.year, start.month + 1)
    last = calendar.monthrange(year, month)[1]
    return end >= date(year, month, min(start.day, last)) - timedelta(days=1)


def rules(payload: Payload, path: str, report: Report) -> None:
    """Each count has a name of its own: two of one name could be subtracted. Counts and period: the profile says."""
    names = [group["code"]["text"] for group in payload["group"]]
    if len(set(names)) != len(names):
        report.add("invariant", f"{path}.group", "Each count has a name of its own (wmr-3).")

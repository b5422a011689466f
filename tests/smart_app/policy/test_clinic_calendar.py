"""The next open clinic day (R37), and the first free half hour of one."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from smart_app.policy.clinic_calendar import ClinicCalendar, first_free, is_open, next_open_day

NEW_YORK = "America/New_York"
DEFAULT = ClinicCalendar(NEW_YORK)


def local(*parts: int, zone: str = NEW_YORK) -> datetime:
    return datetime(*parts, tzinfo=ZoneInfo(zone)).astimezone(UTC)  # type: ignore[arg-type]


@pytest.mark.rule("R37")
@pytest.mark.parametrize(
    ("asked_at", "on", "is_late"),
    [
        (local(2026, 10, 1, 9, 0), date(2026, 10, 2), False),  # a Thursday
        (local(2026, 10, 1, 0, 1), date(2026, 10, 2), False),
        (local(2026, 10, 2, 16, 59, 59), date(2026, 10, 5), False),  # Friday before the cut-off
        (local(2026, 10, 2, 17, 0), date(2026, 10, 5), True),
        (local(2026, 10, 2, 17, 1), date(2026, 10, 5), True),
        (local(2026, 10, 3, 10, 0), date(2026, 10, 5), True),  # Saturday
        (local(2026, 10, 4, 23, 59), date(2026, 10, 5), True),  # Sunday
        (local(2026, 10, 5, 0, 0), date(2026, 10, 6), False),  # Monday begins
        (local(2026, 10, 1, 17, 1), date(2026, 10, 2), True),  # late on a Thursday is still Friday
        (local(2026, 10, 9, 12, 0), date(2026, 10, 13), False),  # over Columbus Day, Monday 12 October
        (local(2026, 11, 25, 12, 0), date(2026, 11, 27), False),  # over Thanksgiving
        (local(2026, 7, 2, 12, 0), date(2026, 7, 6), False),  # 4 July 2026 is a Saturday, observed on Friday
        (local(2026, 12, 31, 12, 0), date(2027, 1, 4), False),  # year end: 1 January is a Friday
        (local(2026, 12, 24, 12, 0), date(2026, 12, 28), False),
        (local(2027, 12, 30, 12, 0), date(2028, 1, 3), False),  # New Year's Day 2028 is observed on 31 December 2027
        (local(2026, 6, 18, 12, 0), date(2026, 6, 22), False),  # over Juneteenth, a Friday
    ],
)
def test_rule_R37_the_next_open_day(asked_at: datetime, on: date, is_late: bool) -> None:
    """Weekend, holiday, Friday before and after the cut-off, year end: always the next open day, and late is marked.

    Fails when a late request is moved to a later day, or the cut-off is read in UTC.
    """
    day = next_open_day(DEFAULT, asked_at)
    assert (day.on, day.is_late) == (on, is_late)


@pytest.mark.rule("R37")
@pytest.mark.parametrize(
    ("asked_at", "starts_at", "ends_at"),
    [
        # Clocks go forward on Sunday 8 March 2026 and back on Sunday 1 November 2026.
        (local(2026, 3, 5, 12, 0), datetime(2026, 3, 6, 13, tzinfo=UTC), datetime(2026, 3, 6, 22, tzinfo=UTC)),
        (local(2026, 3, 6, 12, 0), datetime(2026, 3, 9, 12, tzinfo=UTC), datetime(2026, 3, 9, 21, tzinfo=UTC)),
        (local(2026, 10, 29, 12, 0), datetime(2026, 10, 30, 12, tzinfo=UTC), datetime(2026, 10, 30, 21, tzinfo=UTC)),
        (local(2026, 10, 30, 12, 0), datetime(2026, 11, 2, 13, tzinfo=UTC), datetime(2026, 11, 2, 22, tzinfo=UTC)),
    ],
)
def test_rule_R37_both_changes_of_the_clock(asked_at: datetime, starts_at: datetime, ends_at: datetime) -> None:
    """The clinic opens at eight by its own clock, before and after each change.

    Fails when the day is found by adding 24 hours in UTC.
    """
    day = next_open_day(DEFAULT, asked_at)
    assert (day.starts_at, day.ends_at) == (starts_at, ends_at)


@pytest.mark.rule("R37")
def test_rule_R37_the_clinics_zone_counts_and_not_the_servers() -> None:
    """Friday evening in New York is still Friday afternoon in Los Angeles.

    Fails when ``now`` is not turned into the clinic's zone.
    """
    at = datetime(2026, 10, 2, 21, 30, tzinfo=UTC)  # 17:30 in New York, 14:30 in Los Angeles
    assert next_open_day(DEFAULT, at).is_late
    assert not next_open_day(ClinicCalendar("America/Los_Angeles"), at).is_late
    guam = next_open_day(ClinicCalendar("Pacific/Guam"), at)  # Saturday there
    assert (guam.on, guam.is_late) == (date(2026, 10, 5), True)


def test_a_site_sets_its_own_days() -> None:
    """Extra closed days, Saturday hours and own holidays are the site's."""
    saturday = ClinicCalendar(NEW_YORK, weekdays=frozenset({1, 2, 3, 4, 5, 6}), opens=time(9), closes=time(13))
    day = next_open_day(saturday, local(2026, 10, 2, 12, 0))
    assert (day.on, day.starts_at.hour, day.ends_at.hour) == (date(2026, 10, 3), 13, 17)
    closed = ClinicCalendar(NEW_YORK, closed_on=frozenset({date(2026, 10, 2)}))
    assert next_open_day(closed, local(2026, 10, 1, 12, 0)).on == date(2026, 10, 5)
    assert next_open_day(closed, local(2026, 10, 2, 12, 0)).is_late
    no_holidays = ClinicCalendar(NEW_YORK, keeps_us_federal_holidays=False)
    assert next_open_day(no_holidays, local(2026, 11, 25, 12, 0)).on == date(2026, 11, 26)
    assert is_open(no_holidays, date(2026, 12, 25))
    assert not is_open(DEFAULT, date(2026, 12, 25))
    early = ClinicCalendar(NEW_YORK, cut_off=time(12))
    assert next_open_day(early, local(2026, 10, 1, 12, 0)).is_late


def test_a_calendar_without_open_days_and_a_time_without_zone_are_errors() -> None:
    """Never a silent wrong day."""
    with pytest.raises(ValueError, match="no open day"):
        next_open_day(ClinicCalendar(NEW_YORK, weekdays=frozenset()), local(2026, 10, 1, 12, 0))
    with pytest.raises(ValueError, match="zone"):
        next_open_day(DEFAULT, datetime(2026, 10, 1, 12, 0))


def test_each_day_of_ten_years_leads_to_an_open_day_soon() -> None:
    """Whenever somebody asks, the clinic sees them within five days, and never on a closed one."""
    for ordinal in range(date(2026, 1, 1).toordinal(), date(2036, 1, 1).toordinal(), 1):
        day = date.fromordinal(ordinal)
        found = next_open_day(DEFAULT, local(day.year, day.month, day.day, 12, 0))
        assert is_open(DEFAULT, found.on)
        assert 1 <= (found.on - day).days <= 5
        assert found.starts_at < found.ends_at


def _visit(hour: int, minute: int, minutes: int = 30) -> tuple[datetime, datetime]:
    start = datetime(2026, 11, 25, hour, minute, tzinfo=ZoneInfo("America/Chicago")).astimezone(UTC)
    return start, start + timedelta(minutes=minutes)


@pytest.mark.parametrize(
    ("taken", "free"),
    [
        ([], time(8, 0)),
        ([_visit(8, 0)], time(8, 30)),
        ([_visit(8, 30)], time(8, 0)),
        ([_visit(8, 15, 15)], time(8, 30)),
        ([_visit(9, 0), _visit(8, 0, 60)], time(9, 30)),
        ([_visit(7, 0, 59)], time(8, 0)),
        ([_visit(8, 0, 9 * 60)], time(8, 0)),
        ([_visit(8, 0, 8 * 60 + 30)], time(16, 30)),
    ],
)
def test_the_first_free_half_hour_lies_between_opening_and_closing(
    taken: list[tuple[datetime, datetime]], free: time
) -> None:
    """Nobody is proposed a time that is taken or after closing; a full day gets opening time, and a person looks."""
    assert first_free(ClinicCalendar("America/Chicago"), date(2026, 11, 25), taken) == free

"""The next open clinic day (R37) and the first free half hour of a day, in the clinic's own time zone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

_LONGEST_CLOSURE_DAYS = 366
_SLOT = timedelta(minutes=30)
NEXT_DAY_SERVICE = "HealthcareService/nextday"  # what a visit is asked of: never an Organization (R4 Appointment)


@dataclass(frozen=True)
class ClinicCalendar:
    """``weekdays``: ISO numbers of open days (1 = Monday). ``closed_on``: extra closed days. ``opens``, ``closes``
    and ``cut_off`` are local times. US federal holidays are closed unless ``keeps_us_federal_holidays`` is false."""

    time_zone: str
    cut_off: time = time(17, 0)
    opens: time = time(8, 0)
    closes: time = time(17, 0)
    weekdays: frozenset[int] = frozenset({1, 2, 3, 4, 5})
    closed_on: frozenset[date] = frozenset()
    keeps_us_federal_holidays: bool = True


@dataclass(frozen=True)
class ClinicDay:
    """The day asked for. ``starts_at`` and ``ends_at`` are UTC. ``is_late``: a person has to look, because the request
    came at or after the cut-off, or on a closed day; the day itself is never moved to a later one."""

    on: date
    starts_at: datetime
    ends_at: datetime
    is_late: bool


def next_open_day(calendar: ClinicCalendar, now: datetime) -> ClinicDay:
    """The first open day after today, where "today" is the clinic's. ``now`` is aware.

    Raises ValueError when ``now`` is naive or no day is open within a year.
    """
    if now.tzinfo is None:
        raise ValueError("now must carry a zone")
    zone = ZoneInfo(calendar.time_zone)
    local = now.astimezone(zone)
    is_late = local.time() >= calendar.cut_off or not is_open(calendar, local.date())
    for days in range(1, _LONGEST_CLOSURE_DAYS + 1):
        day = local.date() + timedelta(days=days)
        if is_open(calendar, day):
            starts_at = datetime.combine(day, calendar.opens, zone).astimezone(UTC)
            ends_at = datetime.combine(day, calendar.closes, zone).astimezone(UTC)
            return ClinicDay(day, starts_at, ends_at, is_late)
    raise ValueError("the calendar has no open day within a year")


def first_free(calendar: ClinicCalendar, day: date, taken: Iterable[tuple[datetime, datetime]]) -> time:
    """When the first half hour of ``day`` begins, from opening on, that touches none of ``taken`` (start and end,
    aware). Opening time on a day that is full: a person looks at it anyway."""
    zone, busy = ZoneInfo(calendar.time_zone), list(taken)
    start = datetime.combine(day, calendar.opens, zone)
    closes = datetime.combine(day, calendar.closes, zone)
    while start + _SLOT <= closes:
        if all(end <= start or begin >= start + _SLOT for begin, end in busy):
            return start.time()
        start += _SLOT
    return calendar.opens


def is_open(calendar: ClinicCalendar, day: date) -> bool:
    """Is the clinic open on this day?"""
    if day.isoweekday() not in calendar.weekdays or day in calendar.closed_on:
        return False
    return not (calendar.keeps_us_federal_holidays and day in _federal_holidays(day.year))


@cache
def _federal_holidays(year: int) -> frozenset[date]:
    """US federal holidays with their observed days; New Year's Day can be observed on 31 December before."""
    import holidays

    found = holidays.country_holidays("US", years=(year, year + 1))
    return frozenset(day for day in found if day.year == year)

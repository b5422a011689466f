"""The next open clinic day, in the clinic's own time zone (R37)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, time


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

"""Until when a person at a program promised to open an item: minutes of its agreement, counted in its staffed hours.

Pure. Hours are of the program's own clock, so that a change of summer time moves them and never the promise's length.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

ALWAYS = "always"
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
FURTHEST_DAYS = 60  # hours that hold no such minute within 60 days are no promise

_PART = re.compile(r"(?P<first>[a-z]{3})(?:-(?P<last>[a-z]{3}))? (?P<opens>\d\d:\d\d)-(?P<closes>\d\d:\d\d)")


@dataclass(frozen=True)
class Shift:
    """Weekdays (0 = Monday) and local times; one that closes at or before it opens ends on the day after."""

    days: frozenset[int]
    opens: time
    closes: time


def shifts(text: str) -> tuple[Shift, ...]:
    """ "mon-fri 09:00-17:00; sat 20:00-02:00", or "always", which is no shift at all. ``ValueError`` for others."""
    if text == ALWAYS:
        return ()
    return tuple(_shift(part.strip()) for part in text.split(";"))


def opens_by(*, minutes: int, sent_at: datetime, staffed: str, time_zone: str) -> datetime:
    """The moment (UTC) by which a person should have opened what was sent at ``sent_at`` (aware): ``minutes`` of
    ``staffed`` later. A full minute counts whatever the clock on the wall does in it."""
    left, moment = timedelta(minutes=minutes), sent_at.astimezone(UTC)
    found = shifts(staffed)
    if not found:
        return moment + left
    for begins, ends in _windows(found, ZoneInfo(time_zone), moment):
        begins = max(begins, moment)
        if begins >= ends:
            continue
        if begins + left <= ends:
            return begins + left
        left -= ends - begins
        moment = ends
    return sent_at.astimezone(UTC) + timedelta(days=FURTHEST_DAYS)


def is_overdue(*, transport: str | None, is_opened: bool, by: datetime, now: datetime) -> bool:
    """Should a person at the health center hear of it now? Only our own facts count: an inbox item is met when a person
    opened it, a send when the program's own system took it. What was taken back waits for nobody."""
    if is_opened or transport in (None, "delivered", "opened", "stopped", "recalled", "told"):
        return False
    return now >= by


def _windows(found: tuple[Shift, ...], zone: ZoneInfo, since: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Staffed stretches from the evening before ``since`` on, in order, as moments."""
    first = since.astimezone(zone).date() - timedelta(days=1)
    for number in range(FURTHEST_DAYS + 2):
        day = first + timedelta(days=number)
        yield from sorted(_of_day(shift, day, zone) for shift in found if day.weekday() in shift.days)


def _of_day(shift: Shift, day: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
    last = day if shift.closes > shift.opens else day + timedelta(days=1)
    return (
        datetime.combine(day, shift.opens, zone).astimezone(UTC),
        datetime.combine(last, shift.closes, zone).astimezone(UTC),
    )


def _shift(part: str) -> Shift:
    match = _PART.fullmatch(part)
    if match is None or match["first"] not in DAYS or (match["last"] or match["first"]) not in DAYS:
        raise ValueError("hours are written as mon-fri 09:00-17:00; sat 20:00-02:00")
    first, last = DAYS.index(match["first"]), DAYS.index(match["last"] or match["first"])
    days = frozenset((first + step) % 7 for step in range((last - first) % 7 + 1))
    return Shift(days, time.fromisoformat(match["opens"]), time.fromisoformat(match["closes"]))

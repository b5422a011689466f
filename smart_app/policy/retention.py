"""How long each kind of record is kept (``retention.toml``), and when what a program sent us ends. Pure.

Source: rule R35, and section 5 of the design paper ``domain.md``.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from importlib import resources
from typing import Any
from zoneinfo import ZoneInfo

from smart_app.policy import clinic_calendar, consent
from smart_app.policy.clinic_calendar import ClinicCalendar

LONGEST = timedelta(days=30)
ANSWER_STAYS = timedelta(days=7)  # so that a program which asks rarely still reads that it was declined


class Why(StrEnum):
    """What ended a record; stands in the audit."""

    VISIT_DAY_OVER = "visit-day-over"
    RELEASE_OVER = "release-over"
    THIRTY_DAYS = "thirty-days"
    REQUEST = "decided-request"


@dataclass(frozen=True)
class Kind:
    """One kind of record, in words. ``mark``: "own", or "counsel" where counsel still has to sign."""

    id: str
    what: str
    kept: str
    ends: str
    why: str
    source: str
    mark: str


def _read() -> tuple[Kind, ...]:
    raw = tomllib.loads(resources.files(__package__).joinpath("retention.toml").read_text(encoding="utf-8"))
    return tuple(Kind(**row) for row in raw["kind"])


KINDS = _read()


@dataclass(frozen=True)
class Staging:
    """What decides when a program's request ends. Days are the clinic's.

    ``booked_for``: the day of the last booked visit. ``asked_for``: the last day that a visit was asked for.
    ``is_decided``: it was declined or called off; nobody has to do anything more.
    ``released_until``: the end of the last release to this clinic that nobody took back; None without one.
    """

    began_at: datetime
    booked_for: date | None
    asked_for: date | None
    is_decided: bool
    released_until: datetime | None


@dataclass(frozen=True)
class End:
    """When a record ends, and what ends it."""

    at: datetime
    why: Why


def staging_end(staging: Staging, calendar: ClinicCalendar) -> End:
    """The first of: end of the visit day, end of the release, thirty days.

    A day on which the clinic turns out to be closed is no visit day: somebody has to call and find another, so the
    request lives on to the end of the next open one. What was declined stays to the end of the day it was asked for,
    and for a week after it came, so that the program can still read the answer.
    """
    ends = [End(staging.began_at + LONGEST, Why.THIRTY_DAYS)]
    over_at = staging.began_at if staging.released_until is None else staging.released_until
    ends.append(End(over_at, Why.RELEASE_OVER))
    day = _last_day(staging, calendar)
    if day is not None:
        ends.append(End(_midnight_after(day, calendar), Why.VISIT_DAY_OVER))
    return min(ends, key=lambda end: end.at)


def staging_of(
    began_at: datetime, payloads: Iterable[dict[str, Any]], *, is_open: bool, ours: str, zone: ZoneInfo
) -> Staging:
    """The facts of one case from its resources. ``ours``: "Organization/<id>". What cannot be read counts for nothing:
    then the thirty days end it, or at once, where no release can be read."""
    resources_of = list(payloads)
    visits = [one for one in resources_of if one.get("resourceType") == "Appointment"]
    booked = [_day(one.get("start"), zone) for one in visits if one.get("status") == "booked"]
    asked = [_day(period.get("end"), zone) for one in visits for period in one.get("requestedPeriod") or []]
    releases = [_released_until(one, ours, zone) for one in resources_of if one.get("resourceType") == "Consent"]
    return Staging(
        began_at,
        booked_for=_latest(booked),
        asked_for=_latest(asked),
        is_decided=not is_open,
        released_until=max((end for end in releases if end is not None), default=None),
    )


def is_release_over(consents: Iterable[dict[str, Any]], recipient: str, now: datetime, zone: ZoneInfo) -> bool:
    """Is none of these releases to ``recipient`` in force any more? Then nothing may leave (R9)."""
    ends = [_released_until(one, recipient, zone) for one in consents]
    return all(end is None or end < now for end in ends)


def _last_day(staging: Staging, calendar: ClinicCalendar) -> date | None:
    if staging.booked_for is not None:
        day = staging.booked_for
        for _ in range(LONGEST.days + 1):
            if clinic_calendar.is_open(calendar, day):
                break
            day += timedelta(days=1)
        return day
    if staging.is_decided:
        answered = (staging.began_at + ANSWER_STAYS).astimezone(ZoneInfo(calendar.time_zone)).date()
        return max(answered, staging.asked_for or answered)
    return None


def _midnight_after(day: date, calendar: ClinicCalendar) -> datetime:
    midnight = datetime.combine(day + timedelta(days=1), time.min, ZoneInfo(calendar.time_zone))
    return midnight.astimezone(UTC)


def _released_until(payload: dict[str, Any], recipient: str, zone: ZoneInfo) -> datetime | None:
    try:
        provision = payload["provision"]
        named = [actor["reference"]["reference"] for actor in provision["actor"]]
        if payload["status"] != "active" or provision["type"] != "permit" or named != [recipient]:
            return None
        return consent.ends_at(provision["period"]["end"], zone)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError):
        return None


def _day(text: Any, zone: ZoneInfo) -> date | None:
    try:
        return datetime.fromisoformat(text).astimezone(zone).date()
    except (TypeError, ValueError):
        return None


def _latest(days: Iterable[date | None]) -> date | None:
    return max((day for day in days if day is not None), default=None)

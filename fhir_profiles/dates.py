"""FHIR dates and times: written one way, read strictly. Pure; the clock comes from the caller."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache

# Years are held to 1900-2199: nothing here is older, and conversions to UTC cannot overflow.
_DATE = r"(?:19|20|21)[0-9]{2}-[0-9]{2}-[0-9]{2}"
_TIME = r"T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?(?:Z|[+-][0-9]{2}:[0-9]{2})"
_DATE_ONLY = re.compile(_DATE)
_DATE_TIME = re.compile(f"{_DATE}(?:{_TIME})?")
_INSTANT = re.compile(f"{_DATE}{_TIME}")
_CLOCK = re.compile(r"[0-9]{2}:[0-9]{2}:[0-9]{2}")
_LAST = timedelta(days=1) - timedelta(microseconds=1)


def as_text(value: date | datetime) -> str:
    """A FHIR date for a ``date``, a FHIR instant in UTC for an aware ``datetime``. ValueError when naive."""
    if not isinstance(value, datetime):
        return value.isoformat()
    if value.tzinfo is None:
        raise ValueError("a time without zone cannot be written")
    try:
        return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    except OverflowError:
        raise ValueError("a time outside the calendar cannot be written") from None


def is_date(text: str) -> bool:
    """A full calendar date, "2026-10-01"."""
    return _DATE_ONLY.fullmatch(text) is not None and _exists(text)


def is_date_time(text: str) -> bool:
    """A full date, or a date with time, seconds and zone."""
    return _DATE_TIME.fullmatch(text) is not None and _exists(text)


def is_instant(text: str) -> bool:
    """A date with time, seconds and zone."""
    return _INSTANT.fullmatch(text) is not None and _exists(text)


def is_clock_time(text: str) -> bool:
    """A time of day, "09:00:00"."""
    if _CLOCK.fullmatch(text) is None:
        return False
    try:
        time.fromisoformat(text)
    except ValueError:
        return False
    return True


@lru_cache(maxsize=2048)  # the days of a list's releases are the same few
def first_moment(text: str) -> datetime:
    """The first instant that a FHIR date or dateTime means; a bare date is read in UTC. ValueError if malformed."""
    if _DATE_TIME.fullmatch(text) is None:
        raise ValueError("not a full FHIR date")
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def last_moment(text: str) -> datetime:
    """The last instant that a FHIR date or dateTime means: a bare date lasts to the end of its day (UTC)."""
    moment = first_moment(text)
    return moment + _LAST if len(text) == len("2026-10-01") else moment


def _exists(text: str) -> bool:
    try:
        first_moment(text)
    except (ValueError, OverflowError):
        return False
    return True

"""What a program may ask of the list of its own Tasks, and what of the list that leaves over. Pure.

Filters work on what is shown, never on what is stored: a Task that moved where the program may not look has neither
another status nor another time of its last change (R18, R21).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from fhir_profiles import dates
from smart_app.policy.task_states import STATUSES

Payload = dict[str, Any]

PARAMETERS = ("_lastUpdated", "status", "_count", "_after")
COUNT, MOST = 20, 100
_AFTER = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_COUNT = re.compile(r"[1-9][0-9]{0,3}")
_BOUND = re.compile(r"(ge|gt|le|lt)(.+)")
_INCLUDED: Mapping[str, Callable[[datetime, datetime, datetime], bool]] = {
    "ge": lambda when, first, last: when >= first,
    "gt": lambda when, first, last: when > last,
    "le": lambda when, first, last: when <= last,
    "lt": lambda when, first, last: when < first,
}


@dataclass(frozen=True)
class ShownTask:
    """A Task as its program may read it, and since when it reads exactly this."""

    payload: Payload
    since: datetime


@dataclass(frozen=True)
class TaskQuery:
    """``bounds``: (prefix, FHIR dateTime). ``after``: id of the last Task of the page before, or None."""

    statuses: frozenset[str] = frozenset()
    bounds: tuple[tuple[str, str], ...] = ()
    count: int = COUNT
    after: str | None = None

    def as_text(self, *, after: str | None) -> str:
        """The same question as a query, in our spelling, for the page behind ``after``."""
        asked = [("_lastUpdated", prefix + text) for prefix, text in self.bounds]
        if self.statuses:
            asked.append(("status", ",".join(sorted(self.statuses))))
        asked.append(("_count", str(self.count)))
        return urlencode(asked if after is None else [*asked, ("_after", after)])


@dataclass(frozen=True)
class TaskPage:
    """``total`` counts all pages. ``is_last``: nothing follows."""

    tasks: tuple[ShownTask, ...]
    total: int
    is_last: bool


def read(given: Sequence[tuple[str, str]]) -> TaskQuery | None:
    """The query of these parameters, None for anything that is not offered; decided from the words alone."""
    names = [name for name, _ in given]
    values: dict[str, list[str]] = {name: [value for one, value in given if one == name] for name in names}
    once = all(len(values[name]) == 1 for name in values if name != "_lastUpdated")
    if not once or not values.keys() <= set(PARAMETERS):
        return None
    count, after = values.get("_count", [str(COUNT)])[0], values.get("_after", [None])[0]
    statuses = values["status"][0].split(",") if "status" in values else []
    bounds = [_bound(text) for text in values.get("_lastUpdated", [])]
    is_right = (
        _COUNT.fullmatch(count)
        and (after is None or _AFTER.fullmatch(after))
        and set(statuses) <= set(STATUSES)
        and len(bounds) <= 2
    )
    if not is_right or None in bounds:
        return None
    kept = tuple(one for one in bounds if one is not None)
    return TaskQuery(frozenset(statuses), kept, min(int(count), MOST), after)


def page_of(tasks: Sequence[ShownTask], query: TaskQuery) -> TaskPage:
    """The next page. Pages go by id, which never changes: what moves meanwhile is in a later search, not lost here."""
    found = sorted((one for one in tasks if _is_asked(one, query)), key=lambda one: str(one.payload["id"]))
    rest = [one for one in found if query.after is None or one.payload["id"] > query.after]
    return TaskPage(tuple(rest[: query.count]), len(found), len(rest) <= query.count)


def _is_asked(task: ShownTask, query: TaskQuery) -> bool:
    if query.statuses and task.payload["status"] not in query.statuses:
        return False
    return all(
        _INCLUDED[prefix](task.since, dates.first_moment(text), _last_moment(text)) for prefix, text in query.bounds
    )


def _last_moment(text: str) -> datetime:
    """A time to the second means that whole second."""
    last = dates.last_moment(text)
    return last if dates.is_date(text) or "." in text else last + timedelta(microseconds=999_999)


def _bound(text: str) -> tuple[str, str] | None:
    match = _BOUND.fullmatch(text)
    return (match[1], match[2]) if match and dates.is_date_time(match[2]) else None

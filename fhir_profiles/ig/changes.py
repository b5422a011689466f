"""Small changes that make a valid example invalid."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fhir_profiles.terminology import Payload

Change = Callable[[Payload], object]


def set_(*way: str | int, to: Any) -> Change:
    """Put a value at the end of this way."""

    def change(payload: Any) -> None:
        for step in way[:-1]:
            payload = payload[step]
        payload[way[-1]] = to

    return change


def drop(*way: str | int) -> Change:
    """Remove what is at the end of this way."""

    def change(payload: Any) -> None:
        for step in way[:-1]:
            payload = payload[step]
        del payload[way[-1]]

    return change


def add(*way: str | int, item: Any) -> Change:
    """Append an item to the list at this way."""

    def change(payload: Any) -> None:
        for step in way:
            payload = payload[step]
        payload.append(item)

    return change


def part(*way: str | int, url: str, to: Any = None) -> Change:
    """Replace, or without ``to`` remove, the part of an extension that has this url."""

    def change(payload: Any) -> None:
        for step in way:
            payload = payload[step]
        kept = [item for item in payload if item["url"] != url]
        payload[:] = kept if to is None else [*kept, {"url": url, **to}]

    return change


def both(*changes: Change) -> Change:
    """One change after the other."""

    def change(payload: Any) -> None:
        for one in changes:
            one(payload)

    return change


# What several examples put in.
NARRATIVE = {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">She told me</div>'}
CONTACT = ("extension", 0, "extension")  # the parts of the first extension

# profile -> (valid example, [(name, expression, what is wrong, change)])
Wrongs = dict[str, tuple[str, list[tuple[str, str, str, Change]]]]

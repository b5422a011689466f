"""One mistake in a copy of a right record."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

Payload = dict[str, Any]
Way = tuple[Any, ...]
GONE = object()  # instead of a value: the element is left out
TWICE = object()  # instead of a value: the item of a list stands there once more


def broken(payload: Payload, *changes: tuple[Way, Any]) -> Payload:
    """``payload`` with each (way, value) put in; a way is keys and positions from the root. The place after the last
    item of a list is one more item."""
    made = deepcopy(payload)
    for way, value in changes:
        target: Any = made
        for step in way[:-1]:
            target = target[step]
        last = way[-1]
        if value is GONE:
            del target[last]
        elif value is TWICE:
            target.append(deepcopy(target[last]))
        elif isinstance(target, list) and last == len(target):
            target.append(value)
        else:
            target[last] = value
    return made

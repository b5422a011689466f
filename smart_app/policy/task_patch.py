"""A Task changed by JSON Patch (RFC 6902): the next body, made from what its sender may read. Pure.

Only what edits one place is taken: "copy" and "move" could multiply a body, and nothing here needs them.
"""

from __future__ import annotations

import copy
from typing import Any

import jsonpatch
import orjson

from fhir_profiles.validation import Issue, LimitError, parse

Payload = dict[str, Any]

MEDIA_TYPE = "application/json-patch+json"
MOST_STEPS = 20
STEPS = frozenset({"add", "remove", "replace", "test"})
_SHAPE = Issue("error", "structure", "Task", f"Send a JSON Patch of at most {MOST_STEPS} add, remove, replace or test.")
_DOES_NOT_APPLY = Issue("error", "business-rule", "Task", "The patch does not apply to what you may read.")

Step = dict[str, Any]


class PatchError(Exception):
    """This patch makes no Task. ``issue`` is constant: no path and no value of the sender."""

    def __init__(self, issue: Issue) -> None:
        super().__init__(issue.text)
        self.issue = issue


def read(body: bytes) -> list[Step]:
    """The steps, decided from the body alone. Raises ``LimitError`` and ``PatchError``."""
    wrapped = parse(b'{"patch":' + body + b"}") if body.strip() else {}
    steps = wrapped.get("patch") if len(wrapped) == 1 else None
    is_right = isinstance(steps, list) and 0 < len(steps) <= MOST_STEPS and all(_is_step(step) for step in steps)
    if not is_right or not isinstance(steps, list):
        raise PatchError(_SHAPE)
    return steps


def applied(shown: Payload, steps: list[Step]) -> Payload:
    """The Task after these steps; ``shown`` stays as it is. Raises ``PatchError``."""
    try:
        made = jsonpatch.JsonPatch(steps).apply(copy.deepcopy(shown))
        return parse(orjson.dumps(made, default=str))  # held to the limits of any body
    except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException, LimitError, TypeError, ValueError, KeyError):
        raise PatchError(_DOES_NOT_APPLY) from None


def _is_step(step: object) -> bool:
    if not isinstance(step, dict) or step.get("op") not in STEPS or not isinstance(step.get("path"), str):
        return False
    return set(step) == ({"op", "path"} if step["op"] == "remove" else {"op", "path", "value"})

"""SMART scopes: which we ask for, and what a grant covers, in the v2 and in the v1 spelling.

Source: https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

ALWAYS_ASKED = (
    "launch",
    "openid",
    "fhirUser",
    "online_access",
    "patient/Patient.rs",
    "patient/Encounter.rs",
    "user/Practitioner.rs",
)
# A schedule belongs to the person who keeps it: staff without a chart (no ``patient`` in the launch) book too.
_USER_LEVEL_TYPES = frozenset({"Appointment"})
_RESOURCE_SCOPE = re.compile(
    r"(?P<level>patient|user|system)/(?P<type>\*|[A-Z][A-Za-z]{1,63})\.(?P<what>\*|read|write|c?r?u?d?s?)(?P<query>\?\S+)?"
)
_V1 = {"read": "rs", "write": "cud", "*": "cruds"}


@dataclass(frozen=True)
class ResourceScope:
    """One parsed resource scope. ``interactions`` is a subset of "cruds"; ``is_narrowed``: it carries a query."""

    level: str
    resource_type: str
    interactions: frozenset[str]
    is_narrowed: bool = False


def requested(write_types: Iterable[str]) -> str:
    """The scope to ask at one EHR: least that works, no wildcard, and ``.c`` only where we are set to write.

    ``.u`` goes with it: a copy that lost its labels is marked entered-in-error.
    """
    writes = (f"{'user' if name in _USER_LEVEL_TYPES else 'patient'}/{name}.cruds" for name in sorted(write_types))
    return " ".join((*ALWAYS_ASKED, *writes))


def parse(scope: str) -> ResourceScope | None:
    """One resource scope in either spelling; None for anything else (``openid``, ``launch``, unknown words)."""
    found = _RESOURCE_SCOPE.fullmatch(scope)
    if found is None or not found["what"]:
        return None
    interactions = _V1.get(found["what"], found["what"])
    return ResourceScope(found["level"], found["type"], frozenset(interactions), found["query"] is not None)


def covers(granted: Iterable[str], resource_type: str, interaction: str) -> bool:
    """Whether a grant allows one interaction ("c", "r", "u", "d" or "s") on a type, on patient or user level.

    A narrowed scope (``?category=...``) does not count: we cannot know that it lets our resource through.
    """
    return any(
        scope.level != "system"
        and scope.resource_type in ("*", resource_type)
        and interaction in scope.interactions
        and not scope.is_narrowed
        for scope in filter(None, map(parse, granted))
    )


def covers_system(granted: Iterable[str], needed: str) -> bool:
    """Whether a partner's grant covers one ``system/`` scope: "system/Task.crus" covers .c, .r, .u, .s, .rs, .crus.

    No wildcard and no narrowing query on either side: a partner names what it means.
    """
    wanted = parse(needed)
    if wanted is None or wanted.level != "system" or wanted.is_narrowed or wanted.resource_type == "*":
        return False
    return any(
        scope.level == "system"
        and scope.resource_type == wanted.resource_type
        and wanted.interactions <= scope.interactions
        and not scope.is_narrowed
        for scope in filter(None, map(parse, granted))
    )

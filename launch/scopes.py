"""SMART scopes: which we ask for, what a grant covers, and what does not work when it covers less than was asked.

Two spellings: version 2 (``patient/Patient.rs``) where the EHR lists ``permission-v2``, else version 1 (``.read``,
``.write``). A grant is read in either, whatever was asked.
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


@dataclass(frozen=True)
class Shortfall:
    """Something that was asked and not granted. ``code`` is for the audit; ``words`` say what does not work now, and
    ``ask`` what to ask the EHR's IT for. Constant text, but for names of FHIR types from our own configuration."""

    code: str
    words: str
    ask: str


def requested(write_types: Iterable[str], syntax: str = "v2", read_types: Iterable[str] = ()) -> str:
    """The scope to ask at one EHR: least that works, no wildcard, and ``.c`` only where we are set to write.
    ``read_types``: what configuration asks to read beside it.

    ``.u`` goes with it: a copy that lost its labels is marked entered-in-error. ``syntax`` is "v2" or "v1".
    """
    asked = (*ALWAYS_ASKED, *map(_read_scope, sorted(read_types)), *map(_write_scope, sorted(write_types)))
    return " ".join(word for scope in asked for word in ([scope] if syntax == "v2" else _as_v1(scope)))


def _read_scope(resource_type: str) -> str:
    """Staff directories belong to no patient; everything else we read is the launched patient's."""
    return f"{'user' if resource_type == 'PractitionerRole' else 'patient'}/{resource_type}.rs"


def _write_scope(resource_type: str) -> str:
    level = "user" if resource_type in _USER_LEVEL_TYPES else "patient"
    return f"{level}/{resource_type}.cruds"


def _as_v1(scope: str) -> list[str]:
    """A scope in the older spelling, without its wildcard: reading and writing are two words."""
    parsed = parse(scope)
    if parsed is None:
        return [scope]
    verbs = [verb for verb in ("read", "write") if parsed.interactions & set(_V1[verb])]
    return [f"{parsed.level}/{parsed.resource_type}.{verb}" for verb in verbs]


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


def shortfalls(
    granted: Iterable[str], write_types: Iterable[str], *, has_patient: bool, can_renew: bool
) -> tuple[Shortfall, ...]:
    """What of the things this app is set to do the grant does not cover, most important first. None of it is an error:
    the app does less, and says so. ``can_renew``: a refresh token came along."""
    held = frozenset(granted)
    found: list[Shortfall] = []
    if has_patient and not covers(held, "Patient", "r"):
        found.append(
            Shortfall(
                "patient-read",
                "The EHR does not let this app read whose chart this is. Cards and the phone list are open; "
                "everything that belongs to one patient is off.",
                "patient/Patient.rs (in the older spelling patient/Patient.read)",
            )
        )
    if has_patient and not covers(held, "Encounter", "r"):
        found.append(
            Shortfall(
                "encounter-read",
                "The EHR does not let this app see whether a visit is open. It asks you why you are here instead.",
                "patient/Encounter.rs (in the older spelling patient/Encounter.read)",
            )
        )
    if not can_renew:
        found.append(
            Shortfall(
                "online-access",
                "The EHR ends this session after a few minutes. Open the app again from the chart when it does.",
                "online_access",
            )
        )
    found += [
        Shortfall(
            f"write-{name}",
            f"Nothing can be copied to the EHR as {name}. The page gives the lines to enter by hand.",
            f"{_write_scope(name)} (in the older spelling {' and '.join(_as_v1(_write_scope(name)))})",
        )
        for name in sorted(write_types)
        if (has_patient or name in _USER_LEVEL_TYPES) and not covers(held, name, "c")
    ]
    return tuple(found)


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

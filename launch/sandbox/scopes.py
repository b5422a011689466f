"""SMART v2 scopes as this server understands them: parsing, and whether a token may do one thing to one type."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import parse_qsl

LAUNCH_SCOPES = frozenset({"launch", "openid", "fhirUser", "online_access", "profile"})
_CLINICAL = re.compile(r"(patient|user)/(\*|[A-Z][A-Za-z]{1,63})\.(c?r?u?d?s?)(?:\?(.+))?")


@dataclass(frozen=True)
class Scope:
    """One clinical scope. ``context`` is "patient" or "user"; ``type`` may be "*"; ``where`` are search parameters."""

    context: str
    type: str
    permissions: frozenset[str]
    where: tuple[tuple[str, str], ...] = ()

    def allows(self, permission: str, resource_type: str) -> bool:
        """Whether this scope covers one of c, r, u, d, s on a type (its ``where`` is checked on the resource)."""
        return permission in self.permissions and self.type in ("*", resource_type)


def parse(text: str) -> tuple[Scope, ...]:
    """The clinical scopes in a scope string; launch and identity scopes are left out. Unknown words are ignored."""
    return tuple(scope for scope in map(parse_one, text.split()) if scope)


def parse_one(word: str) -> Scope | None:
    """One scope word, or None when it is not a well-formed v2 clinical scope."""
    found = _CLINICAL.fullmatch(word)
    if found is None or not found[3]:
        return None
    return Scope(found[1], found[2], frozenset(found[3]), tuple(parse_qsl(found[4] or "", keep_blank_values=True)))


def is_wildcard(word: str) -> bool:
    """Whether a scope word asks for every type at once."""
    return "*" in word


_V1 = {"read": "rs", "write": "cud", "*": "cruds"}


def as_v1(word: str) -> str:
    """A scope in the spelling of SMART version 1: ``.read``, ``.write`` or ``.*``. Other words stay as they are."""
    scope = parse_one(word)
    if scope is None:
        return word
    reads, writes = scope.permissions & set("rs"), scope.permissions & set("cud")
    return f"{scope.context}/{scope.type}." + ("*" if reads and writes else "read" if reads else "write")


def from_v1(word: str) -> str:
    """A version 1 scope in our spelling; "" for a clinical scope that version 1 does not know."""
    where, dot, verb = word.rpartition(".")
    if dot and verb in _V1:
        return f"{where}.{_V1[verb]}"
    return "" if parse_one(word) else word


def granted(asked: Iterable[str], registered: Iterable[str], *, has_patient: bool) -> list[str]:
    """The asked scopes that the registration holds, narrowed permission by permission, in the order asked.

    Patient scopes fall away when the launch has no patient: there is no compartment they could open.
    """
    registered_words = set(registered)
    allowed = [scope for word in registered_words if (scope := parse_one(word))]
    result: list[str] = []
    for word in dict.fromkeys(asked):
        scope = parse_one(word)
        if scope is None:
            if word in registered_words and word in LAUNCH_SCOPES:
                result.append(word)
            continue
        if scope.context == "patient" and not has_patient:
            continue
        held = {
            permission
            for one in allowed
            if one.context == scope.context and one.type == scope.type
            for permission in one.permissions
        }
        kept = "".join(permission for permission in "cruds" if permission in scope.permissions & held)
        if kept:
            where = "?" + word.split("?", 1)[1] if "?" in word else ""
            result.append(f"{scope.context}/{scope.type}.{kept}{where}")
    return result

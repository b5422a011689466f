"""Where a Reference may lead: its form gives a type, and the type must be one of the element's targets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

# "Patient/1", "https://x.example/fhir/Patient/1/_history/2", "Patient?identifier=..." (transactions).
_TYPED = re.compile(
    r"(?:https?://[^\s?#]*?/|)([A-Z][A-Za-z]{2,40})(?:/[A-Za-z0-9.-]{1,64}(?:/_history/[A-Za-z0-9.-]{1,64})?|\?\S+)"
)


def type_of(reference: str, resource: Mapping[str, Any], entries: Mapping[str, str]) -> str | None:
    """The resource type a literal reference names, looks up as ``#id`` or finds in the Bundle; None when unknown."""
    if reference.startswith("#"):
        return _contained(reference[1:], resource)
    found = entries.get(reference)
    if found is not None:
        return found
    match = _TYPED.fullmatch(reference)
    return match[1] if match is not None else None


class Container(dict[str, Any]):
    """A resource that knows by id what it contains. Without it, a thousand references look at each of a thousand."""

    def __init__(self, resource: Mapping[str, Any]) -> None:
        super().__init__(resource)
        self.types = types_contained(resource)


def container(resource: dict[str, Any]) -> dict[str, Any]:
    """The resource itself, or one that knows what it contains when it contains more than a few."""
    contained = resource.get("contained")
    return Container(resource) if isinstance(contained, list) and len(contained) > _FEW else resource


_FEW = 4


def types_contained(resource: Mapping[str, Any]) -> Mapping[str, str | None]:
    """Id -> type of the contained resources, None for a type that is no word; the first of an id counts."""
    if isinstance(resource, Container):
        return resource.types
    found: dict[str, str | None] = {}
    contained = resource.get("contained")
    for item in contained if isinstance(contained, list) else ():
        identifier = item.get("id") if isinstance(item, dict) else None
        if isinstance(identifier, str):
            kind = item.get("resourceType")
            found.setdefault(identifier, kind if isinstance(kind, str) else None)
    return found


def _contained(identifier: str, resource: Mapping[str, Any]) -> str | None:
    if not identifier:
        kind = resource.get("resourceType")
        return kind if isinstance(kind, str) else None
    return types_contained(resource).get(identifier)


def entries_of(payload: Mapping[str, Any]) -> dict[str, str]:
    """``fullUrl`` -> resource type of a Bundle's entries; empty for any other payload."""
    found: dict[str, str] = {}
    entries = payload.get("entry") if payload.get("resourceType") == "Bundle" else None
    for entry in entries if isinstance(entries, list) else ():
        resource = entry.get("resource") if isinstance(entry, dict) else None
        kind = resource.get("resourceType") if isinstance(resource, dict) else None
        url = entry.get("fullUrl") if isinstance(entry, dict) else None
        if isinstance(url, str) and isinstance(kind, str):
            found[url] = kind
    return found

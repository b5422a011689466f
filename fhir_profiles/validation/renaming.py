"""The resources of a referral that passed the gate, under ids of the receiver's own.

Nothing but ``id``, ``meta`` and references to entries changes, and each of these is written in a form that every
profile takes, so what was valid in its Bundle is valid alone: whoever stores it need not look a second time. A test
looks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fhir_profiles.terminology import Payload

_KEPT = ("profile", "security")


@dataclass(frozen=True)
class Renamed:
    """One resource, valid as its type's profile. Made by ``renamed`` alone."""

    payload: Payload


def renamed(bundle: Payload, new_id: Callable[[], str]) -> list[Renamed]:
    """The resources of ``bundle``, in which ``validate`` as referral-bundle found nothing, with every reference led to
    their new ids. No id a sender chose is kept. ``new_id`` gives a UUID."""
    fresh = {entry["fullUrl"]: new_id() for entry in bundle["entry"]}
    names = {
        local_name(entry["fullUrl"]): f"{entry['resource']['resourceType']}/{fresh[entry['fullUrl']]}"
        for entry in bundle["entry"]
    }
    made = []
    for entry in bundle["entry"]:
        resource = _led_to(entry["resource"], names)
        meta = {key: value for key, value in resource.get("meta", {}).items() if key in _KEPT}
        one = {**resource, "id": fresh[entry["fullUrl"]], "meta": meta}
        if not meta:  # unlabelled from outside: the door labels it (R3); an empty element is no FHIR
            del one["meta"]
        made.append(Renamed(one))
    return made


def local_name(full_url: str) -> str:
    """How the entries of a bundle call this one: "urn:uuid:…", or "<Type>/<id>" for an address."""
    return full_url if full_url.startswith("urn:") else "/".join(full_url.split("/")[-2:])


def _led_to(value: Any, names: dict[str, str]) -> Any:
    """The same value with each reference that names an entry replaced by our name of it."""
    if isinstance(value, list):
        return [_led_to(item, names) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: names.get(item, item)
        if key == "reference" and isinstance(item, str)
        else (_led_to(item, names) if isinstance(item, dict | list) else item)
        for key, item in value.items()
    }

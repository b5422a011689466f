"""One resource on its way: as it came or left, as it is stored, as the other side got it, and what changed between."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from fhir_profiles import release_consent
from fhir_profiles.security_labels import labels_of
from smart_app import guards
from smart_app.pages.follow_the_data.words import LABEL_WORDS, TYPES
from smart_app.policy.ehr_copy import service_request_copy, visit_copy
from smart_app.policy.minimum_necessary import reason_for_omission, trimmed
from smart_app.ports import Case, CaseKind, DemoWire, Payload, Stored

OURS = "this app's own encrypted store"


@dataclass(frozen=True)
class Trip:
    """One way out: what left ``to`` "the program" or "the EHR", and what is there. ``cut``: elements left out, why."""

    to: str
    sent: Payload
    received: Payload
    cut: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_as_sent(self) -> bool:
        """Did the other side get what was sent, element by element?"""
        return self.sent == self.received


@dataclass(frozen=True)
class Item:
    """One resource. ``came`` is what a program sent for it, None where none did; ``told``: sentences on how that became
    what is stored. ``trips``: where it left to, none where it stayed."""

    stored: Stored
    places: tuple[str, ...]
    came: Payload | None = None
    told: tuple[str, ...] = ()
    trips: tuple[Trip, ...] = ()

    @property
    def type(self) -> str:
        """ "Task"."""
        return str(self.stored.payload["resourceType"])

    @property
    def words(self) -> str:
        """What it is, in words."""
        return TYPES.get(self.type, self.type).format(to=f" {self.direction}" if self.direction else "")

    @property
    def direction(self) -> str:
        """Of a release, to whom: there may be one each way."""
        if self.type != "Consent":
            return ""
        is_ours = release_consent.recipient_of(self.stored.payload) == guards.services().site.organization_reference
        return "to the clinic" if is_ours else "to the program"

    @property
    def labels(self) -> list[tuple[str, str]]:
        """Code and meaning of every label."""
        return [(code, LABEL_WORDS.get(code, "")) for _system, code in labels_of(self.stored.payload)]

    @property
    def panels(self) -> list[tuple[str, Payload]]:
        """What there is to compare, in the order in which it happened."""
        shown = [] if self.came is None else [("As the program sent it", self.came)]
        shown.append(("As stored here", self.stored.payload))
        for trip in self.trips:
            shown += [(f"As sent to {trip.to}", trip.sent), (f"As {trip.to} got it", trip.received)]
        return shown


@dataclass(frozen=True)
class LabelGroup:
    """Labels that the same resources carry, each with its meaning."""

    on: str
    labels: tuple[tuple[str, str], ...]


def label_groups(items: Sequence[Item]) -> list[LabelGroup]:
    """Every label once: first those on all resources, then those on some, with their names."""
    carriers: dict[tuple[str, str], list[str]] = {}
    for item in items:
        for label in item.labels:
            names = carriers.setdefault(label, [])
            names += [item.type] if item.type not in names else []
    everyone = list(dict.fromkeys(item.type for item in items))
    grouped: dict[tuple[str, ...], list[tuple[str, str]]] = {}
    for label, names in carriers.items():
        grouped.setdefault(tuple(names), []).append(label)
    found = sorted(grouped.items(), key=lambda group: -len(group[0]))
    return [LabelGroup("all of it" if list(on) == everyone else " and ".join(on), tuple(ls)) for on, ls in found]


def items(wire: DemoWire, case: Case, stored: list[Stored]) -> list[Item]:
    """Each stored resource of ``case`` with what the sandboxes say they sent and received."""
    received = _received_by_program(wire) if case.kind is CaseKind.REFERRAL else {}
    came = _sent_by_program(wire, stored) if case.kind is CaseKind.INBOUND else {}
    written = received_by_ehr(wire, stored)
    return [_item(one, came, received, written) for one in stored]


def received_by_ehr(wire: DemoWire, stored: Sequence[Stored]) -> dict[str, Payload]:
    """Our reference -> its copy in the EHR, as the EHR says it got it."""
    found: dict[str, Payload] = {}
    for write in wire.ehr_writes():
        made = f"{write.get('location') or ''}/"
        for one in stored:
            if write.get("method") == "POST" and one.ehr_reference and f"/{one.ehr_reference}/" in made:
                found[one.reference] = _json(write.get("body"))
    return found


def _item(
    stored: Stored,
    came: Mapping[str, tuple[Payload, tuple[str, ...]]],
    received: Mapping[str, Payload],
    written: Mapping[str, Payload],
) -> Item:
    origin, told = came.get(stored.reference, (None, ()))
    places, trips = [OURS], []
    if origin is not None:
        places.append("the program that sent it")
    if stored.reference in received:
        places.append("the program's system")
        trips.append(_to_program(stored.payload, received[stored.reference]))
    if stored.ehr_reference is not None:
        places.append(f"the EHR, as {stored.ehr_reference}")
        copy = written.get(stored.reference)  # the sandbox forgets what it was sent when it is started again
        trips += [] if copy is None else [Trip("the EHR", _sent_to_ehr(stored.payload, copy), copy)]
    return Item(stored, tuple(places), origin, told, tuple(trips))


def _to_program(payload: Payload, got: Payload) -> Trip:
    sent = trimmed(payload)
    kind = str(payload["resourceType"])
    cut = {element: reason_for_omission(kind, element) or "" for element in payload if element not in sent}
    return Trip("the program", sent, got, cut)


def _sent_to_ehr(payload: Payload, received: Payload) -> Payload:
    """The copy as the workflows make it for this EHR: the chart's patient in place of the one made for the referral."""
    kind = payload["resourceType"]
    if kind == "ServiceRequest":
        subject = (received.get("subject") or {}).get("reference", "")
        return service_request_copy(payload, patient_reference=subject)
    if kind == "Appointment":
        start, end = (datetime.fromisoformat(payload[key]) for key in ("start", "end"))
        actors = [p.get("actor", {}).get("reference", "") for p in received.get("participant", [])]
        patient = next((actor for actor in actors if actor.startswith("Patient/")), None)
        return visit_copy(start, end, patient_reference=patient)
    return {key: value for key, value in payload.items() if key != "id"}


def _received_by_program(wire: DemoWire) -> dict[str, Payload]:
    """Reference -> resource, as the program says it got it."""
    found: dict[str, Payload] = {}
    for receipt in wire.partner_receipts():
        for entry in _json(receipt.get("bundle")).get("entry", []):
            resource = entry.get("resource", {})
            found[f"{resource.get('resourceType')}/{resource.get('id')}"] = resource
    return found


# -- a program's request, before and after the door ----------------------------------------------------------------


def _sent_by_program(wire: DemoWire, stored: list[Stored]) -> dict[str, tuple[Payload, tuple[str, ...]]]:
    """Our reference -> the resource as the program sent it, and what the door made of it. Empty when the bundle came
    from another client than the sandbox program."""
    tasks = [one.payload.get("identifier") for one in stored if one.payload["resourceType"] == "Task"]
    for sent in wire.partner_sent():
        entries = _json(sent.get("bundle")).get("entry", [])
        if any(entry["resource"].get("identifier") in tasks for entry in entries if _type(entry) == "Task"):
            return _matched(entries, stored)
    return {}


def _matched(entries: list[Payload], stored: list[Stored]) -> dict[str, tuple[Payload, tuple[str, ...]]]:
    pairs = [(entry, one) for one in stored for entry in entries if _is_same(entry["resource"], one.payload)]
    names = {str(entry.get("fullUrl")): one.reference for entry, one in pairs}
    return {one.reference: (entry["resource"], _told(entry, one.payload, names)) for entry, one in pairs}


def _is_same(sent: Payload, stored: Payload) -> bool:
    """The same part of one bundle: there is one of each type, but releases have numbers of their own."""
    if sent.get("resourceType") != stored["resourceType"] or stored["resourceType"] == "Appointment":
        return False
    return sent.get("sourceReference") == stored.get("sourceReference")


def _told(entry: Payload, stored: Payload, names: Mapping[str, str]) -> tuple[str, ...]:
    """How the resource of ``entry`` became ``stored``, in sentences."""
    sent = entry["resource"]
    led, moved = _led_to(sent, names)
    changed = sorted(
        element
        for element in (led.keys() | stored.keys()) - {"id", "meta"}
        if _plain(led.get(element)) != _plain(stored.get(element))
    )
    return (
        _labels_told(sent, stored),
        f"It came as {str(entry.get('fullUrl'))[:17]}… and is now {stored['resourceType']}/{stored['id'][:8]}…: "
        "no id that a sender chose is kept.",
        *([f"{moved} reference{'s' if moved > 1 else ''} inside it now lead to our ids."] if moved else []),
        "Everything else is as it was sent."
        if not changed
        else f"Since it came, this was changed here: {', '.join(changed)}. Everything else is as it was sent.",
    )


def _labels_told(sent: Payload, stored: Payload) -> str:
    before = {code for _system, code in labels_of(sent)}
    added = [code for _system, code in labels_of(stored) if code not in before]
    if not before:
        return f"It came without any label. The door put all {len(added)} on."
    if added:
        return f"The door raised its labels: {', '.join(added)} came on top."
    return "It came with all its labels. The door can raise labels and never lowers one."


def _led_to(value: Any, names: Mapping[str, str]) -> tuple[Any, int]:
    """The same value with references between the parts led to our names, and how many there were."""
    if isinstance(value, list):
        pairs = [_led_to(one, names) for one in value]
        return [one for one, _ in pairs], sum(count for _, count in pairs)
    if not isinstance(value, dict):
        return value, 0
    made: dict[str, Any] = {}
    moved = 0
    for key, one in value.items():
        is_ours = key == "reference" and one in names if isinstance(one, str) else False
        made[key], count = (names[one], 1) if is_ours else _led_to(one, names)
        moved += count
    return made, moved


def _plain(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def _type(entry: Payload) -> str:
    resource = entry.get("resource")
    return str(resource.get("resourceType")) if isinstance(resource, dict) else ""


def _json(text: object) -> Payload:
    try:
        made = json.loads(text) if isinstance(text, str | bytes) else text
    except ValueError:
        return {}
    return made if isinstance(made, dict) else {}

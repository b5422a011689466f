"""View as: what others see of the same item, asked at the same door as they would ask, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from smart_app import guards
from smart_app.errors import NothingToShowError
from smart_app.pages.follow_the_data import words
from smart_app.pages.follow_the_data.items import received_by_ehr
from smart_app.policy import status_back
from smart_app.policy.access import Purpose, Requester, Role
from smart_app.ports import Case, CaseKind, DemoWire, Partner, Payload, Stored, UnitOfWork

NOTHING, PART, ALL = "Nothing to show here", "Part", "Everything"
Seen = Mapping[str, Payload | None]


class Shown(Protocol):
    """What the partner API answers with."""

    @property
    def payload(self) -> Payload:
        """A resource as the program may see it."""


# By resource type: how the partner API reads one, from an open unit and the resource's id.
ReadAtApi = Mapping[str, Callable[[UnitOfWork, str], Shown]]


@dataclass(frozen=True)
class View:
    """What somebody sees of each stored resource, by reference; None: nothing. ``parts``: only some of its elements."""

    name: str
    why: str
    seen: Seen
    parts: frozenset[str] = frozenset()

    @property
    def cells(self) -> list[str]:
        """One per resource."""
        return [NOTHING if found is None else PART if ref in self.parts else ALL for ref, found in self.seen.items()]

    @property
    def is_alike(self) -> bool:
        """The same for every resource."""
        return len(set(self.cells)) == 1


def views(case: Case, stored: list[Stored], read_at_api: ReadAtApi) -> Iterator[View]:
    """Who sees what, from the one who knows most outwards. A program sees what ``read_at_api`` answers it."""
    is_inbound = case.kind is CaseKind.INBOUND
    yield _treating(stored, words.WHY_TREATING_INBOUND if is_inbound else words.WHY_TREATING)
    for name, why, requester in (
        ("Staff who do not care for this patient", words.WHY_STAFF, _clinician("Practitioner/somebody-else")),
        ("Patient portal", words.WHY_PORTAL, Requester(Role.PATIENT, "Patient/somebody", Purpose.PATRQT)),
        ("Front desk", words.WHY_FRONT_DESK, Requester(Role.FRONT_DESK, "Practitioner/desk", Purpose.HOPERAT)),
        (
            "Scheduler",
            words.WHY_SCHEDULER_INBOUND if is_inbound else words.WHY_SCHEDULER,
            Requester(Role.SCHEDULER, "Practitioner/scheduler", Purpose.HOPERAT),
        ),
    ):
        yield _see(name, why, requester, stored)
    yield from _programs(case, stored, read_at_api)


def _treating(stored: list[Stored], why: str) -> View:
    """The clinician who made it: whoever of the site's clinicians the door recognizes as its author."""
    known = [
        (reference, _clinician(reference, ehr.id, role))
        for ehr in guards.settings().ehr
        for reference, role in ehr.roles.items()
        if guards.TABLE_ROLES.get(role, (None,))[0] is Role.CLINICIAN
    ]
    for reference, requester in known:
        if any(found is not None for found in _see("", "", requester, stored[:1]).seen.values()):
            return _see(f"Treating clinician ({reference.removeprefix('Practitioner/')})", why, requester, stored)
    return _see("Treating clinician", why, _clinician("Practitioner/somebody-else"), stored)


def _clinician(reference: str, registration_id: str | None = None, site_role: str = "physician") -> Requester:
    return Requester(Role.CLINICIAN, reference, Purpose.TREAT, registration_id=registration_id, site_role=site_role)


def _programs(case: Case, stored: list[Stored], read_at_api: ReadAtApi) -> Iterator[View]:
    """The program of the item, and one that has nothing to do with it."""
    look = partial(_at_the_api, read_at_api)
    partners = guards.services().directory.partners()
    own = next((partner for partner in partners if partner.partner_id == case.partner_id), None)
    if own is not None:
        view = _see(f"{own.name} (the program of this item)", "", _system(own), stored, look)
        is_shown = any(found is not None for found in view.seen.values())
        why = words.WHY_ADDRESSEE if is_shown else words.WHY_NO_LONGER
        why = words.WHY_SENDER if case.kind is CaseKind.INBOUND else why
        yield View(view.name, why, view.seen, view.parts)
    other = next((partner for partner in partners if partner is not own), None)
    if other is not None:
        yield _see(f"{other.name} (another program)", words.WHY_ANOTHER, _system(other), stored, look)


def _system(partner: Partner) -> Requester:
    return Requester(Role.ADVOCATE, f"Organization/{partner.partner_id}", Purpose.COC)


def _at_the_door(work: UnitOfWork, reference: str) -> Stored:
    return work.read(reference)


def _at_the_api(read_at_api: ReadAtApi, work: UnitOfWork, reference: str) -> Stored:
    """As a program's computer reads it: the partner API tells less than the door would let through (R21)."""
    found = work.read(reference)
    kind, _, item_id = reference.partition("/")
    if kind not in read_at_api:
        return found
    shown = read_at_api[kind](work, item_id).payload
    whole = status_back.without_history(found.payload)
    is_part = any(shown.get(element) != value for element, value in whole.items())
    return Stored(reference, found.case_id, found.version, found.etag, shown, is_part)


def _see(
    name: str,
    why: str,
    requester: Requester,
    stored: list[Stored],
    look: Callable[[UnitOfWork, str], Stored] = _at_the_door,
) -> View:
    services = guards.services()
    seen: dict[str, Payload | None] = {}
    parts: set[str] = set()
    for item in stored:
        try:
            with services.door.open_for(requester, services.now()) as work:
                found = look(work, item.reference)
        except NothingToShowError:
            seen[item.reference] = None
        else:
            seen[item.reference] = found.payload
            parts |= {item.reference} if found.is_redacted else set()
    return View(name, why, seen, frozenset(parts))


@dataclass(frozen=True)
class Finder:
    """Somebody at the EHR, and which of our copies they find there ("Observation/55")."""

    name: str
    why: str
    found: tuple[str, ...]


def finders(wire: DemoWire, stored: list[Stored]) -> list[Finder]:
    """What each reader of that chart finds in the EHR itself. Empty when there is no copy that the EHR knows of."""
    wanted = {one.ehr_reference for one in stored if one.ehr_reference is not None}
    patients = map(_patient_of, received_by_ehr(wire, stored).values())
    patient_id = next((patient for patient in patients if patient), None)
    if patient_id is None:
        return []
    made = []
    for reader, (name, why) in words.EHR_READERS.items():
        references = [f"{one.get('resourceType')}/{one.get('id')}" for one in wire.ehr_as(reader, patient_id)]
        found = tuple(reference for reference in references if reference in wanted)
        is_plain = bool(found) and all(reference.startswith("Appointment/") for reference in found)
        made.append(Finder(name, words.WHY_PLAIN_VISIT if is_plain else why, found))
    return made


def _patient_of(payload: Payload) -> str:
    """The EHR's id of the patient that a resource in the EHR is about; empty when it names none."""
    actors = [participant.get("actor") or {} for participant in payload.get("participant", [])]
    references = [str(target.get("reference", "")) for target in (payload.get("subject") or {}, *actors)]
    return next((r.removeprefix("Patient/") for r in references if r.startswith("Patient/")), "")

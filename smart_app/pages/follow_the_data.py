"""Follow the data, under ``demo`` only: one item as stored, as sent, as the other side got it, and as others see it.

For newcomers and privacy officers. It reads the vault through the door like anybody else, as the labeler: the one role
that the decision table lets see every label. Nothing here exists outside a demo.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from flask import Blueprint, render_template, request

from fhir_profiles.security_labels import labels_of
from smart_app import guards
from smart_app.errors import NothingToShowError
from smart_app.policy.access import Purpose, Requester, Role
from smart_app.policy.minimum_necessary import reason_for_omission, trimmed
from smart_app.ports import Case, CaseKind, DemoWire, Payload, Stored

blueprint = Blueprint("follow_the_data", __name__)
guards.protect(blueprint, guards.public)

LABELER = Requester(Role.LABELER, "Device/follow-the-data", Purpose.LABELING)
KIND_WORDS = {
    CaseKind.DISCLOSURE: "A protected note",
    CaseKind.REFERRAL: "A referral to a program",
    CaseKind.INBOUND: "A referral from a program",
}
TYPES = {
    "Observation": "What the patient told, as one coded fact",
    "Patient": "The person, under the name to use",
    "Consent": "The patient's release: who may get what, until when",
    "ServiceRequest": "What is asked, and how the two will meet",
    "Task": "Where it stands",
    "Appointment": "The visit",
}
LABEL_WORDS = {
    "V": "very restricted: only who treats this person, or whom a release names",
    "R": "restricted",
    "N": "normal",
    "L": "low",
    "SDV": "about domestic or sexual violence: a locked compartment of its own",
    "NORDSCLCD": "may not be passed on without the patient's consent",
    "NOREUSE": "may not be used for anything else",
    "PERSISTLABEL": "the labels stay on, and their history is kept",
    "TREAT": "for treatment",
    "COC": "for coordination of care between the two sides",
    "PATRPT": "the patient said so",
    "CLINAST": "a clinician found so",
    "LOCIS": "a place or a visit would tell by itself",
    "CPLYCD": "use only as the consent says",
    "REDACTED": "parts were taken out for this reader",
    "NOPAT": "not to be shown to the patient",
}


@dataclass(frozen=True)
class Item:
    """One resource on its way. ``sent`` and ``received`` are None where it did not leave."""

    stored: Stored
    places: tuple[str, ...]
    sent: Payload | None = None
    received: Payload | None = None
    cut: Mapping[str, str] = field(default_factory=dict)

    @property
    def type(self) -> str:
        """ "Task"."""
        return str(self.stored.payload["resourceType"])

    @property
    def words(self) -> str:
        """What it is, in words."""
        return TYPES.get(self.type, self.type)

    @property
    def labels(self) -> list[tuple[str, str]]:
        """Code and meaning of every label."""
        return [(code, LABEL_WORDS.get(code, "")) for _system, code in labels_of(self.stored.payload)]

    @property
    def verdict(self) -> str | None:
        """Did the other side get what was sent?"""
        if self.received is None:
            return None
        if self.sent == self.received:
            return "The other side got exactly this: no byte of meaning more or less."
        return "What the other side got differs from what was to be sent. Look at both."


@dataclass(frozen=True)
class View:
    """What somebody else sees of each stored resource: "all", "part" or "nothing", by reference."""

    name: str
    who: str
    seen: Mapping[str, Payload | None]
    is_part: frozenset[str] = frozenset()

    def of(self, reference: str) -> str:
        """One cell of the table."""
        if self.seen.get(reference) is None:
            return "Nothing to show here"
        return "A part" if reference in self.is_part else "Everything"


@blueprint.get("/follow")
def follow() -> str:
    """The newest item, or ``?item=<case id>``."""
    wire = _wire()
    cases = _cases()
    wanted = request.args.get("item")
    case = next((c for c in reversed(cases) if wanted in (None, c.case_id)), None)
    if case is None:
        return render_template("follow.html", cases=[], kind_words=KIND_WORDS, case=None)
    stored = _stored(case)
    ehr_patient, seen_in_ehr = _seen_in_ehr(wire, stored)
    return render_template(
        "follow.html",
        cases=list(reversed(cases)),
        kind_words=KIND_WORDS,
        case=case,
        items=_items(wire, case, stored),
        views=_views(case, stored),
        ehr_patient=ehr_patient,
        seen_in_ehr=seen_in_ehr,
        pretty=pretty,
    )


def pretty(payload: Payload | None) -> str:
    """Readable JSON."""
    return json.dumps(payload, indent=2, ensure_ascii=False, default=str)


def _wire() -> DemoWire:
    wire = guards.services().demo
    if wire is None:
        raise NothingToShowError
    return wire


def _cases() -> list[Case]:
    """Every case the labeler may see, the newest day last."""
    services = guards.services()
    with services.door.open_for(LABELER, services.now()) as work:
        found = [case for kind in CaseKind for case in work.find_cases(kind)]
        days = {case.case_id: _day(work.in_case(case.case_id, _first_type(case))) for case in found}
    return sorted(found, key=lambda case: days[case.case_id])


def _first_type(case: Case) -> str:
    return "Observation" if case.kind is CaseKind.DISCLOSURE else "Task"


def _day(stored: Iterable[Stored]) -> str:
    days = (s.payload.get("effectiveDateTime") or s.payload.get("authoredOn") or "" for s in stored)
    return max(map(str, days), default="")


def _stored(case: Case) -> list[Stored]:
    services = guards.services()
    with services.door.open_for(LABELER, services.now()) as work:
        return [found for kind in TYPES for found in work.in_case(case.case_id, kind)]


# -- sent and received -------------------------------------------------------------------------------------------


def _items(wire: DemoWire, case: Case, stored: list[Stored]) -> list[Item]:
    received = _received_by_program(wire) if case.kind is CaseKind.REFERRAL else {}
    written = _received_by_ehr(wire)
    return [_item(case, s, received, written) for s in stored]


def _item(case: Case, stored: Stored, received: Mapping[str, Payload], written: list[Payload]) -> Item:
    places = ["this app's own encrypted store"]
    got = received.get(stored.reference)
    if got is not None:
        sent = trimmed(stored.payload)
        cut = {
            element: reason_for_omission(str(stored.payload["resourceType"]), element) or ""
            for element in stored.payload
            if element not in sent
        }
        return Item(stored, (*places, "the program's system"), sent, got, cut)
    if stored.ehr_reference is not None:
        places.append(f"the EHR, as {stored.ehr_reference}")
        kind = stored.payload["resourceType"]
        copy = next((w for w in reversed(written) if w.get("resourceType") == kind), None)
        return Item(stored, tuple(places), _sent_to_ehr(stored.payload, copy or {}), copy)
    return Item(stored, tuple(places))


def _sent_to_ehr(payload: Payload, received: Payload) -> Payload:
    """The copy as the workflows make it for this EHR: the chart's patient in place of the one made for the referral."""
    kind = payload["resourceType"]
    if kind == "ServiceRequest":
        subject = (received.get("subject") or {}).get("reference", "")
        return service_request_copy(payload, patient_reference=subject)
    if kind == "Appointment":
        return {key: value for key, value in received.items() if key in NEUTRAL_VISIT}
    return {key: value for key, value in payload.items() if key != "id"}


def _received_by_program(wire: DemoWire) -> dict[str, Payload]:
    """Reference -> resource, as the program says it got it."""
    found: dict[str, Payload] = {}
    for receipt in wire.partner_receipts():
        for entry in _json(receipt.get("bundle")).get("entry", []):
            resource = entry.get("resource", {})
            found[f"{resource.get('resourceType')}/{resource.get('id')}"] = resource
    return found


def _received_by_ehr(wire: DemoWire) -> list[Payload]:
    """What was posted to the EHR, as the EHR says it got it, oldest first."""
    return [_json(write.get("body")) for write in wire.ehr_writes() if write.get("method") == "POST"]


def _json(text: object) -> Payload:
    try:
        made = json.loads(text) if isinstance(text, str | bytes) else text
    except ValueError:
        return {}
    return made if isinstance(made, dict) else {}


# -- view as -----------------------------------------------------------------------------------------------------


def _views(case: Case, stored: list[Stored]) -> list[View]:
    views = [_as_author(stored)]
    views.append(_see("Other staff, not caring for this patient", _staff("medical-assistant"), stored))
    views.append(_see("Front desk", Requester(Role.FRONT_DESK, "Practitioner/front-desk", Purpose.HOPERAT), stored))
    views.append(_see("Scheduler", Requester(Role.SCHEDULER, "Practitioner/scheduler", Purpose.HOPERAT), stored))
    for partner in guards.services().directory.partners():
        name = f"{partner.name}{' (the program of this item)' if partner.partner_id == case.partner_id else ''}"
        views.append(_see(name, Requester(Role.ADVOCATE, f"Organization/{partner.partner_id}", Purpose.COC), stored))
    return views


def _as_author(stored: list[Stored]) -> View:
    """The clinician who made it: whoever of the site's clinicians the door recognizes as its author."""
    views = [
        _see(f"Treating clinician ({reference.removeprefix('Practitioner/')})", requester, stored)
        for reference, requester in _clinicians()
    ]
    return max(views, key=lambda view: sum(payload is not None for payload in view.seen.values()))


def _clinicians() -> list[tuple[str, Requester]]:
    return [
        (reference, Requester(Role.CLINICIAN, reference, Purpose.TREAT, registration_id=ehr.id, site_role=role))
        for ehr in guards.settings().ehr
        for reference, role in ehr.roles.items()
        if guards.TABLE_ROLES.get(role, (None,))[0] is Role.CLINICIAN
    ]


def _staff(site_role: str) -> Requester:
    """Somebody of the staff who has nothing to do with the item."""
    return Requester(Role.CLINICIAN, "Practitioner/somebody-else", Purpose.TREAT, site_role=site_role)


def _see(name: str, requester: Requester, stored: list[Stored]) -> View:
    services = guards.services()
    seen: dict[str, Payload | None] = {}
    part: set[str] = set()
    for item in stored:
        try:
            with services.door.open_for(requester, services.now()) as work:
                found = work.read(item.reference)
        except NothingToShowError:
            seen[item.reference] = None
        else:
            seen[item.reference] = found.payload
            part |= {item.reference} if found.is_redacted else set()
    return View(name, requester.user_reference, seen, frozenset(part))


EHR_READERS = {
    "clinician": "Treating clinician",
    "patient": "Patient portal",
    "proxy": "Somebody with portal access for the patient",
    "third-party": "A health app of the patient's",
    "unprivileged-staff": "Front desk",
}


def _seen_in_ehr(wire: DemoWire, stored: list[Stored]) -> tuple[str | None, dict[str, list[str]]]:
    """For the patient of the newest EHR copy: which of our copies each reader finds in the EHR itself."""
    copies = [s for s in stored if s.ehr_reference is not None]
    subjects = [str((w.get("subject") or {}).get("reference", "")) for w in _received_by_ehr(wire) if w.get("subject")]
    if not copies or not subjects:
        return None, {}
    patient_id = subjects[-1].removeprefix("Patient/")
    wanted = {s.ehr_reference for s in copies}
    seen: dict[str, list[str]] = {}
    for reader, words in EHR_READERS.items():
        payloads = wire.ehr_as(reader, patient_id)
        references = [f"{p.get('resourceType')}/{p.get('id')}" for p in payloads]
        seen[words] = [reference for reference in references if reference in wanted]
    return patient_id, seen

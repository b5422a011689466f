"""Follow the data, under ``demo`` only: one item as stored, as sent, as the other side got it, and as others see it.

For newcomers and privacy officers. It reads the vault through the door like anybody else, as the labeler: the one role
that the decision table lets see every label. Nothing here exists outside a demo.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from flask import Blueprint, Response, current_app, g, render_template, request

from fhir_profiles.proposed_appointment import ehr_appointment_copy
from fhir_profiles.security_labels import labels_of
from smart_app import guards
from smart_app.errors import NothingToShowError
from smart_app.policy.access import Purpose, Requester, Role
from smart_app.policy.clinic_calendar import NEXT_DAY_SERVICE
from smart_app.policy.ehr_copy import service_request_copy
from smart_app.policy.minimum_necessary import reason_for_omission, trimmed
from smart_app.ports import Case, CaseKind, DemoWire, Payload, Stored

blueprint = Blueprint("follow_the_data", __name__)
guards.protect(blueprint, guards.public)

LAST = "follow-the-data"
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
    def is_as_sent(self) -> bool:
        """Did the other side get what was sent, element by element?"""
        return self.sent == self.received


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
    wanted = request.args.get("item") or _last_case()
    case = next((c for c in cases if c.case_id == wanted), cases[-1] if cases else None)
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


@blueprint.after_app_request
def remember_last(response: Response) -> Response:
    """Pages and API say in ``g.followed`` what they just made, "Type/<id>"; this process remembers the last one."""
    if "followed" in g:
        current_app.extensions[LAST] = g.followed
    return response


def _last_case() -> str | None:
    """The case of the last thing made, by this process of the demo; None when it has made nothing yet."""
    reference = current_app.extensions.get(LAST)
    if reference is None:
        return None
    services = guards.services()
    try:
        with services.door.open_for(LABELER, services.now()) as work:
            return work.read(reference).case_id
    except NothingToShowError:
        return None


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
        start, end = (datetime.fromisoformat(payload[key]) for key in ("start", "end"))
        actors = [p.get("actor", {}).get("reference", "") for p in received.get("participant", [])]
        patient = next((actor for actor in actors if actor.startswith("Patient/")), None)
        return ehr_appointment_copy(start, end, NEXT_DAY_SERVICE, patient)
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
    kinds = {s.payload["resourceType"] for s in copies}
    patients = [_patient_of(written) for written in _received_by_ehr(wire) if written.get("resourceType") in kinds]
    if not any(patients):
        return None, {}
    patient_id = next(patient for patient in reversed(patients) if patient)
    wanted = {s.ehr_reference for s in copies}
    seen: dict[str, list[str]] = {}
    for reader, words in EHR_READERS.items():
        payloads = wire.ehr_as(reader, patient_id)
        references = [f"{p.get('resourceType')}/{p.get('id')}" for p in payloads]
        seen[words] = [reference for reference in references if reference in wanted]
    return patient_id, seen


def _patient_of(payload: Payload) -> str:
    """The EHR's id of the patient that a resource in the EHR is about; empty when it names none."""
    actors = [participant.get("actor") or {} for participant in payload.get("participant", [])]
    references = [str(target.get("reference", "")) for target in (payload.get("subject") or {}, *actors)]
    return next((r.removeprefix("Patient/") for r in references if r.startswith("Patient/")), "")

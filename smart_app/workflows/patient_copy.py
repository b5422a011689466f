"""The patient's own copy: all of that patient's records here and nothing else, made by two persons (R29, L14)."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fhir_profiles.security_labels import Label, as_security
from fhir_profiles.terminology import CONFIDENTIALITY
from smart_app.errors import InvalidError, LockedError
from smart_app.office_ports import AskKind, Person, SecondPerson
from smart_app.policy.access import Requester
from smart_app.ports import CaseKind, Door, PatientKey, Payload, UnitOfWork

PATIENT_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
# How it was made sure that who asks is the patient. A mail, a call and a portal account can be somebody else's.
IDENTITIES = {
    "photo-id": "The patient is here and showed a photo ID",
    "known-in-person": "The patient is here and a colleague who treats them knows them",
}
KINDS = (CaseKind.DISCLOSURE, CaseKind.REFERRAL)
TYPES = ("Observation", "Patient", "ServiceRequest", "Task", "Consent", "Appointment", "Communication")
KIND_WORDS = {CaseKind.DISCLOSURE: "What you told us", CaseKind.REFERRAL: "A referral to a program"}
TYPE_WORDS = {
    "Observation": "Note",
    "Patient": "Name you chose",
    "ServiceRequest": "What was asked for",
    "Task": "How it went",
    "Consent": "Your release",
    "Appointment": "Visit",
    "Communication": "Message",
}


@dataclass(frozen=True)
class Part:
    """One resource in words: each value with what it is, nothing left out but what computers need."""

    words: str
    lines: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Chapter:
    """One case."""

    words: str
    began_at: datetime | None
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Copy:
    """``bundle``: a FHIR collection of every resource as it is kept. ``chapters``: the same to read."""

    bundle: Payload
    chapters: tuple[Chapter, ...]


def ask(
    office: SecondPerson,
    person: Person,
    registration_id: str,
    patient_id: str,
    identity: str,
    now: datetime,
    *,
    registrations: Collection[str],
) -> str:
    """The first person asks, after looking at who is there. Raises ``InvalidError``."""
    if identity not in IDENTITIES:
        raise InvalidError("Say how you made sure that it is the patient. If you could not, there is no copy.")
    if registration_id not in registrations or not PATIENT_ID.fullmatch(patient_id.strip()):
        raise InvalidError("Choose the EHR, and write the number of the chart as the EHR's address shows it.")
    subject = f"{registration_id} {patient_id.strip()}"
    return office.ask(person, AskKind.PATIENT_COPY, subject, identity, now)


def make(office: SecondPerson, door: Door, person: Person, ask_id: str, now: datetime, *, has_looked: bool) -> Copy:
    """The second person, who has looked too, confirms, and the copy is made. Each item that is read is audited as read
    by the patient (D3), with both persons named. Raises ``LockedError``, ``RefusedError``, ``NothingToShowError``."""
    if not has_looked:
        raise LockedError("Look at who is there yourself first.", rule="R29")
    patient = office.confirm_copy(person, ask_id, now)
    with door.open_for(patient, now) as work:
        cases = list(_cases(work, patient))
    entries = [{"resource": payload} for _, _, payloads in cases for payload in payloads]
    bundle: Payload = {
        "resourceType": "Bundle",
        "meta": {"security": as_security([Label(CONFIDENTIALITY, "V")])},
        "type": "collection",
        "timestamp": now.isoformat(timespec="seconds"),
    }
    chapters = tuple(
        Chapter(KIND_WORDS[kind], began_at, tuple(_part(payload) for payload in payloads))
        for kind, began_at, payloads in cases
    )
    return Copy(bundle | ({"entry": entries} if entries else {}), chapters)


def _cases(work: UnitOfWork, patient: Requester) -> Iterator[tuple[CaseKind, datetime | None, list[Payload]]]:
    key = PatientKey(patient.registration_id or "", patient.patient_id or "")
    for kind in KINDS:
        cases = work.find_cases(kind, patient=key)
        items = work.in_cases(cases, TYPES)
        for case in cases:
            yield kind, case.began_at, [one.payload for name in TYPES for one in items[case.case_id][name]]


def _part(payload: Payload) -> Part:
    told = {key: value for key, value in payload.items() if key not in ("resourceType", "id", "meta", "text")}
    return Part(TYPE_WORDS[payload["resourceType"]], tuple(_lines(told, "")))


def _lines(value: Any, name: str) -> Iterator[tuple[str, str]]:
    """Every value with the words of where it stands. A coded one is its display; the address of a code list is none."""
    if isinstance(value, dict):
        shown = {key: one for key, one in value.items() if key not in ("system", "url", "profile")}
        if "display" in shown:
            shown.pop("code", None)
        for key, one in shown.items():
            yield from _lines(one, f"{name}, {_words(key)}" if name else _words(key).capitalize())
    elif isinstance(value, list):
        for one in value:
            yield from _lines(one, name)
    else:
        yield name, "yes" if value is True else "no" if value is False else str(value)


def _words(key: str) -> str:
    """ "authoredOn" as "authored on"."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", key.lstrip("_")).lower()

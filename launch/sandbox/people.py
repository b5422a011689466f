"""The synthetic people of the sandbox, written by us, and the loader of Synthea bundles. Nobody here exists.

Names, addresses, phones and record numbers are odd words on purpose: any of them found outside the EHR is a leak.
Ages are kept true by computing birth dates when the data is loaded.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from launch.sandbox.records import TYPES, Payload, Record, Records

DATA = Path(__file__).parent / "data"
CLINIC_ZONE = ZoneInfo("America/Chicago")
SYNTHEA_TAG = {"system": "http://localhost/sandbox/source", "code": "synthea"}
FIRST_CLINICIAN = "dr-lee"


@dataclass(frozen=True)
class StaffMember:
    """Somebody who can be signed in at the EHR. ``role`` is this EHR's own word, such as "nurse"."""

    id: str
    name: str
    role: str
    title: str


def staff() -> dict[str, StaffMember]:
    """Everyone who can be signed in, by practitioner id."""
    entries = json.loads((DATA / "staff.json").read_text(encoding="utf-8"))
    return {
        entry["id"]: StaffMember(entry["id"], f"{entry['given']} {entry['family']}", entry["role"], entry["title"])
        for entry in entries
    }


def load(records: Records, folder: Path | None, now: datetime) -> None:
    """Put our people, and Synthea's if a folder is given, into a base that lacks them, each with a visit open today."""
    bundles = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))] if folder else []
    for resources in (_own_resources(now), *map(synthea_resources, bundles)):
        patients = [payload["id"] for payload in resources if payload["resourceType"] == "Patient"]
        if any(records.exists("Patient", patient) for patient in patients):
            continue
        for payload in resources:
            if not records.exists(payload["resourceType"], payload["id"]):
                records.create(payload, payload["id"], now)
        for patient in patients:
            open_encounter(records, patient, FIRST_CLINICIAN, now)


def _own_resources(now: datetime) -> list[Payload]:
    today = now.astimezone(CLINIC_ZONE).date()
    resources: list[Payload] = json.loads((DATA / "clinic.json").read_text(encoding="utf-8"))
    for entry in json.loads((DATA / "staff.json").read_text(encoding="utf-8")):
        resources.extend(_practitioner(entry))
    for path in sorted((DATA / "patients").glob("*.json")):
        person = json.loads(path.read_text(encoding="utf-8"))
        resources.append({**person["patient"], "birthDate": birth_date(person["age"], person["birthday"], today)})
        resources += [_dated(entry, today) for entry in person["chart"]]
    return resources


def _practitioner(entry: dict[str, str]) -> list[Payload]:
    name = {"use": "official", "family": entry["family"], "given": [entry["given"]]}
    practitioner = {"resourceType": "Practitioner", "id": entry["id"], "active": True, "name": [name]}
    role = {
        "resourceType": "PractitionerRole",
        "id": f"role-{entry['id']}",
        "active": True,
        "practitioner": {"reference": f"Practitioner/{entry['id']}"},
        "organization": {"reference": "Organization/clinic"},
        "code": [{"text": entry["title"]}],
    }
    return [practitioner, role]


def birth_date(age: int, birthday: str, today: date) -> str:
    """The birth date of somebody who is ``age`` years old today and whose birthday is "MM-DD"."""
    month, day = map(int, birthday.split("-"))
    had_birthday = (today.month, today.day) >= (month, day)
    return date(today.year - age - (0 if had_birthday else 1), month, day).isoformat()


def _dated(entry: dict[str, Any], today: date) -> Payload:
    """A chart entry with its day offsets turned into dates: ``"days": {"effectiveDateTime": -12}``."""
    payload = dict(entry["resource"])
    clock = time.fromisoformat(entry.get("clock", "10:00"))
    for element, days in entry.get("days", {}).items():
        at = datetime.combine(_weekday(today + timedelta(days=days)), clock, CLINIC_ZONE)
        payload[element] = at.isoformat()
        if element == "start":
            payload["end"] = (at + timedelta(minutes=entry.get("minutes", 20))).isoformat()
        if element == "period":
            payload["period"] = {"start": at.isoformat(), "end": (at + timedelta(minutes=20)).isoformat()}
    return payload


def _weekday(day: date) -> date:
    """The clinic is closed at week ends: move to the next Monday."""
    return day + timedelta(days=max(0, 7 - day.weekday()) if day.weekday() >= 5 else 0)


def open_encounter(
    records: Records, patient: str, practitioner: str, now: datetime, *, is_fresh: bool = False
) -> Record:
    """Today's open visit of a patient with a practitioner; opened now if there is none yet, older ones are finished."""
    today = now.astimezone(CLINIC_ZONE).date()
    participant = f"Practitioner/{practitioner}"
    for record in records.every("Encounter", patient):
        if record.payload.get("status") != "in-progress":
            continue
        start = datetime.fromisoformat(record.payload["period"]["start"]).astimezone(CLINIC_ZONE).date()
        if start < today:
            records.update({**record.payload, "status": "finished"}, record.id, record.version, now)
        elif not is_fresh and participant in _participants(record.payload):
            return record
    return records.create(_encounter(patient, participant, now), None, now)


def _participants(encounter: Payload) -> list[str]:
    return [one.get("individual", {}).get("reference", "") for one in encounter.get("participant", [])]


def _encounter(patient: str, participant: str, now: datetime) -> Payload:
    return {
        "resourceType": "Encounter",
        "status": "in-progress",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
        "type": [{"text": "Office visit"}],
        "subject": {"reference": f"Patient/{patient}"},
        "participant": [{"individual": {"reference": participant}}],
        "period": {"start": now.astimezone(CLINIC_ZONE).isoformat(timespec="seconds")},
        "location": [{"location": {"reference": "Location/main"}}],
        "serviceProvider": {"reference": "Organization/clinic"},
    }


def synthea_resources(bundle: Payload) -> list[Payload]:
    """The resources of a Synthea R4 transaction bundle that this server stores, references resolved to our ids."""
    entries = [entry for entry in bundle.get("entry", []) if entry["resource"]["resourceType"] in TYPES]
    ids = {entry["fullUrl"]: _reference(entry["resource"]) for entry in entries}
    resources: list[Payload] = []
    for entry in entries:
        payload = _resolved(entry["resource"], ids)
        if payload["resourceType"] == "Patient":
            payload["meta"] = {**payload.get("meta", {}), "tag": [SYNTHEA_TAG]}
        payload.pop("text", None)
        resources.append(payload)
    return resources


def _reference(payload: Payload) -> str:
    return f"{payload['resourceType']}/{payload['id']}"


def _resolved(value: Any, ids: dict[str, str]) -> Any:
    if isinstance(value, list):
        return [_resolved(item, ids) for item in value if not _dangles(item, ids)]
    if isinstance(value, dict):
        return {
            key: ids.get(item, item) if key == "reference" and isinstance(item, str) else _resolved(item, ids)
            for key, item in value.items()
            if not _dangles(item, ids)
        }
    return value


def _dangles(value: Any, ids: dict[str, str]) -> bool:
    """A reference to a bundle entry of a type that is not stored here (a claim, a care plan)."""
    reference = value.get("reference") if isinstance(value, dict) else None
    return isinstance(reference, str) and reference.startswith("urn:uuid:") and reference not in ids


def summary(record: Record) -> dict[str, str]:
    """One line of the list of people: id, name, birth date, and where the record came from."""
    payload = record.payload
    is_synthea = SYNTHEA_TAG in payload.get("meta", {}).get("tag", [])
    return {
        "id": record.id,
        "name": person_name(payload),
        "birthDate": payload.get("birthDate", ""),
        "gender": payload.get("gender", ""),
        "source": "synthea" if is_synthea else "sandbox",
    }


def person_name(payload: Payload) -> str:
    """Given names and family name of the official name."""
    name = (payload.get("name") or [{}])[0]
    return " ".join([*name.get("given", []), name.get("family", "")]).strip()


def canaries() -> list[str]:
    """The odd words that belong to our people: each found outside the EHR is a leak."""
    words: list[str] = []
    for path in sorted((DATA / "patients").glob("*.json")):
        words += json.loads(path.read_text(encoding="utf-8"))["canaries"]
    return sorted(set(words))


def utc_now() -> datetime:
    """The time, aware."""
    return datetime.now(UTC)

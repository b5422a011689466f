"""What the chart, portal and schedule pages say about a record: plain words for a person, labels as small tags."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from launch.sandbox.access import Access, security_of
from launch.sandbox.ehr import Ehr
from launch.sandbox.people import CLINIC_ZONE, person_name
from launch.sandbox.records import Payload, Record

LABEL_WORDS = {
    "U": "unrestricted",
    "L": "low",
    "M": "moderate",
    "N": "normal",
    "R": "restricted",
    "V": "very restricted",
    "SDV": "sexual assault, abuse, or domestic violence information",
    "NORDSCLCD": "no redisclosure without the patient's consent",
    "NOREUSE": "no use beyond the stated purpose",
    "PERSISTLABEL": "keep these labels",
    "TREAT": "for treatment",
    "COC": "for coordination of care",
    "PATRPT": "reported by the patient",
    "CLINAST": "asserted by the clinician",
    "LOCIS": "location information",
    "CPLYCD": "comply with the consent directive",
    "HTEST": "test data",
}
SYSTEM_NAMES = {"http://snomed.info/sct": "SNOMED CT", "http://loinc.org": "LOINC"}
LANGUAGES = {"es": "Spanish", "en": "English", "en-US": "English"}


@dataclass(frozen=True)
class Line:
    """One line of a list: when, what, a value or state, the labels as (code, words), and the record as stored."""

    when: str
    what: str
    value: str
    labels: tuple[tuple[str, str], ...]
    stored: str


@dataclass(frozen=True)
class Banner:
    """Who the chart is about."""

    id: str
    name: str
    birth_date: str
    age: int
    sex: str
    language: str
    record_number: str
    phone: str


def banner(payload: Payload, today: date) -> Banner:
    """The demographics at the top of a chart."""
    born = date.fromisoformat(payload.get("birthDate") or today.isoformat())
    communication = payload.get("communication") or [{}]
    identifiers = payload.get("identifier") or [{}]
    telecom = payload.get("telecom") or [{}]
    return Banner(
        id=payload["id"],
        name=person_name(payload),
        birth_date=f"{born:%b} {born.day}, {born.year}",
        age=today.year - born.year - ((today.month, today.day) < (born.month, born.day)),
        sex=str(payload.get("gender", "")),
        language=_language(communication[0].get("language", {})),
        record_number=_record_number(identifiers),
        phone=str(telecom[0].get("value", "")),
    )


def _language(concept: Payload) -> str:
    code = (concept.get("coding") or [{}])[0].get("code", "")
    return str(LANGUAGES.get(code) or concept.get("text") or code)


def _record_number(identifiers: list[Payload]) -> str:
    for identifier in identifiers:
        if any(coding.get("code") == "MR" for coding in identifier.get("type", {}).get("coding", [])):
            return str(identifier.get("value", ""))
    return str(identifiers[0].get("value", ""))


def visible(ehr: Ehr, access: Access, resource_type: str, patient: str | None) -> list[Record]:
    """The records of a type that the viewer may know of, newest first."""
    records = ehr.records[access.base].every(resource_type, patient)
    return sorted(
        (record for record in records if ehr.is_visible(access, record)), key=lambda one: _moment(one), reverse=True
    )


def lines(records: list[Record]) -> list[Line]:
    """Records as lines of a list."""
    return [
        Line(
            when=_when(_moment(record)),
            what=_what(record.payload),
            value=_value(record.payload),
            labels=tuple((code, LABEL_WORDS.get(code, code)) for code in _label_codes(record.payload)),
            stored=json.dumps(record.payload, indent=2, ensure_ascii=False),
        )
        for record in records
    ]


def is_vital(record: Record) -> bool:
    """Whether an Observation belongs under vital signs."""
    return any(
        coding.get("code") == "vital-signs"
        for category in record.payload.get("category", [])
        for coding in category.get("coding", [])
    )


def _label_codes(payload: Payload) -> list[str]:
    return [str(label.get("code")) for label in security_of(payload)]


def _moment(record: Record) -> str:
    payload = record.payload
    for element in ("effectiveDateTime", "start", "authoredOn", "occurrenceDateTime"):
        if isinstance(payload.get(element), str):
            return str(payload[element])
    period = payload.get("period")
    requested = (payload.get("requestedPeriod") or [{}])[0]
    return str((period or requested).get("start") or record.updated_at)


def _when(text: str) -> str:
    if "T" not in text:
        return text
    at = datetime.fromisoformat(text).astimezone(CLINIC_ZONE)
    return f"{at:%b} {at.day}, {at.year}, {at:%H:%M}"


def _what(payload: Payload) -> str:
    words = _concept_of(payload)
    return f"Referral: {words}" if payload["resourceType"] == "ServiceRequest" else words


def _concept_of(payload: Payload) -> str:
    for element in ("code", "type", "appointmentType", "serviceType", "vaccineCode", "medicationCodeableConcept"):
        concept = payload.get(element)
        concept = concept[0] if isinstance(concept, list) and concept else concept
        if isinstance(concept, dict) and (words := concept_words(concept)):
            return words
    return str(payload["resourceType"])


def concept_words(concept: Payload) -> str:
    """A CodeableConcept as a person reads it: its text, its display, or its code made readable."""
    coding = (concept.get("coding") or [{}])[0]
    if concept.get("text") or coding.get("display"):
        return str(concept.get("text") or coding["display"])
    code, system = str(coding.get("code", "")), str(coding.get("system", ""))
    if code[:1].isalpha() and code.islower():
        return code.replace("-", " ").capitalize()
    return f"{SYSTEM_NAMES.get(system, system.rsplit('/', 1)[-1])} {code}".strip()


def _value(payload: Payload) -> str:
    if payload["resourceType"] != "Observation":
        return str(payload.get("status", ""))
    quantities = [part["valueQuantity"] for part in payload.get("component", []) if "valueQuantity" in part]
    if quantities:
        return "/".join(str(one.get("value", "")) for one in quantities) + f" {quantities[0].get('unit', '')}"
    for element in payload:
        if element.startswith("value"):
            return _quantity(payload[element]) or _plain(payload[element])
    return str(payload.get("status", ""))


def _quantity(value: Any) -> str:
    if not isinstance(value, dict) or "value" not in value:
        return ""
    number = value["value"]
    shown = f"{number:.1f}".rstrip("0").rstrip(".") if isinstance(number, float) else str(number)
    return f"{shown} {value.get('unit', '')}".strip()


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return concept_words(value)
    return str(value)

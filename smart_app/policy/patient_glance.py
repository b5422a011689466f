"""The few things pages need of the launched Patient, in one small value that is shown and never stored (R5)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

Payload = dict[str, Any]


@dataclass(frozen=True)
class PatientGlance:
    """Name, initials, birth date ("1997-09-27" or ""), age in years, language ("es"). Missing parts stay empty."""

    name: str
    initials: str
    birth_date: str
    age: int | None
    language: str


def glance(patient: Payload, today: date) -> PatientGlance:
    """What ``today``'s page shows of this Patient, as the EHR gave it."""
    names = [n for n in patient.get("name", []) if n.get("use") not in ("old", "maiden")] or [{}]
    given, family = " ".join(names[0].get("given", [])), names[0].get("family", "")
    born = patient.get("birthDate", "")
    return PatientGlance(
        name=f"{given} {family}".strip() or names[0].get("text", "") or "Name not in the chart",
        initials="".join(part[0] for part in (given, family) if part),
        birth_date=born,
        age=_age(born, today),
        language=_language(patient),
    )


def _age(born: str, today: date) -> int | None:
    try:
        day = date.fromisoformat(born)
    except ValueError:
        return None
    return today.year - day.year - ((today.month, today.day) < (day.month, day.day))


def _language(patient: Payload) -> str:
    spoken = sorted(patient.get("communication", []), key=lambda c: not c.get("preferred", False))
    codes = [coding.get("code", "") for c in spoken for coding in c.get("language", {}).get("coding", [])]
    return str(codes[0]).split("-")[0].lower() if codes and codes[0] else "en"

"""Profile ``safe-contact``: how survivor and program will meet, and the one safe way to reach the survivor (R13, R14).

An extension on ServiceRequest. A phone number is present only when they meet by safe contact; it is asked for each
time, ends at its date (30 days at most), and is never copied from ``Patient.telecom``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from fhir_profiles import dates, shapes
from fhir_profiles.shapes import Extensions, Record, Report
from fhir_profiles.terminology import SAFE_CONTACT, Payload

MEETS = ("on-site", "call-now", "clinic-phone", "safe-contact", "survivor-calls")
VOICEMAILS = ("none", "silent", "safe")
ANSWERERS = ("self", "anyone")
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
LONGEST_DAYS = 30

PHONE = re.compile(r"\+?[0-9(][0-9 ().x/-]{2,28}[0-9]")
_LANGUAGE = re.compile(r"[a-z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,2}")

_PHONE_POINT = Record(
    {"system!": shapes.code("phone"), "value!": shapes.matching(PHONE, "A phone number is expected here.")}
)
RECORD = Record(
    {
        "extension!": Extensions(
            {
                "meet!": Record({"valueCode!": shapes.code(*MEETS)}),
                "telecom": Record({"valueContactPoint!": _PHONE_POINT}),
                "voicemail": Record({"valueCode!": shapes.code(*VOICEMAILS)}),
                "whoMayAnswer": Record({"valueCode!": shapes.code(*ANSWERERS)}),
                "at": Record({"valueDateTime!": shapes.INSTANT}),
                "day": Record({"valueCode!": shapes.code(*DAYS)}),
                "from": Record({"valueTime!": shapes.CLOCK_TIME}),
                "to": Record({"valueTime!": shapes.CLOCK_TIME}),
                "sayAs": Record({"valueString!": shapes.line(60)}),
                "codeWord": Record({"valueString!": shapes.line(40)}),
                "language": Record({"valueCode!": shapes.matching(_LANGUAGE, "A language code is expected here.")}),
                "interpreter": Record({"valueBoolean!": shapes.Flag()}),
                "askedOn!": Record({"valueDate!": shapes.DATE}),
                "expiresOn!": Record({"valueDate!": shapes.DATE}),
            },
            repeats=("day",),
        )
    }
)


@dataclass(frozen=True)
class Hours:
    """When the number may be called: ``days`` of ``DAYS``, ``start`` and ``end`` as "09:00" in local time."""

    days: tuple[str, ...]
    start: str
    end: str


def safe_contact(
    *,
    meet: str,
    asked_on: date,
    expires_on: date,
    telecom: str | None = None,
    voicemail: str | None = None,
    code_word: str | None = None,
    say_as: str | None = None,
    hours: Hours | None = None,
    language: str | None = None,
    interpreter: bool | None = None,
    at: datetime | None = None,
    who_may_answer: str | None = None,
) -> Payload:
    """The extension. ``meet`` is one of ``MEETS``; ``telecom`` is a phone number, given exactly with "safe-contact".

    Raises ValueError, in words without a value, when a rule of this profile is broken.
    """
    parts: list[Payload] = [{"url": "meet", "valueCode": meet}]
    if telecom is not None:
        parts.append({"url": "telecom", "valueContactPoint": {"system": "phone", "value": telecom}})
    parts += _coded("voicemail", voicemail) + _coded("whoMayAnswer", who_may_answer)
    if at is not None:
        parts.append({"url": "at", "valueDateTime": dates.as_text(at)})
    if hours is not None:
        parts += [{"url": "day", "valueCode": day} for day in hours.days]
        parts.append({"url": "from", "valueTime": _clock(hours.start)})
        parts.append({"url": "to", "valueTime": _clock(hours.end)})
    parts += [
        {"url": url, "valueString": words} for url, words in (("sayAs", say_as), ("codeWord", code_word)) if words
    ]
    parts += _coded("language", language)
    if interpreter is not None:
        parts.append({"url": "interpreter", "valueBoolean": interpreter})
    parts.append({"url": "askedOn", "valueDate": dates.as_text(_day(asked_on))})
    parts.append({"url": "expiresOn", "valueDate": dates.as_text(_day(expires_on))})
    extension: Payload = {"url": SAFE_CONTACT, "extension": parts}
    report = Report()
    RECORD.with_fields({"url!": shapes.code(SAFE_CONTACT)}).check(extension, "extension", report)
    rules(extension, "extension", report)
    if report.issues:
        raise ValueError(f"safe contact: {report.issues[0].text} ({report.issues[0].expression})")
    return extension


def _coded(url: str, value: str | None) -> list[Payload]:
    return [] if value is None else [{"url": url, "valueCode": value}]


def _clock(text: str) -> str:
    return f"{text}:00" if len(text) == len("09:00") else text


def _day(value: date) -> date:
    return value.date() if isinstance(value, datetime) else value


def of(service_request: Mapping[str, Any]) -> Payload | None:
    """The safe-contact extension of a ServiceRequest, None when it carries none."""
    for extension in service_request.get("extension") or []:
        if isinstance(extension, dict) and extension.get("url") == SAFE_CONTACT:
            return extension
    return None


def values(extension: Mapping[str, Any]) -> dict[str, Any]:
    """The parts by name, ``day`` as a list: ``{"meet": "safe-contact", "telecom": {...}, "day": ["mon"]}``."""
    found: dict[str, Any] = {}
    for part in extension.get("extension") or []:
        url, value = part.get("url"), None
        for key in part:
            if key[:5] == "value":
                value = part[key]
                break
        if url == "day":
            found.setdefault("day", []).append(value)
        else:
            found[url] = value
    return found


def rules(extension: Payload, path: str, report: Report) -> None:
    """What the shape alone cannot say. The shape has already been checked without an issue."""
    parts = values(extension)
    if (parts.get("meet") == "safe-contact") != ("telecom" in parts):
        report.add("business-rule", path, "A phone number is given exactly when they meet by safe contact (R13).")
    if "telecom" not in parts and ({"voicemail", "whoMayAnswer"} & parts.keys()):
        report.add("business-rule", path, "Voicemail and who may answer belong to a phone number.")
    asked, expires = parts.get("askedOn"), parts.get("expiresOn")
    if isinstance(asked, str) and isinstance(expires, str) and dates.is_date(asked) and dates.is_date(expires):
        span = date.fromisoformat(expires) - date.fromisoformat(asked)
        if not 0 <= span.days <= LONGEST_DAYS:
            report.add("business-rule", path, "A safe contact ends within 30 days of the day it was asked for (R14).")
    start, end = parts.get("from"), parts.get("to")
    if (start is None) != (end is None) or (isinstance(start, str) and isinstance(end, str) and start >= end):
        report.add("invariant", path, "Hours have a beginning before their end.")

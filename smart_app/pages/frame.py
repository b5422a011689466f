"""What stands around every page: product name, patient banner, and the numbers to call. Pages import nothing of each
other; they share this through the template context."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from datetime import date, datetime
from importlib import resources
from typing import Any
from zoneinfo import ZoneInfo

from flask import Flask, g, request

from smart_app import guards, launch_told, privacy_question
from smart_app.errors import EhrUnavailableError
from smart_app.policy.day_words import day_words
from smart_app.policy.form_words import language_name
from smart_app.ports import Partner

FIRST_PAGES = ("entry", "schedule")  # where a person reads what the EHR did not grant today
WITHOUT_EHR = "phones_in_launch"  # the phone list waits for nobody (R40)
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)")


@dataclass(frozen=True)
class Line:
    """One help line of ``phones.toml``."""

    id: str
    name: str
    neutral_name: str
    phone: str
    hours: str
    checked_on: date
    ways: tuple[str, ...] = ()
    neutral_ways: tuple[str, ...] = ()
    note: str = ""
    is_core: bool = False


@dataclass(frozen=True)
class Link:
    """One address of ``phones.toml``."""

    id: str
    name: str
    address: str
    checked_on: date
    note: str = ""


def _read() -> tuple[tuple[Line, ...], tuple[Link, ...]]:
    raw = tomllib.loads(resources.files(__package__).joinpath("phones.toml").read_text(encoding="utf-8"))
    lines = tuple(
        Line(**{**row, "ways": tuple(row["ways"]), "neutral_ways": tuple(row["neutral_ways"])}) for row in raw["line"]
    )
    return lines, tuple(Link(**row) for row in raw["link"])


LINES, LINKS = _read()


def install(app: Flask) -> None:
    """Give every template its frame."""
    app.context_processor(context)
    app.add_template_filter(language_name)
    app.add_template_filter(local_time)
    app.add_template_filter(day_words, "day")


def local_time(text: str) -> str:
    """An instant such as "2026-11-24T05:22:59Z" as "Mon 23 Nov, 23:22" on the clinic's clock; other text as it is."""
    if not INSTANT.fullmatch(text):
        return text
    zone = ZoneInfo(guards.services().site.time_zone)
    return f"{datetime.fromisoformat(text).astimezone(zone):%a %d %b, %H:%M}"


def plain_context(product_name: str) -> dict[str, Any]:
    """The frame with nothing of anyone in it: for pages outside a launch, and where even the database is down."""
    return {
        "lang": "en",
        "product_name": product_name,
        "launch_id": None,
        "banner": None,
        "is_open": False,
        "limits": (),
        "has_ehr_colors": False,
        "test_system": None,
        "call_partners": [],
        "hotlines": [line for line in LINES if line.is_core],
        "lines": LINES,
        "links": LINKS,
    }


def context() -> dict[str, Any]:
    """The frame of this request. Errors set ``g.frame_is_plain`` first, so that their page needs no look-up."""
    services = guards.services()
    frame = {**plain_context(services.product_name), "test_system": guards.test_system()}
    if g.get("frame_is_plain"):
        return frame
    frame["call_partners"] = _partners_to_call()
    if "launch" in g:
        frame["launch_id"] = guards.launch().launch_id
        frame["has_ehr_colors"] = guards.launch().style_url is not None
        frame["limits"] = launch_told.limits() if request.blueprint in FIRST_PAGES else ()
        if guards.launch().patient_id is not None:
            frame["is_open"] = privacy_question.is_attested()
            frame["banner"] = _banner()
    return frame


def _partners_to_call() -> list[Partner]:
    """Programs with a current agreement: the local line first (R19 closes the channel at once)."""
    services = guards.services()
    now = services.now()
    return [p for p in services.directory.partners() if services.mou_gate.is_current(p, now)]


def _banner() -> dict[str, str] | None:
    """Name and birth date unless the EHR shows them itself; then initials and age, against the wrong chart. Without an
    EHR, and where it does not let us read, there is none: cards and phones stay open (R40)."""
    is_asked = request.blueprint != WITHOUT_EHR and guards.may_read_patient()
    try:
        patient = guards.patient() if is_asked else guards.known_patient()
    except EhrUnavailableError:
        patient = None
    if patient is None:
        return None
    if guards.launch().needs_patient_banner:
        return {"name": patient.name, "detail": f"Born {day_words(patient.birth_date)}" if patient.birth_date else ""}
    return {"name": patient.initials, "detail": f"Age {patient.age}" if patient.age is not None else ""}

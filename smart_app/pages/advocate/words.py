"""What the inbox says, in English and Spanish. The English sentence is the key; ``es.toml`` has the Spanish one.

A test holds the two together: no sentence of the pages without a translation, none left over.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import date, datetime
from importlib import resources
from zoneinfo import ZoneInfo

from flask import request

from smart_app import guards
from smart_app.pages.advocate.session import browser_session

LANGUAGES: Mapping[str, str] = {"en": "English", "es": "Español"}
SPANISH: Mapping[str, str] = tomllib.loads(resources.files(__package__).joinpath("es.toml").read_text(encoding="utf-8"))
_DAYS = {
    "en": ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"],
    "es": ["lun", "mar", "mié", "jue", "vie", "sáb", "dom"],
}
_MONTHS = {
    "en": ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"],
    "es": ["ene", "feb", "mar", "abr", "may", "jun", "jul", "ago", "sep", "oct", "nov", "dic"],
}


def language() -> str:
    """Chosen on a page, else the browser's."""
    chosen = browser_session().get("language")
    return str(chosen) if chosen in LANGUAGES else request.accept_languages.best_match(list(LANGUAGES)) or "en"


def say(english: str, **values: object) -> str:
    """The sentence in the person's language; ``values`` fill its braces."""
    text = SPANISH.get(english, english) if language() == "es" else english
    return text.format(**values) if values else text


def day(value: date) -> str:
    """ "Tue 24 Nov" """
    spoken = language()
    return f"{_DAYS[spoken][value.weekday()]} {value.day} {_MONTHS[spoken][value.month - 1]}"


def moment(value: datetime) -> str:
    """An instant on the clinic's clock: "14:05" today, else with its day."""
    zone = ZoneInfo(guards.services().site.time_zone)
    local = value.astimezone(zone)
    is_today = local.date() == guards.services().now().astimezone(zone).date()
    return f"{local:%H:%M}" if is_today else f"{day(local.date())}, {local:%H:%M}"

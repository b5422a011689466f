"""A day as people write it: "23 Dec 2026". Numbers alone are read differently on two sides of an ocean."""

from __future__ import annotations

import re
from datetime import date

_BARE_DATE = re.compile(r"\d{4}-\d\d-\d\d")


def day_words(day: date | str) -> str:
    """ "2026-12-23", or that date, as "23 Dec 2026". Any other text (an instant, a year alone) stays as it is."""
    if isinstance(day, str):
        if not _BARE_DATE.fullmatch(day):
            return day
        try:
            day = date.fromisoformat(day)
        except ValueError:
            return str(day)
    return f"{day.day} {day:%b %Y}"

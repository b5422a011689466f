"""Minors: recording and sending stay off until a signed state table exists (R31). Phone, cards, directory stay open."""

from __future__ import annotations

from datetime import date

ADULT_AT = 18
LOCKED_WORDS = (
    "Notes and sending are off for patients under 18 until your health center has signed its state's rules. "
    "The cards, the phone and the numbers are open: call together."
)


def is_minor(birth_date: date | str | None, today: date) -> bool:
    """Could this person be under 18? A missing or unreadable birth date counts as a minor.

    ``birth_date`` is a date or a FHIR date, which may be "2008" or "2008-05": the latest day it can mean counts. Who is
    born on 29 February comes of age on 1 March.
    """
    parts = (birth_date.year, birth_date.month, birth_date.day) if isinstance(birth_date, date) else _parts(birth_date)
    if parts is None:
        return True
    year, month, day = parts
    return (today.year, today.month, today.day) < (year + ADULT_AT, month, day)


def is_locked(birth_date: date | str | None, today: date) -> bool:
    """Are record and send off for this person? For every minor, as long as no signed state table exists (R31)."""
    return is_minor(birth_date, today)


def _parts(text: str | None) -> tuple[int, int, int] | None:
    """Year, month and day; the parts a partial date leaves out are taken as late as they can be."""
    pieces = (text or "").split("-")
    if len(pieces) > 3 or [len(piece) for piece in pieces] != [4, 2, 2][: len(pieces)]:
        return None
    if not all(piece.isascii() and piece.isdigit() for piece in pieces):
        return None
    latest = [*pieces, *("", "12", "31")[len(pieces) :]]
    year, month, day = (int(piece) for piece in latest)
    if len(pieces) == 3:
        try:
            date(year, month, day)
        except ValueError:
            return None
    return (year, month, day) if 1 <= month <= 12 else None

"""FHIR's primitive types: which JSON value each takes, and R4's regular expressions in a form that stays linear.

R4's own expression for base64Binary hangs a worker after 150 characters, and markdown's is no better: both are checked
without one. Dates must exist in the calendar. Every expression here is matched whole.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

from fhir_profiles.validation.narrative import is_xhtml

# ``\Z`` semantics through fullmatch. ``\s`` and ``\S`` exclude each other, so the code pattern never backtracks.
_CODE = re.compile(r"\S++(?:\s\S++)*+")
_URI = re.compile(r"\S+")
_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")
_OID = re.compile(r"urn:oid:[0-2](?:\.(?:0|[1-9][0-9]*+))+")
_UUID = re.compile(r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_STRING = re.compile(r"[ \r\n\t\S]+")
_SPACE = re.compile(r"\s+")
_BASE64 = re.compile(r"[0-9A-Za-z+/]*+={0,2}")
_YEAR = r"(?!0000)[0-9]{4}"
_DAY = r"-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
_CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]+)?"
_ZONE = r"(?:Z|[+-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00))"
_DATE = re.compile(rf"{_YEAR}(?:{_DAY}|-(?:0[1-9]|1[0-2]))?")
_DATE_TIME = re.compile(rf"{_YEAR}(?:{_DAY}(?:T{_CLOCK}{_ZONE})?|-(?:0[1-9]|1[0-2]))?")
_INSTANT = re.compile(rf"{_YEAR}{_DAY}T{_CLOCK}{_ZONE}")
_TIME = re.compile(_CLOCK)
_FULL_DATE = 10  # characters in "2026-10-01"


def _text(pattern: re.Pattern[str]) -> Callable[[Any], bool]:
    match = pattern.fullmatch
    return lambda value: match(value) is not None


def _dated(pattern: re.Pattern[str]) -> Callable[[Any], bool]:
    match = pattern.fullmatch

    def accepts(value: Any) -> bool:
        return match(value) is not None and (len(value) < _FULL_DATE or _exists(value))

    return accepts


def _exists(value: str) -> bool:
    try:
        date(int(value[:4]), int(value[5:7]), int(value[8:10]))
    except ValueError:
        return False
    return True


def _is_base64(value: str) -> bool:
    dense = _SPACE.sub("", value)
    return len(dense) > 0 and len(dense) % 4 == 0 and _BASE64.fullmatch(dense) is not None


def _whole(low: int, high: int = 2_147_483_647) -> Callable[[Any], bool]:
    return lambda value: low <= value <= high


def _is_number(value: Any) -> bool:
    if isinstance(value, Decimal):
        return value.is_finite()
    return isinstance(value, int) or value - value == 0  # not for NaN and the infinities


TEXT = "text"
FLAG = "flag"
WHOLE = "whole"
NUMBER = "number"

# Type -> (JSON kind, predicate on a value of that kind).
PRIMITIVES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "base64Binary": (TEXT, _is_base64),
    "boolean": (FLAG, lambda value: True),
    "canonical": (TEXT, _text(_URI)),
    "code": (TEXT, _text(_CODE)),
    "date": (TEXT, _dated(_DATE)),
    "dateTime": (TEXT, _dated(_DATE_TIME)),
    "decimal": (NUMBER, _is_number),
    "id": (TEXT, _text(_ID)),
    "instant": (TEXT, _dated(_INSTANT)),
    "integer": (WHOLE, _whole(-2_147_483_648)),
    "markdown": (TEXT, lambda value: not value.isspace() and value != ""),
    "oid": (TEXT, _text(_OID)),
    "positiveInt": (WHOLE, _whole(1)),
    "string": (TEXT, _text(_STRING)),
    "time": (TEXT, _text(_TIME)),
    "unsignedInt": (WHOLE, _whole(0)),
    "uri": (TEXT, _text(_URI)),
    "url": (TEXT, _text(_URI)),
    "uuid": (TEXT, _text(_UUID)),
    "xhtml": (TEXT, is_xhtml),
}
WORDS = {
    TEXT: "A string is expected here.",
    FLAG: "A boolean is expected here.",
    WHOLE: "A whole number is expected here.",
    NUMBER: "A number is expected here.",
}


def is_kind(kind: str, value: Any) -> bool:
    """True when the JSON value is of this kind; a boolean is no number, and a string neither."""
    if kind == TEXT:
        return isinstance(value, str)
    if kind == FLAG:
        return isinstance(value, bool)
    if isinstance(value, bool):
        return False
    return isinstance(value, int) if kind == WHOLE else isinstance(value, int | float | Decimal)

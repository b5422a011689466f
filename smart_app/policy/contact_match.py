"""May the person who signs in be a contact of the patient whose chart is open (R24)? Pure; nothing of it is stored.

Phone or street address is enough, a name only with one more fact: birth date, e-mail or ZIP. Compared after the ways
of writing them are made equal, and with more zeal than precision: the privacy officer releases a wrong one in one tap.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Payload = Mapping[str, Any]

LOCAL_DIGITS, LONG_DIGITS = 7, 10
EXTENSION = re.compile(r"(;ext=|[\s,;(]*(extension|ext|extn|x|#)[\s.:]*)\d{1,6}\)?\s*$")
ABROAD = re.compile(r"^\s*(\+|00|011)")
UNIT = re.compile(r"\b(unit) ?(\w+)\b")
SAME_WORDS = {
    **dict.fromkeys(("street", "str"), "st"),
    **dict.fromkeys(("avenue", "av"), "ave"),
    "road": "rd",
    "drive": "dr",
    "lane": "ln",
    "court": "ct",
    "place": "pl",
    "boulevard": "blvd",
    "parkway": "pkwy",
    "highway": "hwy",
    "north": "n",
    "south": "s",
    "east": "e",
    "west": "w",
    "northeast": "ne",
    "northwest": "nw",
    "southeast": "se",
    "southwest": "sw",
    **dict.fromkeys(("apartment", "apt", "suite", "ste"), "unit"),
}


@dataclass(frozen=True)
class Street:
    """One street address, as compared. ``unit`` and ``postal_code`` are "" where nothing was said."""

    line: str
    unit: str
    postal_code: str


@dataclass(frozen=True)
class Facts:
    """What one person can be told by."""

    phones: frozenset[str] = frozenset()
    streets: frozenset[Street] = frozenset()
    names: frozenset[tuple[str, str]] = frozenset()
    births: frozenset[str] = frozenset()
    mails: frozenset[str] = frozenset()
    postal_codes: frozenset[str] = frozenset()


def matches(staff: Payload, patient: Payload, others: Iterable[Payload] = ()) -> frozenset[str]:
    """By what the person who signs in matches: "phone", "street", "name-and-more"; empty if by nothing. ``staff``: the
    Practitioner. ``others``: more contacts of the patient, in the form of ``Patient.contact`` or RelatedPerson."""
    asks = facts_of(staff)
    contacts = [facts_of(one) for one in (*_listed(patient.get("contact")), *others)]
    lives_there = Facts(facts_of(patient).phones, facts_of(patient).streets)  # who shares the patient's own home
    return frozenset(kind for contact in (lives_there, *contacts) for kind in _kinds(asks, contact))


def can_match(staff: Payload) -> bool:
    """False where the EHR says so little of the person that nothing could match."""
    asks = facts_of(staff)
    return bool(asks.phones or asks.streets or (asks.names and (asks.births or asks.mails or asks.postal_codes)))


def facts_of(person: Payload) -> Facts:
    """Of a Practitioner, Patient, RelatedPerson or ``Patient.contact``. What cannot be read is left out."""
    telecoms = [*_listed(person.get("telecom"))]
    addresses = [*_listed(person.get("address"))]
    names = [*_listed(person.get("name"))]
    born = person.get("birthDate")
    return Facts(
        phones=_some(phone(one.get("value")) for one in telecoms if one.get("system") in ("phone", "sms", None)),
        streets=frozenset(found for one in addresses if (found := street(one)) is not None),
        names=frozenset(told for one in names if (told := name(one)) is not None),
        births=frozenset({born} if isinstance(born, str) and len(born) == len("1997-02-03") else ()),
        mails=_some(_plain(one.get("value")) for one in telecoms if one.get("system") == "email"),
        postal_codes=_some(_postal_code(one) for one in addresses),
    )


def phone(value: object) -> str:
    """The last ten digits, without country code and extension; a local number as it is; "" for none."""
    text = EXTENSION.sub("", _plain(value))
    digits = "".join(str(unicodedata.digit(one)) for one in ABROAD.sub("", text) if one.isdigit())
    if len(digits) < LOCAL_DIGITS or len(set(digits)) == 1:  # 999 999 9999 is nobody's
        return ""
    return digits[-LONG_DIGITS:]


def street(address: Payload) -> Street | None:
    """House and street in one spelling; None where there is no number or no street in it."""
    lines = address.get("line")
    text = " ".join(str(line) for line in lines) if isinstance(lines, list) else str(address.get("text") or "")
    words = re.sub(r"[^\w#]+", " ", _plain(text).replace("#", " unit ")).split()
    joined = re.sub(r"\bunit( unit)+\b", "unit", " ".join(SAME_WORDS.get(word, word) for word in words))
    units = [found[2] for found in UNIT.finditer(joined)]
    line = " ".join(UNIT.sub("", joined).split())
    if not re.search(r"\d", line) or not re.search(r"[^\W\d_]{2}", line):
        return None
    return Street(line, units[0] if units else "", _postal_code(address))


def name(value: Payload) -> tuple[str, str] | None:
    """First given name and family name in one spelling; None where one of them is missing."""
    given, family = value.get("given"), value.get("family")
    if isinstance(given, list) and given and isinstance(family, str):
        first, last = _words(given[0]), _words(family)
    else:
        told = str(value.get("text") or "")
        turned = " ".join(reversed(told.split(",", 1))) if "," in told else told
        first, last = _words(turned)[:1], _words(turned)[1:][-1:]
    return (first[0], " ".join(last)) if first and last else None


def _kinds(asks: Facts, contact: Facts) -> Iterator[str]:
    if any(_is_same_phone(one, other) for one in asks.phones for other in contact.phones):
        yield "phone"
    if any(_is_same_street(one, other) for one in asks.streets for other in contact.streets):
        yield "street"
    has_more = asks.births & contact.births or asks.mails & contact.mails or asks.postal_codes & contact.postal_codes
    if asks.names & contact.names and has_more:
        yield "name-and-more"


def _is_same_phone(one: str, other: str) -> bool:
    """A local number is the end of the same number in full."""
    short, long = sorted((one, other), key=len)
    return long == short or (len(short) == LOCAL_DIGITS and long.endswith(short))


def _is_same_street(one: Street, other: Street) -> bool:
    """What only one of them says does not make them two addresses."""
    is_other_unit = bool(one.unit and other.unit and one.unit != other.unit)
    is_other_town = bool(one.postal_code and other.postal_code and one.postal_code != other.postal_code)
    return one.line == other.line and not is_other_unit and not is_other_town


def _postal_code(address: Payload) -> str:
    return re.sub(r"\W", "", _plain(address.get("postalCode")))[:5]


def _words(value: object) -> list[str]:
    return re.sub(r"[^\w]+", " ", _plain(value).replace("\u2019", "").replace("'", "")).split()


def _plain(value: object) -> str:
    """Small letters without accents, one space each."""
    text = unicodedata.normalize("NFKD", value if isinstance(value, str) else "").casefold()
    return " ".join("".join(one for one in text if not unicodedata.combining(one)).split())


def _some(values: Iterable[str]) -> frozenset[str]:
    return frozenset(value for value in values if value)


def _listed(value: object) -> Iterator[Payload]:
    """A list of objects, or the one object that ``Patient.contact.name`` and its address are."""
    yield from (one for one in (value if isinstance(value, list) else [value]) if isinstance(one, Mapping))

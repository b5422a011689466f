"""Closed shapes: every key of a resource is listed in a table, and all else is refused.

A shape looks at one value and reports issues. It never repeats a value, and an unknown key is reported at its parent,
because the key itself is the sender's text. Shapes know no clock and no meaning: rules live beside each profile.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from fhir_profiles import dates
from fhir_profiles.security_labels import Label, is_spelling_known
from fhir_profiles.terminology import LAW_BASIS, LAWS, SEC_LABEL_BASIS, B

MAX_ISSUES = 50
ONLY_THE_FIRST = f"More may be wrong: only the first {MAX_ISSUES} errors are told."

_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{1,15}:[\x21-\x7e]{1,230}")
_TOKEN = re.compile(r"[A-Za-z0-9._:/+-]{1,64}")
# What others chose and we keep (R17): no spaces, no query, no fragment, no user name; nothing to put a sentence into.
_PLAIN_URI = re.compile(
    r"https?://[A-Za-z0-9.-]{1,80}(?::[0-9]{1,5})?(?:/[A-Za-z0-9._~-]{1,40}){0,6}/?"
    r"|urn:[a-z0-9][a-z0-9-]{1,30}:[A-Za-z0-9.:-]{1,80}"
)
_OPAQUE = re.compile(r"[A-Za-z0-9._-]{1,64}|urn:uuid:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_VERSION = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{1,4}(?:\.[0-9]{1,4}){0,2}")
_TYPE_AND_ID = re.compile(r"([A-Z][A-Za-z]{1,39})/[A-Za-z0-9.-]{1,64}(?:/_history/[A-Za-z0-9.-]{1,64})?")
_URN_UUID = re.compile(r"urn:uuid:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_ABSOLUTE = re.compile(
    r"https?://[A-Za-z0-9.:\[\]-]{1,120}(?:/[A-Za-z0-9._~-]{1,64}){0,8}/([A-Z][A-Za-z]{1,39})/[A-Za-z0-9.-]{1,64}"
)

# FHIRPath names a choice element without its type.
_CHOICE = {
    "effectiveDateTime": "effective",
    "occurrencePeriod": "occurrence",
    "sourceReference": "source",
    **{
        f"value{kind}": "value"
        for kind in (
            "Boolean",
            "Code",
            "CodeableConcept",
            "Coding",
            "ContactPoint",
            "Date",
            "DateTime",
            "Duration",
            "Reference",
            "String",
            "Time",
        )
    },
}


@dataclass(frozen=True)
class Issue:
    """One thing wrong: FHIR ``severity`` and issue ``code``, a FHIRPath ``expression`` and constant ``text``."""

    severity: str
    code: str
    expression: str
    text: str


@dataclass
class Report:
    """Collects issues, at most ``MAX_ISSUES``: a hostile body earns no longer answer than a clumsy one."""

    issues: list[Issue] = field(default_factory=list)
    notes: list[Issue] = field(default_factory=list)
    most: int = MAX_ISSUES

    def add(self, code: str, expression: str, text: str) -> None:
        """Note an error."""
        if len(self.issues) < self.most:
            self.issues.append(Issue("error", code, expression, text))

    def note(self, expression: str, text: str) -> None:
        """Say what could not be checked: information, never an error."""
        if len(self.notes) < self.most:
            self.notes.append(Issue("information", "not-supported", expression, text))


class Shape(Protocol):
    """Looks at one value."""

    def check(self, value: Any, path: str, report: Report) -> None:
        """Report what is wrong with ``value``, which stands at the FHIRPath ``path``."""


class Record:
    """An object with exactly these keys; a key written with ``!`` is required."""

    def __init__(self, table: Mapping[str, Shape]) -> None:
        self.fields = {key.removesuffix("!"): shape for key, shape in table.items()}
        self.required = tuple(key[:-1] for key in table if key.endswith("!"))
        self.unknown = f"An element that is not allowed here is present. Allowed: {', '.join(self.fields)}."

    def with_fields(self, table: Mapping[str, Shape]) -> Record:
        """The same record with some keys replaced or added."""
        fresh = {key.removesuffix("!") for key in table}
        old = {f"{k}!" if k in self.required else k: s for k, s in self.fields.items() if k not in fresh}
        return Record({**old, **table})

    def check(self, value: Any, path: str, report: Report) -> None:
        """Unknown keys at this path, missing keys at theirs, and then each value."""
        if not isinstance(value, dict) or not value:
            report.add("structure", path, "An object that is not empty is expected here.")
            return
        if any(key not in self.fields for key in value):
            report.add("structure", path, self.unknown)
        for key in self.required:
            if key not in value:
                report.add("required", _child(path, key), f"The element {key} is required.")
        for key, item in value.items():
            shape = self.fields.get(key)
            if shape is not None:
                shape.check(item, _child(path, key), report)


def _child(path: str, key: str) -> str:
    return f"{path}.{_CHOICE.get(key, key)}"


@dataclass(frozen=True)
class Many:
    """A list of ``low`` to ``high`` items of one shape."""

    shape: Shape
    low: int = 1
    high: int = 1

    def check(self, value: Any, path: str, report: Report) -> None:
        """Count before looking: a list of a million items is refused without a walk."""
        if not isinstance(value, list):
            report.add("structure", path, "A list is expected here.")
        elif not self.low <= len(value) <= self.high:
            report.add("structure", path, items_expected(self.low, self.high))
        else:
            for position, item in enumerate(value):
                self.shape.check(item, f"{path}[{position}]", report)


@dataclass(frozen=True)
class Text:
    """A string that one predicate accepts; ``words`` says what is expected."""

    accepts: Callable[[str], bool]
    words: str
    code: str = "value"
    codes: tuple[str, ...] = ()  # all that it accepts, where that is a list of codes

    def check(self, value: Any, path: str, report: Report) -> None:
        """A string, then the predicate."""
        if not isinstance(value, str):
            report.add("structure", path, "A string is expected here.")
        elif not self.accepts(value):
            report.add(self.code, path, self.words)


@dataclass(frozen=True)
class Flag:
    """A JSON boolean, perhaps with one allowed value."""

    only: bool | None = None

    def check(self, value: Any, path: str, report: Report) -> None:
        """``"true"`` is no boolean."""
        if not isinstance(value, bool):
            report.add("structure", path, "A boolean is expected here.")
        elif self.only is not None and value is not self.only:
            report.add("value", path, one_of(["true" if self.only else "false"], "value"))


@dataclass(frozen=True)
class Whole:
    """A whole number between two bounds."""

    low: int
    high: int

    def check(self, value: Any, path: str, report: Report) -> None:
        """A JSON integer; a boolean is none."""
        if isinstance(value, bool) or not isinstance(value, int):
            report.add("structure", path, "A whole number is expected here.")
        elif not self.low <= value <= self.high:
            report.add("value", path, f"A whole number from {self.low} to {self.high} is expected here.")


def one_of(allowed: Collection[str], noun: str = "code") -> str:
    """The words of a value that is none of these, which are ours to name."""
    listed = ", ".join(allowed)
    return (
        f"One of these {noun}s is expected here: {listed}."
        if len(allowed) > 1
        else f"The {noun} {listed} is expected here."
    )


def items_expected(low: int, high: int) -> str:
    """The words of a list with too few or too many items. ``high`` -1: no upper bound."""
    if high < 0:
        return f"At least {low} items are expected here."
    count = str(low) if low == high else f"{low} to {high}"
    return f"The number of items is not allowed here. Allowed: {count}."


def codings(pairs: Iterable[tuple[str, str]]) -> list[str]:
    """(system, code) pairs as they are named in words, those of one system together."""
    systems: dict[str, list[str]] = {}
    for system, chosen in sorted(pairs):
        systems.setdefault(system, []).append(chosen)
    return [f"{' or '.join(codes)} of {system}" for system, codes in systems.items()]


def code(*allowed: str) -> Text:
    """One of these codes, exactly."""
    return Text(frozenset(allowed).__contains__, one_of(allowed), "code-invalid", allowed)


def matching(pattern: re.Pattern[str], words: str) -> Text:
    """A string that the whole pattern matches."""
    match = pattern.fullmatch
    return Text(lambda value: match(value) is not None, words)


def is_uri(value: str) -> bool:
    """An absolute URI of printable ASCII without spaces."""
    return _URI.fullmatch(value) is not None


# Joiners that Persian and Indic names need, though Unicode does not call them printable.
_JOINERS = {0x200C: None, 0x200D: None}


def line(most: int) -> Text:
    """One printable line of at most ``most`` characters; no control or bidirectional override characters."""
    return Text(
        lambda value: 0 < len(value) <= most and value == value.strip() and _is_printable(value),
        f"One printable line of at most {most} characters is expected here, without a space at its ends.",
    )


def _is_printable(value: str) -> bool:
    shown = value.translate(_JOINERS)
    return bool(shown) and shown.isprintable()


ID = matching(_ID, "A FHIR id is expected here: 1 to 64 letters, digits, hyphens and dots.")
URI = matching(_URI, "An absolute URI of printable ASCII is expected here.")
TOKEN = matching(_TOKEN, "A code without spaces is expected here: 1 to 64 letters, digits and . _ : / + - signs.")
PLAIN_URI = matching(_PLAIN_URI, "A plain http, https or urn address is expected here, without query or fragment.")
OPAQUE = matching(
    _OPAQUE, "An opaque identifier is expected here: 1 to 64 letters, digits and . _ - signs, or a lower-case urn:uuid."
)
DATE = Text(dates.is_date, "A full date is expected here, such as 2026-10-01.")
DATE_TIME = Text(
    dates.is_date_time, "A full date, or a date with time and zone, is expected here, such as 2026-10-01T09:00:00Z."
)
INSTANT = Text(dates.is_instant, "A date with time and zone is expected here, such as 2026-10-01T09:00:00Z.")
CLOCK_TIME = Text(dates.is_clock_time, "A time of day is expected here, such as 09:00:00.")
FULL_URL = Text(
    lambda value: _URN_UUID.fullmatch(value) is not None or _ABSOLUTE.fullmatch(value) is not None,
    "A lower-case urn:uuid, or a base address followed by type and id, is expected here.",
)


def coding(*allowed: tuple[str, str]) -> Record:
    """A Coding without display that is one of these (system, code) pairs."""
    return Coded(frozenset(allowed))


class Coded(Record):
    """A Coding that is one of ``allowed``."""

    def __init__(self, allowed: frozenset[tuple[str, str]]) -> None:
        super().__init__({"system!": URI, "code!": TOKEN})
        self.allowed = allowed
        self.words = one_of(codings(allowed), "coding")

    def check(self, value: Any, path: str, report: Report) -> None:
        """Its shape, then membership."""
        super().check(value, path, report)
        if not isinstance(value, dict):
            return
        system, chosen = value.get("system"), value.get("code")
        if isinstance(system, str) and isinstance(chosen, str) and (system, chosen) not in self.allowed:
            report.add("code-invalid", path, self.words)


def concept(*allowed: tuple[str, str]) -> Record:
    """A CodeableConcept of one coding, no text."""
    return Record({"coding!": Many(coding(*allowed))})


class Reference(Record):
    """A Reference without display to one of ``types``."""

    def __init__(self, types: tuple[str, ...], *, urn: bool, absolute: bool) -> None:
        self.types = frozenset(types)
        self.allows_absolute = absolute

        def accepts(value: str) -> bool:
            match = _TYPE_AND_ID.fullmatch(value) or (_ABSOLUTE.fullmatch(value) if absolute else None)
            if match is not None:
                return match[1] in types
            return urn and _URN_UUID.fullmatch(value) is not None

        super().__init__({"reference!": Text(accepts, reference_expected(types))})


def reference_expected(types: Iterable[str]) -> str:
    """The words of a Reference that leads to none of these types."""
    return f"A reference to {' or '.join(types)} is expected here."


def reference(*types: str, urn: bool = True, absolute: bool = False) -> Record:
    """A Reference without display to one of these types: relative, or urn:uuid inside a Bundle."""
    return Reference(types, urn=urn, absolute=absolute)


def relative_type(value: str) -> str | None:
    """The type that a relative reference names, "Patient/1"; None for any other."""
    match = _TYPE_AND_ID.fullmatch(value)
    return match[1] if match is not None else None


class Extensions:
    """Extensions with known URLs. ``table``: URL -> shape of the object without its ``url``; ``!`` = required."""

    def __init__(self, table: Mapping[str, Record], *, repeats: tuple[str, ...] = ()) -> None:
        self.required = tuple(url[:-1] for url in table if url.endswith("!"))
        self.repeats = frozenset(repeats)
        self.records = {
            url.removesuffix("!"): record.with_fields({"url!": code(url.removesuffix("!"))})
            for url, record in table.items()
        }
        self.unknown = f"This extension is not allowed here. Allowed: {', '.join(self.records)}."

    def check(self, value: Any, path: str, report: Report) -> None:
        """Each URL known, once unless it may repeat; the required ones present."""
        if not isinstance(value, list) or not 0 < len(value) <= 24:
            report.add("structure", path, "A list of 1 to 24 extensions is expected here.")
            return
        seen: set[str] = set()
        for position, item in enumerate(value):
            here = f"{path}[{position}]"
            url = item.get("url") if isinstance(item, dict) else None
            record = self.records.get(url) if isinstance(url, str) else None
            if record is None or not isinstance(url, str):
                report.add("extension", here, self.unknown)
                continue
            if url in seen and url not in self.repeats:
                report.add("structure", here, "This extension may appear once.")
            seen.add(url)
            record.check(item, here, report)
        for url in self.required:
            if url not in seen:
                report.add("required", path, f"The extension {url} is required.")


@dataclass(frozen=True)
class ByType:
    """A resource of one of these types, each with its own shape."""

    shapes: Mapping[str, Record]

    def check(self, value: Any, path: str, report: Report) -> None:
        """A type that is not in the table is refused without a look inside."""
        kind = value.get("resourceType") if isinstance(value, dict) else None
        if isinstance(kind, str) and kind in self.shapes:
            self.shapes[kind].check(value, path, report)
        else:
            listed = ", ".join(self.shapes)
            report.add("not-supported", path, f"A resource of this type is not allowed here. Allowed: {listed}.")


KNOWN_LABELS = f"This label is not one of those known here: {B}/ValueSet/known-label lists them."
_LAWS = tuple((LAW_BASIS, law) for law in LAWS)


class _LabelCoding(Record):
    """A label out of the closed set, in any spelling of it that was ever right. A code or a system that nobody knows
    would be kept word for word, so it could carry anything (R17)."""

    def check(self, value: Any, path: str, report: Report) -> None:
        """Its shape, then membership."""
        super().check(value, path, report)
        if not isinstance(value, dict):
            return
        system, chosen = value.get("system"), value.get("code")
        if isinstance(system, str) and isinstance(chosen, str) and not is_spelling_known(Label(system, chosen)):
            report.add("code-invalid", path, KNOWN_LABELS)


LABEL = _LabelCoding(
    {
        "system!": URI,
        "code!": TOKEN,
        "version": matching(_VERSION, "A version number or a date is expected here."),
        "extension": Extensions({SEC_LABEL_BASIS: Record({"valueCoding!": coding(*_LAWS)})}),
    }
)
LABELS = Many(LABEL, 1, 24)


def meta(profile_url: str, *parents: str) -> Record:
    """``meta`` with our profile or its public parents, labels and a version; nothing else (no tag, no source)."""
    return Record(
        {
            "profile": Many(code(profile_url, *parents), 1, 1 + len(parents)),
            "security": LABELS,
            "versionId": ID,
            "lastUpdated": INSTANT,
        }
    )


PERIOD = Record({"start!": DATE_TIME, "end!": DATE_TIME})
IDENTIFIER = Record({"system!": PLAIN_URI, "value!": OPAQUE})


def check_period(period: dict[str, str], path: str, report: Report) -> None:
    """``per-1``: a period's start is not after its end. Both are present and well formed."""
    if dates.first_moment(period["start"]) > dates.last_moment(period["end"]):
        report.add("invariant", path, "The start is not after the end (per-1).")

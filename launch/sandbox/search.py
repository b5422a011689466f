"""Search parameters of this server: which exist per type, what they match, and in which order results come.

A parameter that is not listed is refused, never ignored: an ignored filter returns what nobody asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from launch.sandbox.access import security_of
from launch.sandbox.records import Payload, Record

Match = Callable[[Payload, str], bool]
INCLUDED_ELEMENTS = {"patient": "subject", "subject": "subject", "encounter": "encounter", "actor": "participant.actor"}
MAX_COUNT = 100
DEFAULT_COUNT = 50


class SearchError(ValueError):
    """A parameter that is unknown here or has an unusable value. The text never repeats what was sent."""


@dataclass(frozen=True)
class Query:
    """A parsed search. ``filters`` are (parameter, value) pairs that must all hold."""

    filters: tuple[tuple[str, str], ...]
    count: int
    offset: int
    sort: str | None
    is_count_only: bool
    elements: frozenset[str]
    includes: tuple[str, ...] = ()


def parse(resource_type: str, pairs: list[tuple[str, str]]) -> Query:
    """Read the query string of a search on one type; SearchError for anything this server does not do."""
    known = PARAMETERS[resource_type]
    filters: list[tuple[str, str]] = []
    includes: list[str] = []
    control: dict[str, str] = {}
    for name, value in pairs:
        bare = name.removesuffix(f":{_TARGETS[name.split(':')[0]]}") if name.split(":")[0] in _TARGETS else name
        if name in ("_format", "_total", "_pretty"):
            continue
        if name in ("_count", "_offset", "_sort", "_summary", "_elements"):
            if name in control:
                raise SearchError("a result parameter is repeated")
            control[name] = value
        elif name == "_include":
            includes.append(_include(resource_type, value))
        elif bare in known:
            filters.append((bare, value))
        else:
            raise SearchError("a search parameter is not supported")
    if control.get("_summary", "count") not in ("count", "false"):
        raise SearchError("_summary is count or false")
    return Query(
        filters=tuple(filters),
        count=min(_whole("_count", control.get("_count", str(DEFAULT_COUNT))), MAX_COUNT),
        offset=_whole("_offset", control.get("_offset", "0")),
        sort=_sort(control.get("_sort")),
        is_count_only=control.get("_summary") == "count",
        elements=frozenset(filter(None, control.get("_elements", "").split(","))),
        includes=tuple(includes),
    )


def _include(resource_type: str, value: str) -> str:
    """The element that ``_include=Type:parameter`` follows."""
    source, _, parameter = value.partition(":")
    if source != resource_type or parameter not in INCLUDED_ELEMENTS:
        raise SearchError("an _include is not supported")
    return INCLUDED_ELEMENTS[parameter]


def included(query: Query, payload: Payload) -> Iterator[str]:
    """The references, such as "Patient/123", that the search wants along with a match."""
    for path in query.includes:
        for value in _values(payload, path):
            reference = value.get("reference") if isinstance(value, dict) else None
            if isinstance(reference, str):
                yield reference


def _whole(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 6):
        raise SearchError(f"{name} is a whole number")
    return int(text)


def _sort(text: str | None) -> str | None:
    if text is not None and text.removeprefix("-") not in ("_lastUpdated", "date", "_id"):
        raise SearchError("_sort is _lastUpdated, date or _id")
    return text


def matches(query: Query, record: Record) -> bool:
    """Whether every filter holds for a resource; within one value, commas mean or."""
    known = PARAMETERS[record.type]
    payload = record.payload
    return all(any(known[name](payload, one) for one in value.split(",")) for name, value in query.filters)


def ordered(query: Query, records: list[Record]) -> list[Record]:
    """The records in the order asked for; as stored when none was."""
    if query.sort is None:
        return records
    name = query.sort.removeprefix("-")
    keys: dict[str, Callable[[Record], str]] = {
        "_lastUpdated": lambda record: record.updated_at,
        "_id": lambda record: record.id,
        "date": lambda record: _date_text(record.payload),
    }
    return sorted(records, key=keys[name], reverse=query.sort.startswith("-"))


def shown(query: Query, payload: Payload) -> Payload:
    """The resource, or with ``_elements`` the part asked for, marked as a part. Labels always stay on it."""
    if not query.elements:
        return payload
    kept = query.elements | {"resourceType", "id", "meta", "status"}
    part = {name: value for name, value in payload.items() if name in kept}
    subsetted = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}
    meta = dict(part.get("meta", {}))
    meta["tag"] = [*meta.get("tag", []), subsetted]
    return {**part, "meta": meta}


def patient_named(query: Query, resource_type: str) -> frozenset[str]:
    """The patients a search names: it must not ask for anybody but the patient of a patient-bound token."""
    names = {"Patient": "_id", "Appointment": "patient"}
    wanted = {names.get(resource_type, "patient"), "subject", "actor"}
    return frozenset(
        one.removeprefix("Patient/")
        for name, value in query.filters
        if name in wanted
        for one in value.split(",")
        if not one.startswith(("Practitioner/", "Location/"))
    )


# -- matching --------------------------------------------------------------------------------------------------------


def _values(payload: Any, path: str) -> Iterator[Any]:
    """Everything at a dotted path; lists are walked through."""
    head, _, rest = path.partition(".")
    found = payload.get(head) if isinstance(payload, dict) else None
    for item in found if isinstance(found, list) else [found]:
        if item is None:
            continue
        if rest:
            yield from _values(item, rest)
        else:
            yield item


def _token(*paths: str) -> Match:
    """Codes, Codings, CodeableConcepts and Identifiers: "code", "system|code", "|code" or "system|"."""

    def match(payload: Payload, wanted: str) -> bool:
        system, bar, code = wanted.rpartition("|")
        for path in paths:
            for value in _values(payload, path):
                for found_system, found_code in _codes(value):
                    if code and code != found_code:
                        continue
                    if bar and system != (found_system or ""):
                        continue
                    if code or bar:
                        return True
        return False

    return match


def _codes(value: Any) -> Iterator[tuple[str | None, str | None]]:
    if isinstance(value, str):
        yield None, value
    elif isinstance(value, bool):
        yield None, str(value).lower()
    elif isinstance(value, dict) and "coding" in value:
        for coding in value["coding"]:
            yield coding.get("system"), coding.get("code")
    elif isinstance(value, dict):
        yield value.get("system"), value.get("code") if "code" in value else value.get("value")


def _reference(*paths: str, target: str | None = None) -> Match:
    def match(payload: Payload, wanted: str) -> bool:
        full = wanted if "/" in wanted or target is None else f"{target}/{wanted}"
        return any(value.get("reference") == full for path in paths for value in _values(payload, path))

    return match


def _text(*paths: str) -> Match:
    def match(payload: Payload, wanted: str) -> bool:
        return any(
            isinstance(value, str) and value.casefold().startswith(wanted.casefold())
            for path in paths
            for value in _values(payload, path)
        )

    return match


def _date(*paths: str) -> Match:
    def match(payload: Payload, wanted: str) -> bool:
        prefix = wanted[:2] if wanted[:2] in ("eq", "ne", "gt", "lt", "ge", "le") else "eq"
        start, end = interval(wanted.removeprefix(prefix) if wanted.startswith(prefix) else wanted)
        tests: dict[str, Callable[[datetime, datetime], bool]] = {
            "eq": lambda low, high: start <= low and high <= end,
            "ne": lambda low, high: not (start <= low and high <= end),
            "gt": lambda low, high: high > end,
            "lt": lambda low, high: low < start,
            "ge": lambda low, high: high > start,
            "le": lambda low, high: low < end,
        }
        return any(tests[prefix](*interval(value)) for path in paths for value in _values(payload, path))

    return match


def interval(text: str) -> tuple[datetime, datetime]:
    """The span of time a FHIR date or dateTime stands for; SearchError when it is neither."""
    try:
        if "T" in text:
            at = datetime.fromisoformat(text)
            at = at if at.tzinfo else at.replace(tzinfo=UTC)
            return at, at + timedelta(microseconds=1)
        parts = [int(part) for part in text.split("-")]
        start = datetime(parts[0], parts[1] if len(parts) > 1 else 1, parts[2] if len(parts) > 2 else 1, tzinfo=UTC)
        if len(parts) == 1:
            return start, datetime(parts[0] + 1, 1, 1, tzinfo=UTC)
        if len(parts) == 2:
            return start, (start + timedelta(days=32)).replace(day=1)
        return start, start + timedelta(days=1)
    except (ValueError, IndexError, TypeError, OverflowError) as error:
        raise SearchError("a date could not be read") from error


def _security(payload: Payload, wanted: str) -> bool:
    system, bar, code = wanted.rpartition("|")
    return any(
        label.get("code") == code and (not bar or label.get("system") == system) for label in security_of(payload)
    )


def _date_text(payload: Payload) -> str:
    for path in ("effectiveDateTime", "start", "period.start", "authoredOn", "occurrenceDateTime", "birthDate"):
        for value in _values(payload, path):
            return interval(value)[0].astimezone(UTC).isoformat()
    return ""


_TARGETS = {"patient": "Patient", "subject": "Patient", "encounter": "Encounter", "practitioner": "Practitioner"}
_EVERYWHERE: dict[str, Match] = {
    "_id": _token("id"),
    "_security": _security,
    "_lastUpdated": _date("meta.lastUpdated"),
    "_tag": _token("meta.tag"),
    "identifier": _token("identifier"),
}
_SUBJECT: dict[str, Match] = {
    **_EVERYWHERE,
    "patient": _reference("subject", "patient", target="Patient"),
    "subject": _reference("subject", target="Patient"),
    "encounter": _reference("encounter", target="Encounter"),
    "status": _token("status"),
    "category": _token("category"),
    "code": _token("code"),
}
PARAMETERS: dict[str, dict[str, Match]] = {
    "Patient": {
        **_EVERYWHERE,
        "name": _text("name.family", "name.given"),
        "family": _text("name.family"),
        "given": _text("name.given"),
        "birthdate": _date("birthDate"),
        "gender": _token("gender"),
    },
    "RelatedPerson": {**_EVERYWHERE, "patient": _reference("patient", target="Patient")},
    "Practitioner": {**_EVERYWHERE, "name": _text("name.family", "name.given"), "family": _text("name.family")},
    "PractitionerRole": {**_EVERYWHERE, "practitioner": _reference("practitioner", target="Practitioner")},
    "Organization": {**_EVERYWHERE, "name": _text("name")},
    "Location": {**_EVERYWHERE, "name": _text("name"), "status": _token("status")},
    "Encounter": {
        **_SUBJECT,
        "date": _date("period.start"),
        "class": _token("class"),
        "practitioner": _reference("participant.individual", target="Practitioner"),
    },
    "Observation": {**_SUBJECT, "date": _date("effectiveDateTime")},
    "ServiceRequest": {
        **_SUBJECT,
        "authored": _date("authoredOn"),
        "requester": _reference("requester"),
        "intent": _token("intent"),
    },
    "Appointment": {
        **_EVERYWHERE,
        "patient": _reference("participant.actor", target="Patient"),
        "practitioner": _reference("participant.actor", target="Practitioner"),
        "actor": _reference("participant.actor"),
        "status": _token("status"),
        "date": _date("start"),
    },
    "Condition": {**_SUBJECT, "clinical-status": _token("clinicalStatus")},
    "MedicationRequest": {**_SUBJECT, "intent": _token("intent")},
    "Immunization": {**_SUBJECT, "date": _date("occurrenceDateTime")},
    "DiagnosticReport": {**_SUBJECT, "date": _date("effectiveDateTime")},
    "Procedure": {**_SUBJECT, "date": _date("performedDateTime", "performedPeriod.start")},
}

"""Invariants that R4 itself published wrongly, and how each is read here. Everything else is taken as published."""

from __future__ import annotations

from typing import NamedTuple


class Erratum(NamedTuple):
    """The mended FHIRPath ``expression`` and why."""

    expression: str
    why: str


ERRATA: dict[str, Erratum] = {
    "app-4": Erratum(
        "cancelationReason.exists() implies (status = 'noshow' or status = 'cancelled')",
        "tests 'no-show', but the code in AppointmentStatus is 'noshow'",
    ),
    "bdl-8": Erratum(
        "fullUrl.exists() implies fullUrl.contains('/_history/').not()",
        "is empty, thus not true, for an entry without fullUrl",
    ),
    "que-7": Erratum(
        "operator = 'exists' implies (answer is boolean)",
        "names System.Boolean, but the element's type is FHIR boolean",
    ),
    "que-12": Erratum(
        "initial.count() > 1 implies repeats.exists()",
        "says > 2, but two initial values already need a repeating item",
    ),
}

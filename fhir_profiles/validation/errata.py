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
    "dom-3": Erratum(
        "contained.where((('#' + id in (%resource.descendants().reference | %resource.descendants().ofType(canonical) "
        "| %resource.descendants().ofType(uri) | %resource.descendants().ofType(url))) "
        "or descendants().where(reference = '#').exists() "
        "or descendants().ofType(canonical).where($this = '#').exists()).not()).trace('unmatched', id).empty()",
        "asks many elements with as(), which takes one; ofType() takes many",
    ),
    "que-7": Erratum(
        "operator = 'exists' implies (answer is boolean)",
        "names System.Boolean, but the element's type is FHIR boolean",
    ),
    "que-12": Erratum(
        "initial.count() > 1 implies repeats.exists()",
        "says > 2, but two initial values already need a repeating item",
    ),
    "ref-1": Erratum(
        "reference.hasValue() implies iif(reference = '#', %rootResource != %resource, "
        "reference.startsWith('#').not() or reference.substring(1).trace('url') in "
        "%rootResource.contained.id.trace('ids'))",
        "is empty for a Reference without a literal, and forgets '#', which leads from what is contained to its "
        "container (the references page of R4 says so)",
    ),
    "tim-9": Erratum(
        "offset.empty() or (when.exists() and when.where($this in ('C' | 'CM' | 'CD' | 'CV')).empty())",
        "asks with `in` whether several items are in a list, which takes one",
    ),
}

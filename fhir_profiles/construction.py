"""What every builder does last: hold what it made to its own closed shape and rules, then to R4's structure.

So a builder gives back a valid resource or nothing. The doors hold it to the profile's snapshot as well; a property
test shows that nothing built here fails there.
"""

from __future__ import annotations

from collections.abc import Callable

from fhir_profiles import r4
from fhir_profiles.shapes import Record, Report
from fhir_profiles.terminology import Payload


class ConstructionError(ValueError):
    """Arguments that give no valid resource. The words name a place and what is expected there, never a value."""


def built(payload: Payload, shape: Record, rules: Callable[[Payload, str, Report], None]) -> Payload:
    """The same payload. Raises ``ConstructionError``, or ``r4.StructureError``; both are ValueErrors."""
    shaped(payload, shape, rules, str(payload["resourceType"]))
    return r4.checked(payload)


def shaped(payload: Payload, shape: Record, rules: Callable[[Payload, str, Report], None] | None, path: str) -> Payload:
    """The same for an element, or for what is made too often for R4's models. Raises ``ConstructionError``."""
    report = Report()
    shape.check(payload, path, report)
    if rules is not None and not report.issues:
        rules(payload, path, report)
    if report.issues:
        first = report.issues[0]
        raise ConstructionError(f"{first.text} ({first.expression})")
    return payload

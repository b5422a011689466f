"""The one import of ``fhir.resources`` (its R4B models stand for R4; for the types used here the elements are equal).

Used to structure-check what we build and as a second net behind our own shape tables. It is no gate: it accepts
``Task.status: "banana"``. It is imported on first use, once: the import costs about a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from fhir_profiles.terminology import Payload

TYPES = (
    "Appointment",
    "AuditEvent",
    "Bundle",
    "CapabilityStatement",
    "Consent",
    "Endpoint",
    "HealthcareService",
    "MeasureReport",
    "Observation",
    "OperationOutcome",
    "Organization",
    "OrganizationAffiliation",
    "Parameters",
    "Patient",
    "Provenance",
    "ServiceRequest",
    "Task",
)


class StructureError(ValueError):
    """A resource we built is not R4. ``paths`` are element paths only; the message never holds a value."""

    def __init__(self, paths: list[str]) -> None:
        super().__init__("not a valid R4 structure at: " + ", ".join(paths))
        self.paths = paths


@cache
def _model(resource_type: str) -> Any:
    from fhir.resources.R4B import get_fhir_model_class

    return get_fhir_model_class(resource_type)


def load(resource_types: Sequence[str] = TYPES) -> None:
    """Import these models now, so that the first request does not pay for it."""
    for resource_type in resource_types:
        _model(resource_type)


def structure_problems(payload: Payload) -> list[str]:
    """FHIRPath expressions of what R4 does not allow, without values and without keys the sender chose."""
    resource_type = payload.get("resourceType")
    if resource_type not in TYPES:
        return ["Resource"]
    try:
        _model(str(resource_type)).model_validate(payload)
    except (KeyError, RecursionError):
        # fhir.resources lets both escape: an unknown contained type, and very deep nesting.
        return [str(resource_type)]
    except ValueError as error:
        return _paths(error, payload)
    return []


def checked(payload: Payload) -> Payload:
    """The same payload, after R4's structure was checked. Raises ``StructureError``."""
    problems = structure_problems(payload)
    if problems:
        raise StructureError(problems)
    return payload


def _paths(error: ValueError, payload: Payload) -> list[str]:
    root = str(payload["resourceType"])
    details: Any = getattr(error, "errors", list)()
    found = [_path(root, detail.get("loc", ()), str(detail.get("type", ""))) for detail in details]
    return list(dict.fromkeys(found)) or [root]


def _path(root: str, location: tuple[str | int, ...], kind: str) -> str:
    steps = location[:-1] if "extra" in kind else location
    path = root
    for step in steps:
        if isinstance(step, int):
            path += f"[{step}]"
        elif step.isidentifier() and step[0].islower():
            path += f".{step}"
    return path

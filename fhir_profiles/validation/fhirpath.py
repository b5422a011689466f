"""Invariants that have no Python form here, read by fhirpathpy where it is installed. No door of the app needs it.

Two precautions: its ``trace()`` prints, and R4's dom-3 and ref-1 trace references, so it gets a function that is
silent; and what it lacks is not given to it, but said to be unchecked.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from fhir_profiles.validation.invariants import Invariant

# Functions that it lacks: an expression with one of these is not given to it.
LACKS = ("hasValue()", "resolve()", "htmlChecks()", "conformsTo(")


def is_here() -> bool:
    """True when fhirpathpy is installed."""
    return find_spec("fhirpathpy") is not None


def can_read(expression: str) -> bool:
    """True when the expression uses nothing that fhirpathpy lacks."""
    return not any(name in expression for name in LACKS)


def invariant(expression: str, element: str) -> Invariant:
    """The invariant of an element such as "Observation.component". ModuleNotFoundError without fhirpathpy."""
    engine: Any = import_module("fhirpathpy")
    models: Any = import_module("fhirpathpy.models")
    model = models.models["r4"]
    compiled = engine.compile(expression, model, {"traceFn": _silent})
    base = None if "." not in element else element

    def holds(node: Mapping[str, Any], resource: Mapping[str, Any], root: Mapping[str, Any]) -> bool:
        variables = {"resource": resource, "rootResource": root, "ucum": "http://unitsofmeasure.org"}
        start: Any = node
        if base is not None:
            nodes: Any = import_module("fhirpathpy.engine.nodes")
            start = nodes.ResourceNode.create_node(node, base)
        found: list[Any] = compiled(start, variables)
        return found == [True]

    return holds


def _silent(*_: Any) -> None:
    return None

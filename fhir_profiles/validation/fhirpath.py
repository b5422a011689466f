"""Invariants that have no Python form here, read by fhirpathpy where it is installed. No door of the app needs it.

Three precautions. Its ``trace()`` prints, and R4's dom-3 and ref-1 trace references, so it gets a function that is
silent. It lacks ``hasValue()``, which is given to it; what else it lacks is not asked, but said to be unchecked. It
raises on JSON of a wrong kind, which the structure tells; the invariant then counts as broken.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from fhir_profiles.validation.invariants import Invariant

# Functions that it lacks: an expression with one of these is not given to it.
LACKS = ("resolve()", "htmlChecks()", "conformsTo(")


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
    nodes: Any = import_module("fhirpathpy.engine.nodes")
    options = {"traceFn": _silent, "userInvocationTable": {"hasValue": {"fn": _has_value, "arity": {0: []}}}}
    compiled = engine.compile(expression, model, options)

    def holds(node: Mapping[str, Any], resource: Mapping[str, Any], root: Mapping[str, Any]) -> bool:
        variables = {"resource": resource, "rootResource": root, "ucum": "http://unitsofmeasure.org"}
        start = node if "resourceType" in node else nodes.ResourceNode.create_node(node, element)
        try:
            found: list[Any] = compiled(start, variables)
        except Exception:  # it has no exception of its own: Exception, TypeError, KeyError, ValueError were seen
            return False
        return found == [True]

    return holds


def _has_value(items: list[Any]) -> bool:
    """FHIRPath's hasValue(): one item, and it is a primitive with a value."""
    value = items[0] if len(items) == 1 else None
    return value is not None and not isinstance(value, dict | list)


def _silent(*_: Any) -> None:
    return None

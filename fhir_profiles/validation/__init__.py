"""The validator behind every door: limits, then the gate. ``parse`` the bytes, ``validate`` the payload."""

from fhir_profiles.shapes import Issue
from fhir_profiles.validation.gate import PROFILES, load, profile_of, validate
from fhir_profiles.validation.limits import MAX_BYTES, MAX_DEPTH, LimitError, parse, require_few

__all__ = [
    "MAX_BYTES",
    "MAX_DEPTH",
    "PROFILES",
    "Issue",
    "LimitError",
    "load",
    "parse",
    "profile_of",
    "require_few",
    "validate",
]

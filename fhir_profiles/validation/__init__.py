"""The validator behind every door: limits, then the gate. ``parse`` the bytes, ``validate`` the payload."""

from fhir_profiles.shapes import Issue
from fhir_profiles.validation.gate import PROFILES, load, profile_of, validate
from fhir_profiles.validation.limits import MAX_BYTES, MAX_DEPTH, LimitError, parse, require_few
from fhir_profiles.validation.renaming import Renamed, renamed

__all__ = [
    "MAX_BYTES",
    "MAX_DEPTH",
    "PROFILES",
    "Issue",
    "LimitError",
    "Renamed",
    "load",
    "parse",
    "profile_of",
    "renamed",
    "require_few",
    "validate",
]

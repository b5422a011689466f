"""Extension ``release-tier``: what the recipient of a release may write back, or be told, under it."""

from __future__ import annotations

from fhir_profiles import shapes
from fhir_profiles.construction import shaped
from fhir_profiles.shapes import Record
from fhir_profiles.terminology import RELEASE_TIER, Payload

TIERS = ("none", "contact", "appointment", "outcome")
RECORD = Record({"valueCode!": shapes.code(*TIERS)})
_WHOLE = RECORD.with_fields({"url!": shapes.code(RELEASE_TIER)})


def release_tier(*, tier: str) -> Payload:
    """The extension of a Consent's provision. ValueError unless ``tier`` is one of ``TIERS``."""
    return shaped({"url": RELEASE_TIER, "valueCode": tier}, _WHOLE, None, "release-tier")

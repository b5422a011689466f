"""Extension ``release-signer``: who signed a release. The alleged abuser may never sign (28 CFR 94.115)."""

from __future__ import annotations

from fhir_profiles import shapes
from fhir_profiles.construction import shaped
from fhir_profiles.shapes import Record
from fhir_profiles.terminology import RELEASE_SIGNER, Payload

SIGNERS = ("self", "representative-not-abuser")
RECORD = Record({"valueCode!": shapes.code(*SIGNERS)})
_WHOLE = RECORD.with_fields({"url!": shapes.code(RELEASE_SIGNER)})


def release_signer(*, signer: str) -> Payload:
    """The extension of a Consent. ValueError unless ``signer`` is one of ``SIGNERS``."""
    return shaped({"url": RELEASE_SIGNER, "valueCode": signer}, _WHOLE, None, "release-signer")

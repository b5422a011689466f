"""Extension ``mou``: the signed agreement of two organizations, and how soon the program promises to acknowledge."""

from __future__ import annotations

from fhir_profiles import shapes
from fhir_profiles.construction import shaped
from fhir_profiles.shapes import Extensions, Record
from fhir_profiles.terminology import MOU, UNITS, Payload, reference

LONGEST_MINUTES = 10_080  # a week
_DOCUMENT = Record({"valueReference!": shapes.reference("DocumentReference", urn=False)})
_PROMISE = Record(
    {"value!": shapes.Whole(1, LONGEST_MINUTES), "system!": shapes.code(UNITS), "code!": shapes.code("min")}
)
RECORD = Record(
    {"extension!": Extensions({"document!": _DOCUMENT, "acknowledgeWithin!": Record({"valueDuration!": _PROMISE})})}
)
_WHOLE = RECORD.with_fields({"url!": shapes.code(MOU)})


def mou(*, document_reference: str, acknowledge_minutes: int) -> Payload:
    """The extension of an OrganizationAffiliation. ``document_reference`` is "DocumentReference/<id>", the signed
    paper; ``acknowledge_minutes`` is from 1 to a week. ValueError for anything else."""
    promise = {"value": acknowledge_minutes, "system": UNITS, "code": "min"}
    made: Payload = {
        "url": MOU,
        "extension": [
            {"url": "document", "valueReference": reference(document_reference)},
            {"url": "acknowledgeWithin", "valueDuration": promise},
        ],
    }
    return shaped(made, _WHOLE, None, "mou")

"""Profile ``label-provenance``: who changed the labels of which version, and why. Never weaker than its target."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from fhir_profiles import dates, r4, shapes
from fhir_profiles.security_labels import Label, as_security
from fhir_profiles.shapes import Many, Record, Report
from fhir_profiles.terminology import (
    ACT_CODE,
    ACT_REASON,
    POLICY_LABELS,
    ROLE_CODE,
    Payload,
    coding,
    concept,
    profile,
    reference,
)

PROFILE = profile("label-provenance")
CHANGES = ("UPGRDLABEL", "DOWNGRDLABEL", "DRIVLABEL", "DECLASSIFYLABEL")
_AGENTS = {
    "UPGRDLABEL": "CLASSIFIER",
    "DRIVLABEL": "CLASSIFIER",
    "DOWNGRDLABEL": "DOWNGRDER",
    "DECLASSIFYLABEL": "DECLASSIFIER",
}
_TARGETS = ("Observation", "ServiceRequest", "Task", "Consent", "Appointment", "Patient", "Communication")
_ACTIVITY = Record({"coding!": Many(shapes.coding(*((ACT_CODE, code) for code in ("LABEL", *CHANGES))), 2, 2)})
_AGENT = Record(
    {
        "role!": Many(shapes.concept(*((ROLE_CODE, code) for code in sorted(set(_AGENTS.values()))))),
        "who!": shapes.reference("Device", "Practitioner", "PractitionerRole", urn=False),
    }
)
_SOURCE = Record({"role!": shapes.code("revision", "source"), "what!": shapes.reference(*_TARGETS, urn=False)})
SHAPE = Record(
    {
        "resourceType!": shapes.code("Provenance"),
        "id": shapes.ID,
        "meta": shapes.meta(PROFILE),
        "target!": Many(shapes.reference(*_TARGETS, urn=False)),
        "recorded!": shapes.INSTANT,
        "policy!": Many(shapes.URI),
        "reason!": Many(shapes.concept((ACT_REASON, "LABELING"))),
        "activity!": _ACTIVITY,
        "agent!": Many(_AGENT),
        "entity": Many(_SOURCE, 1, 2),
    }
)


def label_provenance(
    *,
    labels: Sequence[Label],
    target_version: str,
    previous_version: str | None,
    recorded_at: datetime,
    change: str = "UPGRDLABEL",
    agent_reference: str = "Device/labeler",
    consent_reference: str | None = None,
) -> Payload:
    """The Provenance of one label change. Versions are "Observation/<id>/_history/<n>"; ``change`` is one of
    ``CHANGES``; ``consent_reference`` is the release or request that caused it. KeyError for an unknown change."""
    entities = [
        {"role": role, "what": reference(what)}
        for role, what in (("revision", previous_version), ("source", consent_reference))
        if what is not None
    ]
    return r4.checked(
        {
            "resourceType": "Provenance",
            "meta": {"profile": [PROFILE], "security": as_security(labels)},
            "target": [reference(target_version)],
            "recorded": dates.as_text(recorded_at),
            "policy": [POLICY_LABELS],
            "reason": [concept(ACT_REASON, "LABELING")],
            "activity": {"coding": [coding(ACT_CODE, "LABEL"), coding(ACT_CODE, change)]},
            "agent": [{"role": [concept(ROLE_CODE, _AGENTS[change])], "who": reference(agent_reference)}],
            **({"entity": entities} if entities else {}),
        }
    )


def rules(payload: Payload, path: str, report: Report) -> None:
    """The target is one version; the activity is a labelling of one kind; the agent's role fits it."""
    if "/_history/" not in payload["target"][0]["reference"]:
        report.add("business-rule", f"{path}.target[0].reference", "The target is one version of an item.")
    codes = [item["code"] for item in payload["activity"]["coding"]]
    change = next((code for code in codes if code != "LABEL"), None)
    if "LABEL" not in codes or change is None:
        report.add("code-invalid", f"{path}.activity", "The activity is LABEL and one kind of change.")
    elif payload["agent"][0]["role"][0]["coding"][0]["code"] != _AGENTS[change]:
        report.add("code-invalid", f"{path}.agent[0].role", "The agent's role does not fit the change.")

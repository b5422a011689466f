"""Profile ``label-provenance``: who changed the labels of which version, and why. Never weaker than its target."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from fhir_profiles import dates, shapes
from fhir_profiles.construction import built
from fhir_profiles.security_labels import Label, own_security
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
# Nobody lowers or removes alone.
TAKES_TWO = frozenset({"DOWNGRDLABEL", "DECLASSIFYLABEL"})
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
        "agent!": Many(_AGENT, 1, 2),
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
    agent_references: Sequence[str] = ("Device/labeler",),
    cause_reference: str | None = None,
) -> Payload:
    """The Provenance of one label change. Versions are "Observation/<id>/_history/<n>", two of the same item;
    ``previous_version`` is None only where something is labelled for the first time. ``change`` is one of ``CHANGES``:
    lowering and removing take two agents, the others one, and lowering names the recorded request that caused it.

    ``labels`` come from ``security_labels.provenance_labels``. ValueError for anything else.
    """
    if change not in CHANGES:
        raise ValueError("the change is one of those of this profile")
    entities = [
        {"role": role, "what": reference(what)}
        for role, what in (("revision", previous_version), ("source", cause_reference))
        if what is not None
    ]
    made = {
        "resourceType": "Provenance",
        "meta": {"profile": [PROFILE], "security": own_security("label-provenance", labels)},
        "target": [reference(target_version)],
        "recorded": dates.as_text(recorded_at),
        "policy": [POLICY_LABELS],
        "reason": [concept(ACT_REASON, "LABELING")],
        "activity": {"coding": [coding(ACT_CODE, "LABEL"), coding(ACT_CODE, change)]},
        "agent": [{"role": [concept(ROLE_CODE, _AGENTS[change])], "who": reference(who)} for who in agent_references],
        **({"entity": entities} if entities else {}),
    }
    return built(made, SHAPE, rules)


def rules(payload: Payload, path: str, report: Report) -> None:
    """The target is one version; the activity is a labelling of one kind; agents and entities fit it."""
    target = payload["target"][0]["reference"]
    if "/_history/" not in target:
        report.add(
            "business-rule",
            f"{path}.target[0].reference",
            "The target is one version of an item: <Type>/<id>/_history/<version>.",
        )
    codes = [item["code"] for item in payload["activity"]["coding"]]
    change = next((code for code in codes if code != "LABEL"), None)
    if "LABEL" not in codes or change is None:
        report.add("code-invalid", f"{path}.activity", "The activity is LABEL and one kind of change.")
        return
    agents = payload["agent"]
    for position, agent in enumerate(agents):
        if agent["role"][0]["coding"][0]["code"] != _AGENTS[change]:
            report.add("code-invalid", f"{path}.agent[{position}].role", f"The agent's role is {_AGENTS[change]} here.")
    people = {agent["who"]["reference"] for agent in agents}
    if len(agents) != (2 if change in TAKES_TWO else 1) or len(people) != len(agents):
        report.add("business-rule", f"{path}.agent", "Lowering and removing take two persons, other changes one.")
    _check_entities(payload, change, target, path, report)


def _check_entities(payload: Payload, change: str, target: str, path: str, report: Report) -> None:
    found = {item["role"]: item["what"]["reference"] for item in payload.get("entity", ())}
    before = found.get("revision")
    if len(found) != len(payload.get("entity", ())):
        report.add("business-rule", f"{path}.entity", "Each kind of entity stands once.")
    if before is not None and (before == target or before.split("/")[:3] != [*target.split("/")[:2], "_history"]):
        report.add("business-rule", f"{path}.entity", "The version before is another one of the same item.")
    if (change in TAKES_TWO and before is None) or (change == "DOWNGRDLABEL" and "source" not in found):
        report.add("business-rule", f"{path}.entity", "Lowering names the version before and the recorded request.")

"""Profile ``access-audit-event``: one decision or access at the door, in BALP's form. Opaque ids only.

Built as a plain dict without R4's models, because the door writes one with every crossing; tests hold it to R4.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from fhir_profiles import dates, shapes
from fhir_profiles.security_labels import Label, as_security
from fhir_profiles.shapes import Many, Record, Report
from fhir_profiles.terminology import (
    ACT_REASON,
    AUDIT_ENTITY_TYPE,
    AUDIT_EVENT_TYPE,
    BALP,
    DICOM,
    OBJECT_ROLE,
    PARTICIPATION_TYPE,
    RESTFUL_INTERACTION,
    Payload,
    coding,
    concept,
    profile,
    reference,
)

PROFILE = profile("access-audit-event")
# Interaction -> (AuditEvent.action, BALP's profile of a successful access to one patient's data).
INTERACTIONS = {
    "read": ("R", "PatientRead"),
    "search": ("E", "PatientQuery"),
    "create": ("C", "PatientCreate"),
    "update": ("U", "PatientUpdate"),
    "delete": ("D", "PatientDelete"),
}
PERMITTED, DENIED = "0", "8"
_APPLICATION, _DESTINATION = "110152", "110153"
_IP_ADDRESS = "2"  # http://hl7.org/fhir/network-type
_PATIENT_ENTITY = {
    "type": coding(AUDIT_ENTITY_TYPE, "1"),
    "role": coding(OBJECT_ROLE, "1"),
}


def access_audit_event(
    *,
    labels: Sequence[Label],
    interaction: str,
    recorded_at: datetime,
    requester_reference: str,
    purpose: str,
    entities: Sequence[tuple[str, Sequence[Label]]],
    patient_reference: str | None = None,
    outcome: str = PERMITTED,
    observer_reference: str = "Device/door",
    network_address: str = "127.0.0.1",
) -> Payload:
    """The AuditEvent. ``entities`` are (reference, its labels), versioned where there is a version; a list read names
    all of them in one event. ``outcome`` is ``PERMITTED`` or ``DENIED``. KeyError for an unknown interaction.

    ``network_address`` is that of this machine. BALP's own profile is claimed only where it can hold: a permitted
    access with a patient.
    """
    action, balp = INTERACTIONS[interaction]
    claims = [PROFILE]
    if outcome == PERMITTED and patient_reference is not None:
        claims.append(f"{BALP}/StructureDefinition/IHE.BasicAudit.{balp}")
    patients = [] if patient_reference is None else [{"what": reference(patient_reference), **_PATIENT_ENTITY}]
    return {
        "resourceType": "AuditEvent",
        "meta": {"profile": claims, "security": as_security(labels)},
        "type": coding(AUDIT_EVENT_TYPE, "rest"),
        "subtype": [coding(RESTFUL_INTERACTION, interaction)],
        "action": action,
        "recorded": dates.as_text(recorded_at),
        "outcome": outcome,
        "agent": [
            _machine(_APPLICATION, "app", network_address),
            _machine(_DESTINATION, "vault", network_address),
            {
                "type": concept(PARTICIPATION_TYPE, "IRCP"),
                "who": reference(requester_reference),
                "requestor": True,
                "purposeOfUse": [concept(ACT_REASON, purpose)],
            },
        ],
        "source": {"observer": reference(observer_reference)},
        "entity": [*patients, *(_data_entity(item, carried) for item, carried in entities)],
    }


def _machine(code: str, name: str, address: str) -> Payload:
    return {
        "type": concept(DICOM, code),
        "who": {"identifier": {"value": name}},
        "requestor": False,
        "network": {"address": address, "type": _IP_ADDRESS},
    }


def _data_entity(item: str, labels: Sequence[Label]) -> Payload:
    entity: Payload = {
        "what": reference(item),
        "type": coding(AUDIT_ENTITY_TYPE, "2"),
        "role": coding(OBJECT_ROLE, "4"),
    }
    if labels:
        entity["securityLabel"] = as_security(labels)
    return entity


_BALP_CLAIMS = tuple(f"{BALP}/StructureDefinition/IHE.BasicAudit.{balp}" for _, balp in INTERACTIONS.values())
_PEOPLE = ("Practitioner", "PractitionerRole", "Organization", "Device", "Patient")
_ITEMS = ("Patient", "Observation", "ServiceRequest", "Task", "Consent", "Appointment", "Encounter", "Practitioner")
_PURPOSE = Record({"coding!": Many(Record({"system!": shapes.code(ACT_REASON), "code!": shapes.TOKEN}))})
_AGENT = Record(
    {
        "type!": shapes.concept((DICOM, _APPLICATION), (DICOM, _DESTINATION), (PARTICIPATION_TYPE, "IRCP")),
        "who!": Record(
            {
                "reference": shapes.reference(*_PEOPLE, urn=False).fields["reference"],
                "identifier": Record({"value!": shapes.code("app", "vault")}),
            }
        ),
        "requestor!": shapes.Flag(),
        "network": Record({"address!": shapes.TOKEN, "type!": shapes.code(_IP_ADDRESS)}),
        "purposeOfUse": Many(
            Record({"coding!": Many(Record({"system!": shapes.code(ACT_REASON), "code!": shapes.TOKEN}))})
        ),
    }
)
_ENTITY = Record(
    {
        "what!": shapes.reference(*_ITEMS, urn=False),
        "type!": shapes.coding((AUDIT_ENTITY_TYPE, "1"), (AUDIT_ENTITY_TYPE, "2")),
        "role!": shapes.coding((OBJECT_ROLE, "1"), (OBJECT_ROLE, "4")),
        "securityLabel": shapes.LABELS,
    }
)
SHAPE = Record(
    {
        "resourceType!": shapes.code("AuditEvent"),
        "id": shapes.ID,
        "meta!": Record(
            {
                "profile!": Many(shapes.code(PROFILE, *_BALP_CLAIMS), 1, 2),
                "security!": shapes.LABELS,
            }
        ),
        "type!": shapes.coding((AUDIT_EVENT_TYPE, "rest")),
        "subtype!": Many(shapes.coding(*((RESTFUL_INTERACTION, code) for code in INTERACTIONS))),
        "action!": shapes.code(*sorted({action for action, _ in INTERACTIONS.values()})),
        "recorded!": shapes.INSTANT,
        "outcome!": shapes.code(PERMITTED, DENIED),
        "agent!": Many(_AGENT, 3, 3),
        "source!": Record({"observer!": shapes.reference("Device", urn=False)}),
        "entity!": Many(_ENTITY, 0, 200),
    }
)


def rules(payload: Payload, path: str, report: Report) -> None:
    """One agent asked, and the action fits the interaction."""
    if [agent["requestor"] for agent in payload["agent"]].count(True) != 1:
        report.add("invariant", f"{path}.agent", "Exactly one agent asked.")
    if payload["action"] != INTERACTIONS[payload["subtype"][0]["code"]][0]:
        report.add("invariant", f"{path}.action", "The action does not fit the interaction.")

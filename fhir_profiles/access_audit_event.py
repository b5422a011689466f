"""Profile ``access-audit-event``: an access, a decision or an exchange, each in the form BALP gives it. Opaque ids.

BALP's own profile is claimed only where it holds. A search never does: BALP wants the raw query in it, and a query
names people. Built without R4's models, because one is written with every crossing; tests hold it to R4.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fhir_profiles import dates, shapes
from fhir_profiles.construction import shaped
from fhir_profiles.security_labels import Label, as_security, own_security
from fhir_profiles.shapes import Many, Record, Report
from fhir_profiles.terminology import (
    ACT_REASON,
    AUDIT_ENTITY_TYPE,
    AUDIT_EVENT_TYPE,
    AUTHZ_SUBTYPE,
    BALP,
    DICOM,
    OBJECT_ROLE,
    PARTICIPATION_TYPE,
    PROVENANCE_PARTICIPANT,
    RECORD_LIFECYCLE,
    RESOURCE_TYPES,
    RESTFUL_INTERACTION,
    ROLE_CLASS,
    SECURITY_ROLE,
    USER_AGENT_TYPES,
    Payload,
    coding,
    concept,
    profile,
    reference,
)

PROFILE = profile("access-audit-event")
PERMITTED, DENIED = "0", "8"
TOKEN_PREFIX = "urn:ietf:params:oauth:jti:"  # noqa: S105 -- RFC 9068's name for a token's id, no secret
Pair = tuple[str, str]

DESTINATION, SOURCE, APPLICATION = (DICOM, "110152"), (DICOM, "110153"), (DICOM, "110150")
CUSTODIAN = (PROVENANCE_PARTICIPANT, "custodian")
ASKER, AUTHOR = (PARTICIPATION_TYPE, "IRCP"), (PARTICIPATION_TYPE, "AUT")
ORGANIZATION, AUTHORIZER = (ROLE_CLASS, "PROV"), (SECURITY_ROLE, "authserver")
_PERSON, _SYSTEM_OBJECT = (AUDIT_ENTITY_TYPE, "1"), (AUDIT_ENTITY_TYPE, "2")
_CONSENT, _TOKEN = (RESOURCE_TYPES, "Consent"), (USER_AGENT_TYPES, "UserOauthAgent")
_IP_ADDRESS, _URI = "2", "5"  # http://hl7.org/fhir/network-type


@dataclass(frozen=True)
class Kind:
    """One kind of event: its codes, who takes part in which role, BALP's profile of it (None where none can hold)."""

    type: Pair
    subtype: Pair
    action: str
    agents: tuple[Pair, ...]
    balp: str | None


def _access(code: str, action: str, agents: tuple[Pair, ...], balp: str | None) -> Kind:
    return Kind((AUDIT_EVENT_TYPE, "rest"), (RESTFUL_INTERACTION, code), action, agents, balp)


def _decision(code: str, balp: str | None) -> Kind:
    agents = (APPLICATION, ASKER, ORGANIZATION, AUTHORIZER)
    return Kind((DICOM, "110113"), (AUTHZ_SUBTYPE, code), "E", agents, balp)


def _exchange(code: str, action: str, balp: str) -> Kind:
    return Kind((DICOM, code), (RECORD_LIFECYCLE, "disclose"), action, (SOURCE, DESTINATION), balp)


# In a query and in every write it is the client that is BALP's source of what flows; in a read it is the server.
INTERACTIONS: Mapping[str, Kind] = {
    "read": _access("read", "R", (DESTINATION, SOURCE, ASKER), "PatientRead"),
    "search": _access("search", "E", (SOURCE, DESTINATION, ASKER), None),
    "create": _access("create", "C", (SOURCE, DESTINATION, AUTHOR), "PatientCreate"),
    "update": _access("update", "U", (SOURCE, DESTINATION, AUTHOR), "PatientUpdate"),
    "delete": _access("delete", "D", (APPLICATION, CUSTODIAN, AUTHOR), "PatientDelete"),
}
BY_CONSENT, BY_ROLE = _decision("AuthZ-Consent", "AuthZconsent"), _decision("AuthZ-Role", None)
SENT = _exchange("110106", "R", "PrivacyDisclosure.Source")
RECEIVED = _exchange("110107", "C", "PrivacyDisclosure.Recipient")
KINDS = (*INTERACTIONS.values(), BY_CONSENT, BY_ROLE, SENT, RECEIVED)
_KIND_OF = {(kind.type, kind.subtype): kind for kind in KINDS}


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
    """The AuditEvent of an access. ``entities`` are (reference, its labels), versioned where there is a version; a list
    read names all of them in one event. ``outcome`` is ``PERMITTED`` or ``DENIED``, ``interaction`` a key of
    ``INTERACTIONS``, ``purpose`` a code of v3-ActReason, ``network_address`` that of this machine.

    BALP is claimed for a permitted access to one item of one patient. ValueError for anything that this profile does
    not allow.
    """
    if interaction not in INTERACTIONS:
        raise ValueError("the interaction is one of those of this profile")
    kind = INTERACTIONS[interaction]
    client, server, person = kind.agents
    agents = [
        _machine(client, {"identifier": {"value": "app"}}, network_address),
        _machine(server, {"identifier": {"value": "vault"}}, network_address),
        _agent(person, reference(requester_reference), purpose=purpose),
    ]
    named = [*_patients(patient_reference), *(_data(item, carried) for item, carried in entities)]
    return _event(kind, labels, recorded_at, outcome, agents, named, observer_reference)


def access_decision_event(
    *,
    labels: Sequence[Label],
    recorded_at: datetime,
    requester_reference: str,
    organization_reference: str,
    purpose: str,
    outcome: str,
    patient_reference: str | None,
    consent_references: Sequence[str] = (),
    token_id: str | None = None,
    observer_reference: str = "Device/door",
    network_address: str = "127.0.0.1",
) -> Payload:
    """The AuditEvent of one decision: by a release on file (BALP's AuthZconsent), or by role alone where there is none.

    Its entities are the patient, the releases and the id of the token; what was asked for, with its labels, stands on
    the event of the access. ``organization_reference`` is that of who asked, ``token_id`` a token's ``jti``.
    ValueError for releases without a patient and for anything else that this profile does not allow.
    """
    agents = [
        _machine(APPLICATION, {"identifier": {"value": "app"}}, network_address),
        _agent(ASKER, reference(requester_reference), purpose=purpose),
        _agent(ORGANIZATION, reference(organization_reference)),
        _agent(AUTHORIZER, reference(observer_reference)),
    ]
    releases = [{"what": reference(item), "type": coding(*_CONSENT)} for item in consent_references]
    tokens = [] if token_id is None else [_token(token_id)]
    named = [*_patients(patient_reference), *releases, *tokens]
    kind = BY_CONSENT if consent_references else BY_ROLE
    return _event(kind, labels, recorded_at, outcome, agents, named, observer_reference)


def disclosure_event(
    *,
    labels: Sequence[Label],
    is_sent: bool,
    recorded_at: datetime,
    partner_reference: str,
    partner_address: str,
    purpose: str,
    patient_reference: str,
    entities: Sequence[tuple[str, Sequence[Label]]],
    consent_references: Sequence[str],
    outcome: str = PERMITTED,
    observer_reference: str = "Device/door",
    network_address: str = "127.0.0.1",
) -> Payload:
    """The AuditEvent of an exchange with a partner: ``is_sent`` is ours to it, else its own to us (BALP's
    PrivacyDisclosure). It names the releases under which it happened, so that disclosures can be listed.

    ``partner_address`` is the address of its system, https or an IP address. ValueError for an exchange without a
    release or an item, and for anything else that this profile does not allow.
    """
    us, them = reference(observer_reference), reference(partner_reference)
    giver, taker = (us, them) if is_sent else (them, us)
    addresses = (network_address, partner_address) if is_sent else (partner_address, network_address)
    agents = [
        {**_machine(SOURCE, giver, addresses[0]), "requestor": True, "purposeOfUse": [concept(ACT_REASON, purpose)]},
        _machine(DESTINATION, taker, addresses[1]),
    ]
    releases = [{"what": reference(item), "type": coding(*_CONSENT)} for item in consent_references]
    named = [*_patients(patient_reference), *(_data(item, carried) for item, carried in entities), *releases]
    kind = SENT if is_sent else RECEIVED
    return _event(kind, labels, recorded_at, outcome, agents, named, observer_reference)


def exported(event: Payload) -> Payload:
    """A copy to be handed out: without the labels of what was touched, and without a query or a description, which
    nothing here writes but an older row may hold."""
    hidden = ("securityLabel", "query", "description")
    entities = [{key: value for key, value in item.items() if key not in hidden} for item in event.get("entity", ())]
    return {**event, **({"entity": entities} if "entity" in event else {})}


def _event(
    kind: Kind,
    labels: Sequence[Label],
    recorded_at: datetime,
    outcome: str,
    agents: list[Payload],
    entities: list[Payload],
    observer: str,
) -> Payload:
    made: Payload = {
        "resourceType": "AuditEvent",
        "meta": {"profile": [PROFILE], "security": own_security("access-audit-event", labels)},
        "type": coding(*kind.type),
        "subtype": [coding(*kind.subtype)],
        "action": kind.action,
        "recorded": dates.as_text(recorded_at),
        "outcome": outcome,
        "agent": agents,
        "source": {"observer": reference(observer)},
        **({"entity": entities} if entities else {}),
    }
    if _holds_balp(kind, made):
        made["meta"]["profile"].append(_claim(kind))
    return shaped(made, SHAPE, rules, "AuditEvent")


def _claim(kind: Kind) -> str:
    return f"{BALP}/StructureDefinition/IHE.BasicAudit.{kind.balp}"


def _holds_balp(kind: Kind, event: Payload) -> bool:
    """Success and a patient; of an access one item. A decision may be a refusal."""
    counts = _counts(event)
    if kind.balp is None or counts[_PERSON] != 1:
        return False
    if kind is BY_CONSENT:
        return True
    return event["outcome"] == PERMITTED and (counts[_SYSTEM_OBJECT] == 1 or kind in (SENT, RECEIVED))


def _agent(role: Pair, who: Payload, *, purpose: str | None = None) -> Payload:
    asked = {"purposeOfUse": [concept(ACT_REASON, purpose)]} if purpose is not None else {}
    return {"type": concept(*role), "who": who, "requestor": purpose is not None, **asked}


def _machine(role: Pair, who: Payload, address: str) -> Payload:
    network = {"address": address, "type": _URI if "://" in address else _IP_ADDRESS}
    return {**_agent(role, who), "network": network}


def _patients(patient_reference: str | None) -> list[Payload]:
    if patient_reference is None:
        return []
    return [{"what": reference(patient_reference), "type": coding(*_PERSON), "role": coding(OBJECT_ROLE, "1")}]


def _data(item: str, labels: Sequence[Label]) -> Payload:
    entity: Payload = {"what": reference(item), "type": coding(*_SYSTEM_OBJECT), "role": coding(OBJECT_ROLE, "4")}
    if labels:
        entity["securityLabel"] = as_security(labels)
    return entity


def _token(token_id: str) -> Payload:
    return {"what": {"identifier": {"value": f"{TOKEN_PREFIX}{token_id}"}}, "type": coding(*_TOKEN)}


_ADDRESS = shapes.matching(
    re.compile(r"[A-Za-z0-9._~:/\[\]-]{1,200}"), "An IP address or a plain https address is expected here."
)
_TOKEN_ID = shapes.matching(
    re.compile(re.escape(TOKEN_PREFIX) + r"[A-Za-z0-9._~-]{1,128}"),
    f"A token's id after {TOKEN_PREFIX} is expected here.",
)
_BALP_CLAIMS = tuple(_claim(kind) for kind in KINDS if kind.balp is not None)
_PEOPLE = ("Practitioner", "PractitionerRole", "Organization", "Device", "Patient")
_ITEMS = ("Patient", "Observation", "ServiceRequest", "Task", "Consent", "Appointment", "Encounter", "Practitioner")
_AGENT = Record(
    {
        "type!": shapes.concept(*dict.fromkeys(role for kind in KINDS for role in kind.agents)),
        "who!": Record(
            {
                "reference": shapes.reference(*_PEOPLE, urn=False).fields["reference"],
                "identifier": Record({"value!": shapes.code("app", "vault")}),
            }
        ),
        "requestor!": shapes.Flag(),
        "network": Record({"address!": _ADDRESS, "type!": shapes.code(_IP_ADDRESS, _URI)}),
        "purposeOfUse": Many(
            Record({"coding!": Many(Record({"system!": shapes.code(ACT_REASON), "code!": shapes.TOKEN}))})
        ),
    }
)
_ENTITY = Record(
    {
        "what!": Record(
            {
                "reference": shapes.reference(*_ITEMS, urn=False).fields["reference"],
                "identifier": Record({"value!": _TOKEN_ID}),
            }
        ),
        "type!": shapes.coding(_PERSON, _SYSTEM_OBJECT, _CONSENT, _TOKEN),
        "role": shapes.coding((OBJECT_ROLE, "1"), (OBJECT_ROLE, "4")),
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
        "type!": shapes.coding(*dict.fromkeys(kind.type for kind in KINDS)),
        "subtype!": Many(shapes.coding(*dict.fromkeys(kind.subtype for kind in KINDS))),
        "action!": shapes.code(*sorted({kind.action for kind in KINDS})),
        "recorded!": shapes.INSTANT,
        "outcome!": shapes.code(PERMITTED, DENIED),
        "agent!": Many(_AGENT, 2, 4),
        "source!": Record({"observer!": shapes.reference("Device", urn=False)}),
        "entity": Many(_ENTITY, 1, 200),
    }
)


def rules(payload: Payload, path: str, report: Report) -> None:
    """Subtype, action, agents and entities are those of one kind, and BALP is claimed only where it holds."""
    kind = _KIND_OF.get((_pair(payload["type"]), _pair(payload["subtype"][0])))
    if kind is None:
        report.add("invariant", f"{path}.subtype[0]", "The subtype belongs to the type (wae-2).")
        return
    if payload["action"] != kind.action:
        report.add("invariant", f"{path}.action", f"The action of this kind of event is {kind.action} (wae-1).")
    _check_agents(payload, kind, path, report)
    _check_entities(payload, kind, path, report)
    claims = payload["meta"]["profile"]
    if (
        PROFILE not in claims
        or any(claim not in (PROFILE, _claim(kind)) for claim in claims)
        or len(set(claims)) < len(claims)
    ):
        report.add("invariant", f"{path}.meta.profile", "The profiles are ours and the one of BALP for this kind.")
    elif len(claims) > 1 and not _holds_balp(kind, payload):
        report.add("invariant", f"{path}.meta.profile", "BALP is claimed only where its profile holds (wae-7).")


def _check_agents(payload: Payload, kind: Kind, path: str, report: Report) -> None:
    agents = payload["agent"]
    by_role = {_pair(agent["type"]["coding"][0]): agent for agent in agents}
    if len(agents) != len(kind.agents) or set(by_role) != set(kind.agents):
        report.add("invariant", f"{path}.agent", "The agents are those of this kind of event, each once (wae-3).")
        return
    asks = AUTHOR if AUTHOR in by_role else ASKER if ASKER in by_role else SOURCE
    for role, agent in by_role.items():
        if agent["requestor"] is not (role == asks) or ("purposeOfUse" in agent) is not (role == asks):
            report.add("invariant", f"{path}.agent", "The one who asks, and nobody else, has a purpose (wae-5).")
        if ("network" in agent) is not (role in _MACHINES):
            report.add("invariant", f"{path}.agent", "A machine, and nobody else, has an address (wae-5).")
        if len(agent["who"]) != 1:
            report.add(
                "invariant", f"{path}.agent", "An agent is named by a reference or by an identifier, not by both."
            )
    records = {BY_CONSENT: AUTHORIZER, BY_ROLE: AUTHORIZER, SENT: SOURCE, RECEIVED: DESTINATION}.get(kind)
    if records is not None and by_role[records]["who"] != payload["source"]["observer"]:
        report.add("invariant", f"{path}.source.observer", "The observer is the agent that records (wae-6).")


_MACHINES = frozenset({DESTINATION, SOURCE, APPLICATION, CUSTODIAN})
# Entity type -> role, the element of ``what``, and whether labels may stand there.
_FORMS: Mapping[Pair, tuple[Pair | None, str, bool]] = {
    _PERSON: ((OBJECT_ROLE, "1"), "reference", False),
    _SYSTEM_OBJECT: ((OBJECT_ROLE, "4"), "reference", True),
    _CONSENT: (None, "reference", False),
    _TOKEN: (None, "identifier", False),
}


def _check_entities(payload: Payload, kind: Kind, path: str, report: Report) -> None:
    for position, entity in enumerate(payload.get("entity", ())):
        role, element, has_labels = _FORMS[_pair(entity["type"])]
        carried = _pair(entity["role"]) if "role" in entity else None
        if carried != role or set(entity["what"]) != {element} or ("securityLabel" in entity and not has_labels):
            report.add(
                "invariant", f"{path}.entity[{position}]", "The entity has the form of its type: role, what and labels."
            )
        elif element == "reference" and not _is_of(entity):
            report.add("invariant", f"{path}.entity[{position}].what", "The entity is of another type than it says.")
    counts = _counts(payload)
    if kind in (BY_CONSENT, BY_ROLE):
        is_whole = counts[_SYSTEM_OBJECT] == 0 and counts[_TOKEN] <= 1
        is_whole &= counts[_PERSON] == 1 if kind is BY_CONSENT else counts[_PERSON] <= 1
        is_whole &= (counts[_CONSENT] > 0) is (kind is BY_CONSENT)
    elif kind in (SENT, RECEIVED):
        is_whole = counts[_PERSON] == 1 and counts[_SYSTEM_OBJECT] > 0 and counts[_CONSENT] > 0 and counts[_TOKEN] == 0
    else:
        is_whole = counts[_PERSON] <= 1 and counts[_CONSENT] == counts[_TOKEN] == 0
    if not is_whole:
        report.add("invariant", f"{path}.entity", "The entities are those of this kind of event (wae-4).")


def _is_of(entity: Payload) -> bool:
    wanted = {_PERSON: "Patient", _CONSENT: "Consent"}.get(_pair(entity["type"]))
    return wanted is None or entity["what"]["reference"].startswith(f"{wanted}/")


def _counts(event: Mapping[str, Any]) -> dict[Pair, int]:
    found = dict.fromkeys(_FORMS, 0)
    for entity in event.get("entity", ()):
        found[_pair(entity["type"])] += 1
    return found


def _pair(item: Mapping[str, str]) -> Pair:
    return item["system"], item["code"]

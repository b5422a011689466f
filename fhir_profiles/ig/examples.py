"""Writes the guide's examples with our own builders: valid ones for SUSHI, invalid ones beside it.

``python fhir_profiles/ig/examples.py`` rewrites input/examples and invalid/. The checks compare what is committed with
what this writes, so an example never says something that we do not send. People and programs are made up.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from fhir_profiles.access_audit_event import DENIED, access_audit_event
from fhir_profiles.disclosure_observation import KINDS, disclosure_observation
from fhir_profiles.label_provenance import label_provenance
from fhir_profiles.partner_endpoint import partner_endpoint
from fhir_profiles.partner_organization import partner_organization
from fhir_profiles.partner_service import partner_service
from fhir_profiles.partnership_mou import partnership_mou
from fhir_profiles.proposed_appointment import (
    booked_appointment,
    cancelled_appointment,
    ehr_appointment_copy,
    proposed_appointment,
)
from fhir_profiles.referral_bundle import referral_bundle
from fhir_profiles.referral_patient import PROFILE as PATIENT_PROFILE
from fhir_profiles.referral_patient import referral_patient
from fhir_profiles.referral_service_request import referral_service_request
from fhir_profiles.referral_task import appointment_output, referral_task, status_reason
from fhir_profiles.release_consent import release_consent
from fhir_profiles.safe_contact import Hours, safe_contact
from fhir_profiles.security_labels import as_security, labels_for
from fhir_profiles.terminology import DATA_ABSENT_REASON, ID_TASK, POLICY_RELEASE_OUT, B, Payload, profile

HERE = Path(__file__).resolve().parent
VALID, INVALID = HERE / "input" / "examples", HERE / "invalid"
SIGNED, ENDS = date(2026, 10, 1), date(2026, 10, 31)
OPENS = datetime(2026, 10, 2, 13, tzinfo=UTC)
DUE = datetime(2026, 10, 2, 22, tzinfo=UTC)
CLINIC, PROGRAM, SERVICE = "Organization/hc1", "Organization/harbor", "HealthcareService/nextday"
THEIRS = "https://dsv.example/id"
BASES = {"outbound": "https://clinic.example/fhir", "inbound": "https://dsv.example/fhir"}
URN = "urn:uuid:00000000-0000-4000-8000-00000000000{}"
NAMES = ("Patient", "Consent", "ServiceRequest", "Task", "Appointment", "Consent")


# Parts of a referral ---------------------------------------------------------------------------------------------


def _contact(meet: str = "survivor-calls", **more: Any) -> Payload:
    return safe_contact(meet=meet, asked_on=SIGNED, expires_on=ENDS, **more)


def _safe_number() -> Payload:
    return _contact(
        "safe-contact",
        telecom="555-0142",
        voicemail="none",
        say_as="the library",
        hours=Hours(("mon", "tue"), "09:00", "12:00"),
        language="es",
        interpreter=True,
        who_may_answer="self",
    )


def _patient(id_: str | None, value: str = "x-81") -> Payload:
    made = referral_patient(
        labels=labels_for("referral-patient"), id=id_, identifier_system=THEIRS, identifier_value=value, alias="Robin"
    )
    return {**made, "meta": {"profile": [PATIENT_PROFILE], **made["meta"]}}


def _request(id_: str | None, patient: str, consent: str, asker: str, performer: str, contact: Payload) -> Payload:
    return referral_service_request(
        labels=labels_for("referral-service-request"),
        id=id_,
        patient_reference=patient,
        requester_reference=asker,
        performer_reference=performer,
        consent_reference=consent,
        safe_contact=contact,
        authored_at=SIGNED,
        needs=["medical-visit", "transport"],
    )


def _task(id_: str | None, patient: str, request: str, asker: str, owner: str, **more: Any) -> Payload:
    return referral_task(
        labels=labels_for("referral-task"),
        id=id_,
        identifier_system=ID_TASK if asker == CLINIC else THEIRS,
        identifier_value="t-81",
        service_request_reference=request,
        patient_reference=patient,
        requester_reference=asker,
        owner_reference=owner,
        authored_at=SIGNED,
        due_at=DUE,
        **more,
    )


def _release(id_: str | None, patient: str, giver: str, receiver: str, items: list[str], **more: Any) -> Payload:
    return release_consent(
        labels=labels_for("release-consent"),
        id=id_,
        patient_reference=patient,
        from_organization=giver,
        to_organization=receiver,
        item_references=items,
        signed_on=SIGNED,
        starts_on=SIGNED,
        ends_on=ENDS,
        source_identifier="roi-81" if giver == PROGRAM else "roi-7",
        policy_uri=POLICY_RELEASE_OUT if giver == CLINIC else "https://www.ecfr.gov/current/title-28/section-90.4",
        **{"signer": "self", **more},
    )


def _visit(id_: str | None, patient: str, request: str) -> Payload:
    return proposed_appointment(
        labels=labels_for("proposed-appointment"),
        id=id_,
        patient_reference=patient,
        service_reference=SERVICE,
        based_on=request,
        requested_start=OPENS,
        requested_end=DUE,
    )


def _bundle(direction: str, form: str) -> Payload:
    """One referral. ``form``: "urn" addresses without ids, or "http" addresses with the id in each resource."""
    is_inbound = direction == "inbound"
    asker, owner = (PROGRAM, CLINIC) if is_inbound else (CLINIC, PROGRAM)
    ids = [f"00000000-0000-4000-8000-0000000000a{n}" for n in range(1, 7)]
    if form == "urn":
        full = here = [URN.format(n) for n in range(1, 7)]
    else:
        here = [f"{name}/{id_}" for name, id_ in zip(NAMES, ids, strict=True)]
        full = [f"{BASES[direction]}/{local}" for local in here]
    own = [None] * 6 if form == "urn" else ids
    items = here[2:4]
    parts = [
        _patient(own[0]),
        _release(own[1], here[0], asker, owner, items),
        _request(own[2], here[0], here[1], asker, SERVICE if is_inbound else PROGRAM, _safe_number()),
        _task(own[3], here[0], here[2], asker, owner),
    ]
    if is_inbound:
        parts += [
            _visit(own[4], here[0], here[2]),
            _release(own[5], here[0], CLINIC, PROGRAM, items, tier="appointment"),
        ]
    made = referral_bundle(
        labels=labels_for("referral-bundle"),
        identifier_system=THEIRS if is_inbound else f"{B}/id/bundle",
        identifier_value="b-81",
        entries=list(zip(full, parts, strict=False)),
    )
    return {**made, "id": f"{direction}-{form}"}


# Valid -----------------------------------------------------------------------------------------------------------


def _with_id(payload: Payload, id_: str) -> Payload:
    return {"resourceType": payload["resourceType"], "id": id_, **{k: v for k, v in payload.items() if k != "id"}}


def _disclosures() -> Iterator[tuple[str, Payload]]:
    for kind in KINDS:
        made = disclosure_observation(
            labels=labels_for("disclosure-observation"),
            patient_reference="Patient/p1",
            performer_reference="Practitioner/d1",
            recorded_at=SIGNED,
            kind=kind,
            identifier="o-1",
        )
        yield "disclosure-observation", _with_id(made, kind)


def _tasks() -> Iterator[tuple[str, Payload]]:
    parts = ("Patient/p1", "ServiceRequest/s1", CLINIC, PROGRAM)
    yield "referral-task", _task("task-requested", *parts)
    yield "referral-task", _task("task-contact-made", *parts, status="in-progress", business_status="contact-made")
    refused = _task("task-rejected", *parts, status="rejected")
    yield "referral-task", {**refused, "statusReason": status_reason("no-capacity")}
    booked = _task("task-booked", "Patient/p1", "ServiceRequest/s1", PROGRAM, CLINIC, status="accepted")
    yield "referral-task", {**booked, "output": [appointment_output("Appointment/a1")]}


def _requests() -> Iterator[tuple[str, Payload]]:
    contacts = {
        "request-survivor-calls": _contact(code_word="blue"),
        "request-safe-number": _safe_number(),
        "request-on-site": _contact("on-site", at=OPENS),
    }
    for id_, contact in contacts.items():
        yield "referral-service-request", _request(id_, "Patient/p1", "Consent/c1", CLINIC, PROGRAM, contact)


def _releases() -> Iterator[tuple[str, Payload]]:
    items = ["ServiceRequest/s1", "Task/t1"]
    yield "release-consent", _release("release-a", "Patient/p1", CLINIC, PROGRAM, items)
    address = "https://clinic.example/fhir/Task/t1"
    yield "release-consent", _release("release-b", "Patient/p9", PROGRAM, CLINIC, [address], tier="contact")
    representative = _release(
        "release-b-representative",
        "Patient/p9",
        PROGRAM,
        CLINIC,
        items,
        tier="outcome",
        signer="representative-not-abuser",
    )
    yield "release-consent", representative


def _visits() -> Iterator[tuple[str, Payload]]:
    proposed = _visit("visit-proposed", "Patient/p1", "ServiceRequest/s1")
    yield "proposed-appointment", proposed
    booked = booked_appointment(proposed, OPENS, OPENS.replace(minute=30))
    yield "proposed-appointment", _with_id(booked, "visit-booked")
    yield "proposed-appointment", _with_id(cancelled_appointment(proposed, "prov"), "visit-cancelled")
    copy = ehr_appointment_copy(OPENS, OPENS.replace(minute=30), SERVICE, "Patient/p1")
    yield "appointment-ehr-copy", _with_id(copy, "visit-in-the-schedule")


def _directory() -> Iterator[tuple[str, Payload]]:
    yield (
        "partner-organization",
        partner_organization(id="harbor", identifier_value="7", name="Harbor Program", phone="555-0100"),
    )
    for id_, has_capacity in (("harbor-line", True), ("harbor-line-full", False)):
        made = partner_service(id=id_, organization_reference=PROGRAM, name="Advocate line", has_capacity=has_capacity)
        yield "partner-service", made
    yield (
        "partner-endpoint",
        partner_endpoint(id="harbor-fhir", organization_reference=PROGRAM, address=BASES["inbound"]),
    )
    agreement = partnership_mou(
        id="mou-7",
        organization_reference=CLINIC,
        participating_reference=PROGRAM,
        document_reference="DocumentReference/mou7",
        acknowledge_minutes=30,
        starts_on=date(2026, 7, 1),
        ends_on=date(2027, 6, 30),
        endpoint_reference="Endpoint/harbor-fhir",
    )
    yield "partnership-mou", agreement


def _records() -> Iterator[tuple[str, Payload]]:
    touched = [("Task/t1/_history/2", labels_for("referral-task"))]
    for id_, interaction, outcome in (("access-read", "read", "0"), ("access-denied", "search", DENIED)):
        made = access_audit_event(
            labels=labels_for("access-audit-event"),
            interaction=interaction,
            recorded_at=OPENS,
            requester_reference="PractitionerRole/r1",
            purpose="COC",
            entities=touched,
            patient_reference="Patient/p1" if outcome != DENIED else None,
            outcome=outcome,
        )
        yield "access-audit-event", _with_id(made, id_)
    for id_, change, before in (
        ("label-raised", "UPGRDLABEL", "Observation/o1/_history/1"),
        ("label-lowered", "DOWNGRDLABEL", "Observation/o1/_history/2"),
    ):
        made = label_provenance(
            labels=labels_for("label-provenance"),
            target_version=f"Observation/o1/_history/{int(before[-1]) + 1}",
            previous_version=before,
            recorded_at=OPENS,
            change=change,
            agent_reference="Device/labeler" if change == "UPGRDLABEL" else "Practitioner/officer",
            consent_reference="Consent/c1" if change == "DOWNGRDLABEL" else None,
        )
        yield "label-provenance", _with_id(made, id_)
    yield "program-measure-report", _counts()


def _counts() -> Payload:
    masked = [{"extension": [{"url": DATA_ABSENT_REASON, "valueCode": "masked"}]}]
    return {
        "resourceType": "MeasureReport",
        "id": "counts-of-september",
        "meta": {
            "profile": [profile("program-measure-report")],
            "security": as_security(labels_for("program-measure-report")),
        },
        "status": "complete",
        "type": "summary",
        "measure": f"{B}/Measure/program",
        "period": {"start": "2026-09-01", "end": "2026-09-30"},
        "group": [
            {"code": {"text": "Referrals offered"}, "population": [{"count": 42}]},
            {"code": {"text": "Next clinic day met"}, "population": masked},
        ],
    }


def valid() -> dict[str, tuple[str, Payload]]:
    """File name -> (profile id, resource), in a fixed order."""
    made = [*_disclosures(), *_requests(), *_tasks(), *_releases(), *_visits(), *_directory(), *_records()]
    made.append(("referral-patient", _patient("robin")))
    made += [("referral-bundle", _bundle(way, form)) for way in ("outbound", "inbound") for form in ("urn", "http")]
    return {f"{payload['resourceType']}-{payload['id']}.json": (profile_id, payload) for profile_id, payload in made}


# Invalid ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Broken:
    """One valid example with one thing wrong: where the error must be found, and what is wrong in words."""

    profile: str
    name: str
    expression: str
    what: str
    payload: Payload


Change = Callable[[Payload], object]


def _set(*way: str | int, to: Any) -> Change:
    def change(payload: Any) -> None:
        for step in way[:-1]:
            payload = payload[step]
        payload[way[-1]] = to

    return change


def _drop(*way: str | int) -> Change:
    def change(payload: Any) -> None:
        for step in way[:-1]:
            payload = payload[step]
        del payload[way[-1]]

    return change


def _add(*way: str | int, item: Any) -> Change:
    def change(payload: Any) -> None:
        for step in way:
            payload = payload[step]
        payload.append(item)

    return change


def _part(*way: str | int, url: str, to: Any = None) -> Change:
    """Replace, or without ``to`` remove, the part of an extension that has this url."""

    def change(payload: Any) -> None:
        for step in way:
            payload = payload[step]
        kept = [item for item in payload if item["url"] != url]
        payload[:] = kept if to is None else [*kept, {"url": url, **to}]

    return change


_R = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}
_N = {**_R, "code": "N"}
_NARRATIVE = {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">She told me</div>'}
_CONTACT = ("extension", 0, "extension")

# profile -> (valid example, [(name, expression, what is wrong, change)])
_WRONG: dict[str, tuple[str, list[tuple[str, str, str, Change]]]] = {
    "disclosure-observation": (
        "Observation-violence-disclosed.json",
        [
            ("narrative", "Observation", "A narrative is never sent.", _set("text", to=_NARRATIVE)),
            (
                "value-false",
                "Observation.value",
                "A disclosure says yes; there is no record of a no.",
                _set("valueBoolean", to=False),
            ),
            (
                "kind-unknown",
                "Observation.code.coding[0]",
                "The kind is one of the value set.",
                _set("code", "coding", 0, "code", to="other"),
            ),
            ("no-performer", "Observation.performer", "Who recorded it is required.", _drop("performer")),
            (
                "category-of-another-kind",
                "Observation.category",
                "The Gravity category follows the kind.",
                _set("category", 1, "coding", 0, "code", to="elder-abuse"),
            ),
        ],
    ),
    "referral-service-request": (
        "ServiceRequest-request-survivor-calls.json",
        [
            ("reason", "ServiceRequest", "A referral gives no reason.", _set("reasonCode", to=[{"text": "abuse"}])),
            (
                "person-as-requester",
                "ServiceRequest.requester.reference",
                "The requester is an organization.",
                _set("requester", "reference", to="Practitioner/d1"),
            ),
            (
                "display",
                "ServiceRequest.subject",
                "A reference carries no name.",
                _set("subject", "display", to="Robin R."),
            ),
            (
                "contact-not-prohibited",
                "ServiceRequest.orderDetail",
                "Without a safe number, contact is prohibited.",
                _drop("orderDetail", 0),
            ),
            ("no-safe-contact", "ServiceRequest.extension", "How the two will meet is required.", _drop("extension")),
        ],
    ),
    "safe-contact": (
        "ServiceRequest-request-safe-number.json",
        [
            (
                "no-way-to-meet",
                "ServiceRequest.extension[0].extension",
                "How the two will meet is always chosen.",
                _part(*_CONTACT, url="meet"),
            ),
            (
                "number-without-safe-contact",
                "ServiceRequest.extension[0]",
                "A number is given only when they meet by safe contact.",
                _part(*_CONTACT, url="meet", to={"valueCode": "on-site"}),
            ),
            (
                "longer-than-30-days",
                "ServiceRequest.extension[0]",
                "A safe contact ends within 30 days.",
                _part(*_CONTACT, url="expiresOn", to={"valueDate": "2026-11-15"}),
            ),
            (
                "mail-address",
                "ServiceRequest.extension[0].extension[12].value.system",
                "The safe number is a phone.",
                _part(*_CONTACT, url="telecom", to={"valueContactPoint": {"system": "email", "value": "555-0142"}}),
            ),
        ],
    ),
    "referral-task": (
        "Task-task-requested.json",
        [
            (
                "status-received",
                "Task.status",
                "Received is an acknowledgement, never a status.",
                _set("status", to="received"),
            ),
            ("description", "Task", "No free text.", _set("description", to="Call her mother")),
            (
                "no-deadline",
                "Task.restriction.period.end",
                "Until when is required.",
                _set("restriction", "period", to={"start": "2026-10-01"}),
            ),
            (
                "same-organization",
                "Task.owner",
                "Requester and owner are two organizations.",
                _set("owner", "reference", to=CLINIC),
            ),
            (
                "status-reason-without-code",
                "Task.statusReason.coding",
                "A reason is a code.",
                _set("statusReason", to={"text": "No capacity today"}),
            ),
        ],
    ),
    "release-consent": (
        "Consent-release-a.json",
        [
            ("deny", "Consent.provision.type", "A release permits.", _set("provision", "type", to="deny")),
            (
                "two-recipients",
                "Consent.provision.actor",
                "One release, one recipient.",
                lambda p: p["provision"]["actor"].append(deepcopy(p["provision"]["actor"][0])),
            ),
            (
                "unknown-signer",
                "Consent.extension[0].value",
                "The one who harms may never sign.",
                _set("extension", 0, "valueCode", to="partner"),
            ),
            (
                "longer-than-90-days",
                "Consent.provision.period",
                "A release lasts 90 days at most.",
                _set("provision", "period", "end", to="2027-02-01"),
            ),
            (
                "recipient-is-discloser",
                "Consent.provision.actor[0].reference",
                "A release has one direction.",
                _set("organization", 0, "reference", to=PROGRAM),
            ),
            ("no-end", "Consent.provision.period.end", "A release has an end.", _drop("provision", "period", "end")),
        ],
    ),
    "proposed-appointment": (
        "Appointment-visit-proposed.json",
        [
            ("comment", "Appointment", "No comment, reason or description.", _set("comment", to="Bring documents")),
            (
                "telling-type",
                "Appointment.serviceType[0].text",
                "The type is neutral.",
                _set("serviceType", 0, "text", to="Safety planning"),
            ),
            (
                "pending-without-time",
                "Appointment.status",
                "Pending is not a status here.",
                _set("status", to="pending"),
            ),
            (
                "start-without-end",
                "Appointment",
                "Start and end come together (app-2).",
                _set("start", to="2026-10-02T13:00:00Z"),
            ),
            (
                "organization-as-actor",
                "Appointment.participant[1].actor.reference",
                "An actor is never an Organization (R4).",
                _set("participant", 1, "actor", "reference", to=CLINIC),
            ),
        ],
    ),
    "appointment-ehr-copy": (
        "Appointment-visit-in-the-schedule.json",
        [
            (
                "based-on",
                "Appointment",
                "A copy leads to no referral.",
                _set("basedOn", to=[{"reference": "ServiceRequest/s1"}]),
            ),
            (
                "sensitive-label",
                "Appointment.meta.security",
                "A copy carries R at most.",
                _add(
                    "meta",
                    "security",
                    item={"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "SDV"},
                ),
            ),
            ("no-end", "Appointment.end", "A visit in a schedule has an end.", _drop("end")),
        ],
    ),
    "referral-patient": (
        "Patient-robin.json",
        [
            ("birth-date", "Patient", "No birth date.", _set("birthDate", to="1990-01-01")),
            ("legal-name", "Patient.name[0]", "The name to use, no other.", _set("name", 0, "family", to="Roe")),
            ("gender", "Patient.gender", "Gender is unknown.", _set("gender", to="female")),
        ],
    ),
    "referral-bundle": (
        "Bundle-inbound-urn.json",
        [
            (
                "no-release",
                "Bundle.entry",
                "Without a release nothing is received.",
                lambda p: p["entry"].__delitem__(slice(1, None, 4)),
            ),
            ("batch", "Bundle.type", "A referral is a transaction.", _set("type", to="batch")),
            (
                "extra-resource",
                "Bundle.entry[4].resource",
                "Only the five types.",
                _set(
                    "entry", 4, "resource", to={"resourceType": "Observation", "status": "final", "code": {"text": "x"}}
                ),
            ),
            ("two-levels", "Bundle.meta.security", "One confidentiality code.", _add("meta", "security", item=_R)),
            (
                "already-accepted",
                "Bundle.entry[3].resource.status",
                "A new referral begins as requested.",
                _set("entry", 3, "resource", "status", to="accepted"),
            ),
            (
                "address-of-a-person",
                "Bundle.entry[0].resource",
                "No address.",
                _set("entry", 0, "resource", "address", to=[{"city": "X"}]),
            ),
        ],
    ),
    "partner-organization": (
        "Organization-harbor.json",
        [
            ("address", "Organization", "A location can kill.", _set("address", to=[{"line": ["12 Hidden Lane"]}])),
            (
                "mail",
                "Organization.telecom[0].system",
                "The public line is a phone.",
                _set("telecom", 0, "system", to="email"),
            ),
            ("no-name", "Organization.name", "A name is required.", _drop("name")),
        ],
    ),
    "partner-service": (
        "HealthcareService-harbor-line.json",
        [
            ("suspended", "HealthcareService.active", "A suspended partner is unpublished.", _set("active", to=False)),
            ("location", "HealthcareService", "No location.", _set("location", to=[{"reference": "Location/1"}])),
            ("no-capacity-status", "HealthcareService.extension", "Room or none is required.", _drop("extension")),
            (
                "no-sdoh",
                "HealthcareService.category[0].coding",
                "The category names sdoh.",
                _drop("category", 0, "coding", 0),
            ),
        ],
    ),
    "partner-endpoint": (
        "Endpoint-harbor-fhir.json",
        [
            ("http", "Endpoint.address", "The address is https.", _set("address", to="http://dsv.example/fhir")),
            ("header", "Endpoint", "No header: it would carry a secret.", _set("header", to=["Authorization: x"])),
            ("off", "Endpoint.status", "A partner without FHIR has no Endpoint.", _set("status", to="off")),
        ],
    ),
    "partnership-mou": (
        "OrganizationAffiliation-mou-7.json",
        [
            (
                "one-party",
                "OrganizationAffiliation.participatingOrganization",
                "An agreement has two parties.",
                _set("participatingOrganization", "reference", to=CLINIC),
            ),
            (
                "no-document",
                "OrganizationAffiliation.extension[0].extension",
                "The signed paper is named.",
                _part(*_CONTACT, url="document"),
            ),
            (
                "ends-before-it-starts",
                "OrganizationAffiliation.period",
                "A period runs forward (per-1).",
                _set("period", "end", to="2026-01-01"),
            ),
        ],
    ),
    "access-audit-event": (
        "AuditEvent-access-read.json",
        [
            ("action-of-another-kind", "AuditEvent.action", "The action fits the interaction.", _set("action", to="D")),
            ("no-labels", "AuditEvent.meta.security", "An audit row is labelled.", _drop("meta", "security")),
            (
                "query",
                "AuditEvent.entity[1]",
                "No query: it names people.",
                _set("entity", 1, "query", to="bmFtZT1Sb2U="),
            ),
            ("two-agents", "AuditEvent.agent", "Who asked, the application and the vault.", _drop("agent", 0)),
        ],
    ),
    "label-provenance": (
        "Provenance-label-raised.json",
        [
            (
                "no-version",
                "Provenance.target[0].reference",
                "The target is one version.",
                _set("target", 0, "reference", to="Observation/o1"),
            ),
            (
                "role-of-another-change",
                "Provenance.agent[0].role",
                "The role fits the change.",
                _set("agent", 0, "role", 0, "coding", 0, "code", to="DECLASSIFIER"),
            ),
            ("no-reason", "Provenance.reason", "The reason is labelling.", _drop("reason")),
            (
                "below-restricted",
                "Provenance.meta.security",
                "Never weaker than its target.",
                _set("meta", "security", 0, to=_N),
            ),
        ],
    ),
    "program-measure-report": (
        "MeasureReport-counts-of-september.json",
        [
            (
                "small-count",
                "MeasureReport.group[0].population[0]",
                "A count from 1 to 10 is masked.",
                _set("group", 0, "population", 0, "count", to=7),
            ),
            ("subject", "MeasureReport", "Nobody is in it.", _set("subject", to={"reference": "Patient/p1"})),
            ("one-week", "MeasureReport", "A month or more.", _set("period", "end", to="2026-09-07")),
            ("individual", "MeasureReport.type", "A summary.", _set("type", to="individual")),
        ],
    ),
}


def invalid() -> list[Broken]:
    """Every invalid example, in a fixed order."""
    good = valid()
    made = []
    for profile_id, (source, wrongs) in _WRONG.items():
        for name, expression, what, change in wrongs:
            payload = deepcopy(good[source][1])
            change(payload)
            payload = {**payload, "id": f"{profile_id}-{name}"[:64]}
            made.append(Broken(profile_id, name, expression, what, payload))
    return made


def files() -> dict[Path, str]:
    """Every file this writes, with its text."""
    made = {VALID / name: _text(payload) for name, (_, payload) in valid().items()}
    index = []
    for broken in invalid():
        path = INVALID / broken.profile / f"{broken.name}.json"
        made[path] = _text(broken.payload)
        held = "referral-service-request" if broken.profile == "safe-contact" else broken.profile
        index.append(
            {
                "file": path.relative_to(INVALID).as_posix(),
                "profile": held,
                "expression": broken.expression,
                "what": broken.what,
            }
        )
    made[INVALID / "index.json"] = _text(index)
    return made


def _text(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Write them all and remove what is no longer among them."""
    made = files()
    for old in {*VALID.glob("*.json"), *INVALID.rglob("*.json")} - made.keys():
        old.unlink()
    for path, text in made.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

"""The guide's valid examples, made by our own builders. People and programs are made up."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

from fhir_profiles.access_audit_event import (
    DENIED,
    INTERACTIONS,
    PERMITTED,
    access_audit_event,
    access_decision_event,
    disclosure_event,
)
from fhir_profiles.appointment_ehr_copy import appointment_ehr_copy
from fhir_profiles.disclosure_observation import KINDS, disclosure_observation
from fhir_profiles.label_changes import LabelledItem, lower_labels, raise_labels, remove_sensitivity
from fhir_profiles.partner_endpoint import partner_endpoint
from fhir_profiles.partner_organization import partner_organization
from fhir_profiles.partner_service import partner_service
from fhir_profiles.partnership_mou import partnership_mou
from fhir_profiles.program_measure_report import program_measure_report
from fhir_profiles.proposed_appointment import (
    booked_appointment,
    cancelled_appointment,
    proposed_appointment,
)
from fhir_profiles.referral_bundle import referral_bundle
from fhir_profiles.referral_patient import PROFILE as PATIENT_PROFILE
from fhir_profiles.referral_patient import referral_patient
from fhir_profiles.referral_service_request import referral_service_request
from fhir_profiles.referral_task import appointment_output, referral_task, status_reason
from fhir_profiles.release_consent import release_consent
from fhir_profiles.safe_contact import Hours, safe_contact
from fhir_profiles.security_labels import labels_for
from fhir_profiles.terminology import ID_TASK, POLICY_PROGRAM, POLICY_RELEASE_OUT, B, Payload

SIGNED, ENDS = date(2026, 10, 1), date(2026, 10, 31)
OPENS = datetime(2026, 10, 2, 13, tzinfo=UTC)
DUE = datetime(2026, 10, 2, 22, tzinfo=UTC)
CLINIC, PROGRAM, SERVICE = "Organization/hc1", "Organization/harbor", "HealthcareService/nextday"
THEIRS = "https://dsv.example/id"
BASES = {"outbound": "https://clinic.example/fhir", "inbound": "https://dsv.example/fhir"}
URN = "urn:uuid:00000000-0000-4000-8000-00000000000{}"
NAMES = ("Patient", "Consent", "ServiceRequest", "Task", "Appointment", "Consent")


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


def _request(
    id_: str | None, patient: str, consent: str, asker: str, performer: str, contact: Payload, **more: Any
) -> Payload:
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
        **more,
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
        policy_uri=POLICY_RELEASE_OUT if giver == CLINIC else POLICY_PROGRAM,
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
        more = {"priority": "urgent"} if id_ == "request-on-site" else {}
        yield "referral-service-request", _request(id_, "Patient/p1", "Consent/c1", CLINIC, PROGRAM, contact, **more)


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
    copy = appointment_ehr_copy(
        labels=labels_for("appointment-ehr-copy"),
        start=OPENS,
        end=OPENS.replace(minute=30),
        service_reference=SERVICE,
        patient_reference="Patient/p1",
    )
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
    for id_, made in (*_accesses(), *_decisions(), *_exchanges()):
        yield "access-audit-event", _with_id(made, id_)
    for id_, made in _label_changes():
        yield "label-provenance", _with_id(made, id_)
    counts = program_measure_report(
        labels=labels_for("program-measure-report"),
        id="counts-of-september",
        starts_on=date(2026, 9, 1),
        ends_on=date(2026, 9, 30),
        counts=[("Referrals offered", 42), ("Next clinic day met", None)],
    )
    yield "program-measure-report", counts


_TOUCHED = [("Task/t1/_history/2", labels_for("referral-task"))]
_AUDITED = labels_for("access-audit-event")


def _accesses() -> Iterator[tuple[str, Payload]]:
    for interaction in INTERACTIONS:
        is_denied = interaction == "search"
        made = access_audit_event(
            labels=_AUDITED,
            interaction=interaction,
            recorded_at=OPENS,
            requester_reference="PractitionerRole/r1",
            purpose="COC",
            entities=_TOUCHED,
            patient_reference=None if is_denied else "Patient/p1",
            outcome=DENIED if is_denied else PERMITTED,
        )
        yield "access-denied" if is_denied else f"access-{interaction}", made


def _decisions() -> Iterator[tuple[str, Payload]]:
    for id_, outcome, consents in (
        ("decision-permitted", PERMITTED, ["Consent/c1"]),
        ("decision-denied", DENIED, ["Consent/c1"]),
        ("decision-by-role", PERMITTED, []),
    ):
        made = access_decision_event(
            labels=_AUDITED,
            recorded_at=OPENS,
            requester_reference="PractitionerRole/r1",
            organization_reference=CLINIC,
            purpose="COC",
            outcome=outcome,
            patient_reference="Patient/p1",
            consent_references=consents,
            token_id="b7d1" if consents else None,
        )
        yield id_, made


def _exchanges() -> Iterator[tuple[str, Payload]]:
    for id_, is_sent in (("disclosure-sent", True), ("disclosure-received", False)):
        made = disclosure_event(
            labels=_AUDITED,
            is_sent=is_sent,
            recorded_at=OPENS,
            partner_reference=PROGRAM,
            partner_address=BASES["inbound"],
            purpose="COC",
            patient_reference="Patient/p1",
            entities=_TOUCHED,
            consent_references=["Consent/c1"],
        )
        yield id_, made


def _label_changes() -> Iterator[tuple[str, Payload]]:
    item = LabelledItem("Observation/o1", 1, labels_for("disclosure-observation", confidentiality="R"))
    raised = raise_labels(item, role="clinician", agent_reference="Practitioner/d1", recorded_at=OPENS, level="V")
    yield "label-raised", raised.provenance
    people: Any = {
        "role": "privacy-officer",
        "officer_reference": "Practitioner/po",
        "second_reference": "Practitioner/d1",
    }
    lowered = lower_labels(
        raised.item, **people, request_reference="Communication/q1", recorded_at=OPENS, to_restricted=True
    )
    yield "label-lowered", lowered.provenance
    removed = remove_sensitivity(raised.item, **people, status="entered-in-error", recorded_at=OPENS)
    yield "label-removed", removed.provenance


def valid() -> dict[str, tuple[str, Payload]]:
    """File name -> (profile id, resource), in a fixed order."""
    made = [*_disclosures(), *_requests(), *_tasks(), *_releases(), *_visits(), *_directory(), *_records()]
    made.append(("referral-patient", _patient("robin")))
    made += [("referral-bundle", _bundle(way, form)) for way in ("outbound", "inbound") for form in ("urn", "http")]
    return {f"{payload['resourceType']}-{payload['id']}.json": (profile_id, payload) for profile_id, payload in made}

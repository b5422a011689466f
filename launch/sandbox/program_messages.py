"""What the sandbox program sends, written out by hand: it shares no builder with the clinic's app, as a real one would.

A referral is one transaction of Patient, release B (program to clinic), ServiceRequest and Task, and release A (clinic
to program) when the survivor wants the clinic to tell the program day and time.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

Payload = dict[str, Any]

OURS = "https://warm-referral.example/fhir"
THO = "http://terminology.hl7.org/CodeSystem"
ACT_CODE = f"{THO}/v3-ActCode"
CONFIDENTIALITY = f"{THO}/v3-Confidentiality"
ACT_REASON = f"{THO}/v3-ActReason"
GRAVITY = "http://hl7.org/fhir/us/sdoh-clinicalcare/CodeSystem/SDOHCC-CodeSystemTemporaryCodes"
SNOMED = "http://snomed.info/sct"
REASON = f"{OURS}/CodeSystem/referral-reason"
STATUS = f"{OURS}/CodeSystem/referral-status"
NEED = f"{OURS}/CodeSystem/referral-need"
BSER = "http://hl7.org/fhir/us/bser/CodeSystem/TaskBusinessStatusCS"
POLICY = "https://www.ecfr.gov/current/title-28/section-90.4"
CLINIC = "Organization/hc1"
RELEASE_DAYS = 30

NEEDS = {
    "medical-visit": "A medical visit",
    "counseling": "Someone to talk to",
    "enrollment": "Benefits and enrollment",
    "transport": "Getting there",
}
DECLINE_REASONS = {
    "no-capacity": "No capacity today",
    "outside-area": "Outside our area",
    "language": "Language not available",
    "service-not-offered": "Service not offered",
    "unable": "Unable to take this referral",
}


@dataclass(frozen=True)
class Sender:
    """One program of this sandbox: its Organization at the clinic, its client id there, its identifier system."""

    name: str
    organization: str
    client_id: str
    identifiers: str


SENDERS: Mapping[str, Sender] = {
    "harbor": Sender("Harbor Program", "Organization/harbor", "harbor-system", "https://harbor.example/id"),
    "northside": Sender(
        "Northside Advocates", "Organization/northside", "northside-system", "https://northside.example/id"
    ),
}


@dataclass(frozen=True)
class Referral:
    """What the advocate's form says. ``phone`` only when the clinic may call it; ``tells_time`` is release A."""

    alias: str
    phone: str | None = None
    voicemail: str = "none"
    say_as: str | None = None
    code_word: str | None = None
    language: str | None = None
    needs: Sequence[str] = field(default=("medical-visit",))
    tells_time: bool = False
    signer: str = "self"


def referral_bundle(sender: Sender, form: Referral, now: datetime) -> Payload:
    """The transaction of one new referral, signed today, good for 30 days."""
    patient, release_b, request, task, release_a = (f"urn:uuid:{uuid.uuid4()}" for _ in range(5))
    today = now.astimezone(UTC).date()
    entries = [
        (patient, _patient(sender, form)),
        (release_b, _release(sender.organization, CLINIC, patient, request, task, form.signer, today, "appointment")),
        (request, _service_request(sender, form, patient, release_b, today)),
        (task, _task(sender, patient, request, now)),
    ]
    if form.tells_time:
        back = _release(CLINIC, sender.organization, patient, request, task, form.signer, today, "appointment")
        entries.append((release_a, back))
    return {
        "resourceType": "Bundle",
        "meta": {"profile": [_profile("referral-bundle")], "security": [_label(CONFIDENTIALITY, "V")]},
        "identifier": {"system": sender.identifiers, "value": f"b-{uuid.uuid4()}"},
        "type": "transaction",
        "entry": [
            {
                "fullUrl": address,
                "request": {"method": "POST", "url": resource["resourceType"]},
                "resource": resource,
            }
            for address, resource in entries
        ],
    }


def release_b(sender: Sender, *, task_url: str, patient_reference: str, tier: str, signer: str, today: date) -> Payload:
    """The survivor's release that lets this program tell the clinic about one Task, as far as ``tier`` goes."""
    consent = _consent(sender.organization, CLINIC, patient_reference, [task_url], signer, today, tier)
    return {**consent, "meta": {"profile": [_profile("release-consent")], "security": _labels("CPLYCD")}}


def changed_task(
    task: Payload, *, status: str | None = None, business_status: str | None = None, reason: str | None = None
) -> Payload:
    """The clinic's Task as it will be put back: the same, but for its status."""
    changed = dict(task)
    if status is not None:
        changed["status"] = status
        changed.pop("statusReason", None)
    if reason is not None:
        changed["statusReason"] = {"coding": [_label(REASON, reason)], "text": DECLINE_REASONS[reason]}
    if business_status is not None:
        system = BSER if business_status[:1].isdigit() else STATUS
        changed["businessStatus"] = {"coding": [_label(system, business_status)]}
    return changed


def _patient(sender: Sender, form: Referral) -> Payload:
    return {
        "resourceType": "Patient",
        "meta": {"security": _labels("LOCIS")},
        "identifier": [{"system": sender.identifiers, "value": f"x-{uuid.uuid4()}"}],
        "name": [{"use": "anonymous", "given": [form.alias]}],
        "gender": "unknown",
    }


def _release(
    giver: str, taker: str, patient: str, request: str, task: str, signer: str, today: date, tier: str
) -> Payload:
    consent = _consent(giver, taker, patient, [request, task], signer, today, tier)
    return {**consent, "meta": {"security": _labels("CPLYCD")}}


def _consent(
    giver: str, taker: str, patient: str, items: Sequence[str], signer: str, today: date, tier: str
) -> Payload:
    return {
        "resourceType": "Consent",
        "meta": {},
        "extension": [{"url": _profile("release-signer"), "valueCode": signer}],
        "status": "active",
        "scope": _concept(f"{THO}/consentscope", "patient-privacy"),
        "category": [_concept(ACT_CODE, "IDSCL"), _concept("http://loinc.org", "59284-0")],
        "patient": {"reference": patient},
        "dateTime": today.isoformat(),
        "performer": [{"reference": patient}],
        "organization": [{"reference": giver}],
        "sourceReference": {
            "type": "DocumentReference",
            "identifier": {"system": "https://program.example/id/form", "value": f"roi-{uuid.uuid4()}"},
        },
        "policy": [{"uri": POLICY}],
        "provision": {
            "extension": [{"url": _profile("release-tier"), "valueCode": tier}],
            "type": "permit",
            "period": {"start": today.isoformat(), "end": (today + timedelta(days=RELEASE_DAYS)).isoformat()},
            "actor": [{"role": _concept(f"{THO}/v3-ParticipationType", "IRCP"), "reference": {"reference": taker}}],
            "securityLabel": [_label(CONFIDENTIALITY, "V"), _label(ACT_CODE, "SDV")],
            "purpose": [_label(ACT_REASON, "COC")],
            "data": [{"meaning": "instance", "reference": {"reference": item}} for item in items],
        },
    }


def _service_request(sender: Sender, form: Referral, patient: str, release: str, today: date) -> Payload:
    details = [] if form.phone else [_concept(GRAVITY, "contacting-subject-prohibited")]
    details += [_concept(NEED, need) for need in form.needs]
    return {
        "resourceType": "ServiceRequest",
        "meta": {"profile": [_profile("referral-service-request")], "security": _labels("COC", ACT_REASON)},
        "extension": [_safe_contact(form, today)],
        "status": "active",
        "intent": "order",
        "category": [_concept(SNOMED, "410606002"), _concept(GRAVITY, "sdoh-category-unspecified")],
        "code": _concept(SNOMED, "308440001"),
        **({"orderDetail": details} if details else {}),
        "subject": {"reference": patient},
        "authoredOn": today.isoformat(),
        "requester": {"reference": sender.organization},
        "performer": [{"reference": "HealthcareService/nextday"}],
        "supportingInfo": [{"reference": release}],
    }


def _safe_contact(form: Referral, today: date) -> Payload:
    parts: list[Payload] = [{"url": "meet", "valueCode": "safe-contact" if form.phone else "survivor-calls"}]
    if form.phone:
        parts.append({"url": "telecom", "valueContactPoint": {"system": "phone", "value": form.phone}})
        parts.append({"url": "voicemail", "valueCode": form.voicemail})
        parts.append({"url": "whoMayAnswer", "valueCode": "self"})
    texts = (("sayAs", form.say_as), ("codeWord", form.code_word))
    parts += [{"url": name, "valueString": words} for name, words in texts if words]
    if form.language:
        parts.append({"url": "language", "valueCode": form.language})
    parts.append({"url": "askedOn", "valueDate": today.isoformat()})
    parts.append({"url": "expiresOn", "valueDate": (today + timedelta(days=RELEASE_DAYS)).isoformat()})
    return {"url": _profile("safe-contact"), "extension": parts}


def _task(sender: Sender, patient: str, request: str, now: datetime) -> Payload:
    due = (now.astimezone(UTC) + timedelta(days=1)).replace(microsecond=0)
    return {
        "resourceType": "Task",
        "meta": {"profile": [_profile("referral-task")], "security": _labels("COC", ACT_REASON)},
        "identifier": [{"system": sender.identifiers, "value": f"t-{uuid.uuid4()}"}],
        "status": "requested",
        "intent": "order",
        "code": _concept("http://hl7.org/fhir/CodeSystem/task-code", "fulfill"),
        "focus": {"reference": request},
        "for": {"reference": patient},
        "authoredOn": now.astimezone(UTC).date().isoformat(),
        "requester": {"reference": sender.organization},
        "owner": {"reference": CLINIC},
        "restriction": {"period": {"end": due.isoformat().replace("+00:00", "Z")}},
    }


def _labels(last: str, system: str = ACT_CODE) -> list[Payload]:
    core = [_label(CONFIDENTIALITY, "V")]
    core += [_label(ACT_CODE, code) for code in ("SDV", "NORDSCLCD", "NOREUSE", "PERSISTLABEL")]
    return [*core, _label(system, last)]


def _label(system: str, code: str) -> Payload:
    return {"system": system, "code": code}


def _concept(system: str, code: str) -> Payload:
    return {"coding": [_label(system, code)]}


def _profile(name: str) -> str:
    return f"{OURS}/StructureDefinition/{name}"


def with_overrides(payload: Payload, overrides: Mapping[str, Any]) -> Payload:
    """Change a message for a test: "/entry/2/resource/status" -> value; None takes the element away.

    Raises ``ValueError`` for a path that leads nowhere.
    """
    for pointer, value in overrides.items():
        steps = [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]
        try:
            place: Any = payload
            for step in steps[:-1]:
                place = place[int(step) if isinstance(place, list) else step]
            key: Any = int(steps[-1]) if isinstance(place, list) else steps[-1]
            if value is None:
                del place[key]
            elif isinstance(place, list) and key == len(place):
                place.append(value)
            else:
                place[key] = value
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise ValueError("an override leads nowhere") from error
    return payload

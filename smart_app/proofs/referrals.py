"""Referrals for a throw-away health center: made by the same workflows that pages and programs use."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from smart_app.gateways.vault import Vault
from smart_app.ports import Payload
from smart_app.proofs.instance import Instance
from smart_app.workflows import inbox_request, referral

CANARIES = {
    "alias": "Quillabye-Thrum",
    "phone": "555-0188-4417",
    "say_as": "Vexmobile Library",
    "code_word": "plumdraft-ochre",
}


@dataclass(frozen=True)
class Ids:
    """By what one referral could be asked for. ``nobody`` has ids that fit and belong to nothing."""

    case: str = field(default_factory=lambda: str(uuid.uuid4()))
    patient: str = field(default_factory=lambda: str(uuid.uuid4()))
    consent: str = field(default_factory=lambda: str(uuid.uuid4()))
    request: str = field(default_factory=lambda: str(uuid.uuid4()))
    task: str = field(default_factory=lambda: str(uuid.uuid4()))
    visit: str = field(default_factory=lambda: str(uuid.uuid4()))


def send(instance: Instance, *, partner: str, patient: str, user: str, is_delivered: bool = True, **form: Any) -> Ids:
    """A referral from here to a program, delivered where the program has a system."""
    chosen = referral.ReferralForm(
        partner_id=partner, meet="safe-contact", signed="screen", wants_ehr_copy=True, **{**CANARIES, **form}
    )
    made = referral.send(instance.services, instance.requester(user, patient), chosen, instance.now)
    if is_delivered:
        instance.work()
    return _ids(instance, made.case_id)


def bundle(instance: Instance, partner: str, *, once: str, **form: Any) -> Payload:
    """A program's referral to us, as its system would post it."""
    asked = {"alias": CANARIES["alias"], "phone": CANARIES["phone"], "say_as": CANARIES["say_as"]} | form
    filled = inbox_request.RequestForm(
        meet="safe-contact", once=once, is_signed=True, signer="self", **{"tells_time": True, **asked}
    )
    zone = ZoneInfo(instance.settings.site.time_zone)
    today = min(instance.now.date(), instance.now.astimezone(zone).date())
    clinic = instance.services.site.organization_reference
    return inbox_request.bundle_of(filled, program=f"Organization/{partner}", clinic=clinic, today=today)


def as_bytes(payload: Payload) -> bytes:
    """JSON as it is posted."""
    return json.dumps(payload, default=str).encode()


def receive(instance: Instance, *, partner: str, once: str, **form: Any) -> Ids:
    """A referral from a program to us, as its system posts it."""
    answer = instance.program(partner).ask(
        "POST", "", body=as_bytes(bundle(instance, partner, once=once, **form)), content_type="application/fhir+json"
    )
    if answer.status_code != 202:
        raise RuntimeError(f"the referral was not taken: {answer.status_code} {answer.get_data(as_text=True)}")
    task_id = str(answer.headers["Location"]).rsplit("/", 1)[1]
    with instance.base.engine.connect() as connection:
        found = Vault(connection, instance.base.cipher).look(("Task", task_id))
    return _ids(instance, found[0].case_id if found else "")


def _ids(instance: Instance, case_id: str) -> Ids:
    with instance.base.engine.connect() as connection:
        heads = Vault(connection, instance.base.cipher).heads([case_id])
    by_type = {head.resource_type: head.reference.rpartition("/")[2] for head in heads}
    known = {
        name: by_type[kind]
        for name, kind in (
            ("patient", "Patient"),
            ("consent", "Consent"),
            ("request", "ServiceRequest"),
            ("task", "Task"),
            ("visit", "Appointment"),
        )
        if kind in by_type
    }
    return Ids(case=case_id, **known)

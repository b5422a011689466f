"""What leaves passes the gate of its profile: to the EHR, to a program. Broken, it stays here and somebody is told."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from fhir_profiles import validation
from fhir_profiles.appointment_ehr_copy import appointment_ehr_copy
from fhir_profiles.security_labels import labels_for
from fhir_profiles.validation.examine import examine
from launch.doctor import probe_items
from smart_app.delivery_ports import SendResult
from smart_app.gateways import ehr as ehr_module
from smart_app.gateways.alerts import SqlAlerts
from smart_app.gateways.directory import DatedMouGate
from smart_app.gateways.ehr import EhrGateway
from smart_app.gateways.partner import PartnerSender
from smart_app.policy import leaving, minimum_necessary
from smart_app.policy.ehr_copy import service_request_copy
from smart_app.ports import WriteBackResult

INVALID = leaving.ALERT


class Wire:
    """An EHR and a program that keep what they are sent."""

    def __init__(self) -> None:
        self.sent: list[dict] = []

    def for_launch(self, launch_id):
        return self

    def create(self, payload):
        self.sent.append(payload)
        return self

    @property
    def reference(self) -> str:
        return f"{self.sent[-1]['resourceType']}/1"

    def read(self, reference):
        return self.sent[-1] | {"id": "1"}

    def post(self, *, fhir_address, token_endpoint, client_id, scope, body, last_look):
        content = body()
        last_look()
        self.sent.append(json.loads(content))


@pytest.fixture
def wire():
    return Wire()


@pytest.fixture
def gateway(world, wire):
    return EhrGateway(wire, world.door, SqlAlerts(world.engine, "hc1", lambda: world.now))


@pytest.fixture
def sender(world, wire):
    gate = DatedMouGate(world.directory, "America/Chicago")
    return PartnerSender(wire, world.door, world.directory, gate, public_base_url="http://127.0.0.1:8000")


def errors(payload, held_to) -> list[str]:
    """What the gate, or R4, finds wrong: not by the code under test."""
    if held_to in validation.PROFILES:
        return [issue.expression for issue in validation.validate(payload, held_to, confidentiality="R")]
    return [issue.expression for issue in examine(payload, held_to) if issue.severity == "error"]


def visit(world, **more):
    start = world.now + timedelta(days=1)
    return {
        **appointment_ehr_copy(
            labels=labels_for("appointment-ehr-copy"),
            start=start,
            end=start + timedelta(minutes=30),
            service_reference="HealthcareService/next-day",
            patient_reference="Patient/p-dana",
        ),
        **more,
    }


def observation(world, **more):
    _, reference = world.disclose()
    with world.door.open_for(world.clinician(), world.now) as work:
        return {key: value for key, value in work.read(reference).payload.items() if key != "id"} | more


def order(world, **more):
    ids = world.refer()
    with world.door.open_for(world.clinician(), world.now) as work:
        stored = work.read(ids.service_request).payload
    return service_request_copy(stored, patient_reference=f"Patient/{world.patient.patient_id}") | more


def test_each_copy_for_an_ehr_is_held_to_its_profile(world, wire, gateway):
    """The three things that may be written to a chart or a schedule arrive in order."""
    assert gateway.write_back(world.clinician(), observation(world), world.now).result is WriteBackResult.SAVED
    assert gateway.write_back(world.clinician(), order(world), world.now).result is WriteBackResult.SAVED
    gateway.book(world.clinician(), visit(world), world.now)
    assert [sent["resourceType"] for sent in wire.sent] == ["Observation", "ServiceRequest", "Appointment"]
    assert [errors(sent, leaving.EHR_COPIES[sent["resourceType"]]) for sent in wire.sent] == [[], [], []]
    assert INVALID not in world.alerts()


@pytest.mark.parametrize(
    ("make", "more"),
    [
        (observation, {"status": "banana"}),
        (observation, {"valueBoolean": "true"}),
        (observation, {"note": [{"text": "she said"}]}),
        (order, {"status": "banana"}),
        (order, {"authoredOn": "yesterday"}),
        (order, {"reasons": []}),
        (visit, {"status": "banana"}),
        (visit, {"end": "2026-11-24"}),
    ],
)
def test_a_broken_copy_stays_here_and_somebody_is_told(world, wire, gateway, make, more):
    """A mistake of ours reaches no chart: nothing connects, the page says that there is no copy, the officer is told.
    Breaks when EhrGateway._write no longer asks ``leaving.problems``."""
    write = gateway.book if make is visit else gateway.write_back
    made = make(world, **more)
    before = len(world.audit())
    written = write(world.clinician(), made, world.now)
    assert (written.result, written.reference) == (WriteBackResult.REFUSED, None)
    assert wire.sent == []
    assert len(world.audit()) == before
    assert world.alerts() == [INVALID]


@pytest.mark.parametrize("make", [observation, order, visit])
def test_what_is_left_of_a_copy_that_is_taken_back_is_r4(world, make):
    """A copy that an EHR does not delete is emptied; what stands there then is still FHIR that it can read."""
    made = make(world)
    emptied = ehr_module.emptied(made, f"{made['resourceType']}/1")
    assert emptied["status"] == "entered-in-error"
    assert errors(emptied, made["resourceType"]) == []


def test_what_a_program_is_sent_is_held_to_its_profile(world, wire, sender):
    """The very bytes that a program gets pass the gate."""
    world.refer()
    (job,) = world.jobs.claim(limit=1, lease_seconds=60)
    assert sender.send(job, world.now).result is SendResult.DELIVERED
    assert [errors(sent, "referral-bundle") for sent in wire.sent] == [[]]


def test_a_broken_referral_is_not_sent_and_somebody_is_told(world, wire, sender, monkeypatch):
    """An item that must not be there, whatever put it there, stops the message: refused, not tried again, and somebody
    has to call. Breaks when PartnerSender lets an ``OutboundError`` through."""

    def with_more(payload):
        return {**trimmed(payload), **({"note": [{"text": "she said"}]} if payload["resourceType"] == "Task" else {})}

    trimmed = minimum_necessary.trimmed
    monkeypatch.setattr(minimum_necessary, "trimmed", with_more)
    world.refer()
    (job,) = world.jobs.claim(limit=1, lease_seconds=60)
    outcome = sender.send(job, world.now)
    assert (outcome.result, outcome.error_code) == (SendResult.REFUSED, "outbound-not-valid")
    assert wire.sent == []
    assert world.jobs.give_up(job, error_code=outcome.error_code)
    assert world.alerts() == ["delivery-failed"]


def test_what_the_probe_writes_is_r4(world):
    """The test items that a site proof writes into a sandbox are FHIR, in every stage."""
    for kind in ("Observation", "ServiceRequest"):
        item = probe_items.neutral_item(kind, "p-1", world.now.date())
        stages = [
            item,
            *(
                probe_items.labelled(item, labels)
                for labels in (probe_items.TEST_LABELS, probe_items.REAL_LABELS[kind])
            ),
        ]
        for made in [*stages, probe_items.edited(item), probe_items.with_extensions(stages[1])]:
            assert errors(made, kind) == []

"""A referral in each direction, made by our own builders, for the tests of this folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from datetime import UTC, date, datetime
from typing import Any

import pytest

from fhir_profiles.proposed_appointment import proposed_appointment
from fhir_profiles.referral_bundle import referral_bundle
from fhir_profiles.referral_patient import referral_patient
from fhir_profiles.referral_service_request import referral_service_request
from fhir_profiles.referral_task import referral_task
from fhir_profiles.release_consent import release_consent
from fhir_profiles.safe_contact import Hours, safe_contact
from fhir_profiles.security_labels import labels_for

Payload = dict[str, Any]

SIGNED, ENDS = date(2026, 10, 1), date(2026, 10, 31)
DUE = datetime(2026, 10, 2, 22, tzinfo=UTC)
THEIR_IDS = "https://dsv.example/id"


def _urn(number: int) -> str:
    return f"urn:uuid:00000000-0000-4000-8000-00000000000{number}"


def _release(patient: str, giver: str, receiver: str, items: list[str], number: str, **more: Any) -> Payload:
    return release_consent(
        labels=labels_for("release-consent"),
        patient_reference=patient,
        from_organization=giver,
        to_organization=receiver,
        item_references=items,
        signed_on=SIGNED,
        starts_on=SIGNED,
        ends_on=ENDS,
        signer="self",
        source_identifier=number,
        policy_uri="https://dsv.example/policy",
        **more,
    )


def _parts(patient: str, request: str, task: str, consent: str, ids: list[str] | None, inbound: bool) -> list[Payload]:
    giver, receiver = "Organization/hc1", "Organization/harbor"
    if inbound:
        giver, receiver = receiver, giver
    tier = "appointment" if inbound else None
    id_of = ids or [None, None, None, None]
    contact = safe_contact(
        meet="safe-contact",
        asked_on=SIGNED,
        expires_on=ENDS,
        telecom="555-0142",
        voicemail="none",
        say_as="the library",
        hours=Hours(("mon", "tue"), "09:00", "12:00"),
        language="es",
        interpreter=True,
        who_may_answer="self",
    )
    return [
        referral_patient(
            labels=labels_for("referral-patient"),
            id=id_of[0],
            identifier_system=THEIR_IDS,
            identifier_value="x-81",
            alias="Robin",
        ),
        _release(patient, giver, receiver, [request, task], "roi-81", id=id_of[1], tier=tier),
        referral_service_request(
            labels=labels_for("referral-service-request"),
            id=id_of[2],
            patient_reference=patient,
            requester_reference=giver,
            performer_reference="HealthcareService/nextday" if inbound else receiver,
            consent_reference=consent,
            safe_contact=contact,
            authored_at=SIGNED,
            needs=["medical-visit", "transport"],
        ),
        referral_task(
            labels=labels_for("referral-task"),
            id=id_of[3],
            identifier_system=THEIR_IDS,
            identifier_value="t-81",
            service_request_reference=request,
            patient_reference=patient,
            requester_reference=giver,
            owner_reference=receiver,
            authored_at=SIGNED,
            due_at=DUE,
        ),
    ]


def _bundle(entries: list[tuple[str, Payload]]) -> Payload:
    return referral_bundle(
        labels=labels_for("referral-bundle"),
        identifier_system=THEIR_IDS,
        identifier_value="b-81",
        entries=entries,
    )


def make_inbound(*, with_appointment: bool = True, with_release_a: bool = True) -> Payload:
    """From the program to us: urn:uuid addresses, no ids."""
    urns = [_urn(number) for number in range(1, 7)]
    entries = list(zip(urns, _parts(urns[0], urns[2], urns[3], urns[1], None, inbound=True), strict=False))
    if with_appointment:
        appointment = proposed_appointment(
            labels=labels_for("proposed-appointment"),
            patient_reference=urns[0],
            service_reference="HealthcareService/nextday",
            based_on=urns[2],
            requested_start=datetime(2026, 10, 2, 13, tzinfo=UTC),
            requested_end=DUE,
        )
        entries.append((urns[4], appointment))
    if with_release_a:
        back = _release(
            urns[0], "Organization/hc1", "Organization/harbor", urns[2:4], "roi-82", id=None, tier="appointment"
        )
        entries.append((urns[5], back))
    return _bundle(entries)


def make_outbound() -> Payload:
    """From us to the program: our own addresses, with the same id in each resource."""
    ids = [f"00000000-0000-4000-8000-0000000000a{number}" for number in range(4)]
    names = ["Patient", "Consent", "ServiceRequest", "Task"]
    local = [f"{name}/{id_}" for name, id_ in zip(names, ids, strict=True)]
    parts = _parts(local[0], local[2], local[3], local[1], ids, inbound=False)
    return _bundle([(f"https://clinic.example/fhir/{name}", part) for name, part in zip(local, parts, strict=True)])


_INBOUND, _OUTBOUND = make_inbound(), make_outbound()


@pytest.fixture
def inbound() -> Payload:
    """A fresh inbound bundle with Appointment and release A."""
    return deepcopy(_INBOUND)


@pytest.fixture
def outbound() -> Payload:
    """A fresh outbound bundle."""
    return deepcopy(_OUTBOUND)


@pytest.fixture
def part(outbound: Payload) -> Callable[[str], Payload]:
    """``part("Task")``: that resource of a fresh outbound bundle."""

    def find(resource_type: str) -> Payload:
        return next(e["resource"] for e in outbound["entry"] if e["resource"]["resourceType"] == resource_type)

    return find


@pytest.fixture
def entry() -> Callable[..., Payload]:
    """``entry(bundle, "Consent", 1)``: the second Consent of a bundle."""

    def find(bundle: Payload, resource_type: str, which: int = 0) -> Payload:
        found = [e["resource"] for e in bundle["entry"] if e["resource"]["resourceType"] == resource_type]
        return found[which]

    return find


def objects_in(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Payload]]:
    """Every object inside a payload with the way to it."""
    if isinstance(value, dict):
        yield path, value
        for key, item in value.items():
            yield from objects_in(item, (*path, key))
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from objects_in(item, (*path, position))


@pytest.fixture
def walk() -> Callable[[Payload], list[tuple[tuple[Any, ...], Payload]]]:
    """``walk(payload)``: every object inside it with the way to it."""
    return lambda payload: list(objects_in(payload))

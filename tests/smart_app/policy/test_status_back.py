"""What a program sees of a Task, and what its submitted Task asks for."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from fhir_profiles.referral_task import business_status_of, referral_task, status_reason
from fhir_profiles.security_labels import labels_for
from smart_app.policy import status_back
from smart_app.policy.task_states import STATUSES, Tier


def _task(**changes: Any) -> dict[str, Any]:
    made = referral_task(
        labels=labels_for("referral-task"),
        id="t1",
        identifier_system="https://harbor.example/id",
        identifier_value="t-1",
        service_request_reference="ServiceRequest/s1",
        patient_reference="Patient/p1",
        requester_reference="Organization/harbor",
        owner_reference="Organization/hc1",
        authored_at=datetime(2026, 11, 24, 15, 0, tzinfo=UTC),
        due_at=datetime(2026, 11, 25, 15, 0, tzinfo=UTC),
    )
    return {**made, **changes}


def _seen(task: dict[str, Any], tier: Tier) -> dict[str, Any]:
    return status_back.own_request_as_sender_sees_it(task, appointment_reference="Appointment/a1", tier=tier)


@pytest.mark.rule("R21")
@pytest.mark.parametrize("status", [one for one in STATUSES if one not in status_back.SENDERS_OWN])
def test_rule_R21_without_a_release_every_state_looks_the_same(status: str) -> None:
    """Whatever became of it, the bytes and the ETag are those of a request that was received. Break: show
    ``statusReason`` without looking at the tier."""
    moved = _task(
        status=status,
        businessStatus=business_status_of("5.1.1"),
        statusReason=status_reason("language"),
        lastModified="2026-11-24T16:00:00Z",
    )
    moved["meta"] = {**moved["meta"], "versionId": "7", "lastUpdated": "2026-11-24T16:00:00Z"}
    first = _seen(_task(), Tier.NONE)
    assert _seen(moved, Tier.NONE) == first
    assert list(_seen(moved, Tier.NONE)) == list(first)
    assert status_back.etag_of(_seen(moved, Tier.NONE)) == status_back.etag_of(first)


@pytest.mark.rule("R21")
def test_rule_R21_each_tier_shows_its_part() -> None:
    """ "Contact" tells accepted, "appointment" that a visit is set and where to read it. Break: give ``output`` at
    every tier."""
    booked = _task(status="accepted", businessStatus=business_status_of("5.1.1"))
    found = {tier: _seen(booked, tier) for tier in Tier}
    assert [one["status"] for one in found.values()] == ["requested", "accepted", "accepted", "accepted"]
    assert ["output" in one for one in found.values()] == [False, False, True, True]
    codes = [status_back.business_code_of(one) for one in found.values()]
    assert codes == ["received-by-inbox", "received-by-inbox", "5.1.1", "5.1.1"]


def test_what_the_patient_told_us_is_not_for_the_program() -> None:
    """How the clinician closed the referral is taken off the program's view."""
    for code in status_back.CLOSING:
        shown = status_back.our_request_as_program_sees_it(_task(businessStatus=business_status_of(code)))
        assert shown == status_back.our_request_as_program_sees_it(_task())


def test_leaving_out_what_one_may_write_asks_for_nothing() -> None:
    """A program that sends the Task back without businessStatus or output changes neither."""
    shown = _task(businessStatus=business_status_of("contact-made"), output=[{"type": {}}])
    body = {key: value for key, value in shown.items() if key not in ("businessStatus", "output", "meta")}
    assert status_back.asked_change(shown, body).is_nothing


@pytest.mark.parametrize("key", ["identifier", "focus", "for", "requester", "owner", "restriction", "intent", "code"])
def test_every_other_element_is_outside(key: str) -> None:
    """Changing or dropping anything else of the Task is outside of every release."""
    shown = _task()
    for body in ({**shown, key: "other"}, {name: value for name, value in shown.items() if name != key}):
        asked = status_back.asked_change(shown, body)
        assert asked.is_outside
        assert not status_back.is_inside(asked, Tier.OUTCOME)


@pytest.mark.parametrize(
    "value",
    [
        {"coding": []},
        {"coding": [{"system": "https://elsewhere.example", "code": "contact-made"}]},
        {**business_status_of("contact-made"), "text": "they talked"},
        {"text": "contact-made"},
    ],
)
def test_a_business_status_in_another_shape_is_nobody_s(value: dict[str, Any]) -> None:
    """A look-alike of an allowed word is no allowed word."""
    asked = status_back.asked_change(_task(), _task(businessStatus=value))
    assert not status_back.is_inside(asked, Tier.OUTCOME)


def test_a_raised_label_is_kept_and_none_is_lost() -> None:
    """A program may add a label; all of ours stay."""
    task = _task()
    extra = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "NOPAT"}
    body = _task(status="accepted", meta={"security": [*task["meta"]["security"], extra]})
    changed = status_back.apply(task, body, status_back.asked_change(task, body))
    assert changed["meta"]["security"] == [*task["meta"]["security"], extra]
    assert changed["meta"]["profile"] == task["meta"]["profile"]

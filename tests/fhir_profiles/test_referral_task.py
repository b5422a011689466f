"""The Task of a referral: a closed state, coded refusals, no free text."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest

from fhir_profiles.referral_task import (
    OUR_BUSINESS_STATUSES,
    REASONS,
    STATUSES,
    appointment_output,
    business_status_of,
    imported_reason,
    referral_task,
    status_reason,
)
from fhir_profiles.security_labels import labels_for
from fhir_profiles.terminology import REFERRAL_REASON
from fhir_profiles.validation import validate

Payload = dict[str, Any]
PROFILE = "referral-task"


def where(payload: Payload) -> list[str]:
    return [issue.expression for issue in validate(payload, PROFILE)]


@pytest.mark.parametrize("status", STATUSES)
def test_each_status_of_the_design_is_valid(part: Callable[[str], Payload], status: str) -> None:
    """The ten statuses pass as the body of a later update."""
    assert validate({**part("Task"), "status": status}, PROFILE) == []


@pytest.mark.parametrize("status", ["banana", "ready", "received", "", None, ["requested"]])
def test_any_other_status_is_refused(part: Callable[[str], Payload], status: Any) -> None:
    """ "received" and "ready" are no states here, and nonsense is none anywhere."""
    assert where({**part("Task"), "status": status}) == ["Task.status"]


def test_the_builder_refuses_a_status_outside_the_list() -> None:
    """We never build a state that we would not accept."""
    with pytest.raises(ValueError, match="status"):
        referral_task(
            labels=labels_for(PROFILE),
            id="t1",
            identifier_system="https://clinic.example/id",
            identifier_value="t-1",
            service_request_reference="ServiceRequest/s1",
            patient_reference="Patient/p1",
            requester_reference="Organization/hc1",
            owner_reference="Organization/harbor",
            authored_at=date(2026, 10, 1),
            due_at=datetime(2026, 10, 2, 22, tzinfo=UTC),
            status="ready",
        )


@pytest.mark.parametrize("code", [*OUR_BUSINESS_STATUSES, "5.1.1", "5.1.2", "5.1.3", "5.1.4", "5.2"])
def test_each_business_status_is_valid(part: Callable[[str], Payload], code: str) -> None:
    """Our own transport facts and BSeR's steps are the only ones."""
    assert validate({**part("Task"), "businessStatus": business_status_of(code)}, PROFILE) == []


def test_an_unknown_business_status_is_refused(part: Callable[[str], Payload]) -> None:
    """A step that is not on the list is no step."""
    with pytest.raises(ValueError, match="business status"):
        business_status_of("5.9")
    task = {**part("Task"), "businessStatus": {"coding": [{"system": REFERRAL_REASON, "code": "5.1.1"}]}}
    assert where(task) == ["Task.businessStatus.coding[0]"]


@pytest.mark.parametrize("code", REASONS)
def test_each_reason_has_one_wording(part: Callable[[str], Payload], code: str) -> None:
    """A refusal is a code with its fixed words."""
    reason = status_reason(code)
    assert reason["text"] == REASONS[code]
    assert validate({**part("Task"), "status": "rejected", "statusReason": reason}, PROFILE) == []
    assert imported_reason({**reason, "text": "her husband works here"}) == reason


@pytest.mark.parametrize(
    "received",
    [
        {"coding": [{"system": "https://other.example", "code": "no-capacity"}], "text": "her husband works here"},
        {"coding": [{"system": REFERRAL_REASON, "code": "perpetrator-is-client"}]},
        {"text": "her husband works here"},
        {},
    ],
)
def test_an_unknown_reason_becomes_unable_and_its_words_are_dropped(received: Payload) -> None:
    """What a program writes about a refusal is not kept; it only says that it cannot."""
    assert imported_reason(received) == status_reason("unable")


@pytest.mark.parametrize(
    "addition",
    [
        {"description": "x"},
        {"note": [{"text": "x"}]},
        {"input": []},
        {"statusReason": {"coding": [{"system": REFERRAL_REASON, "code": "unable", "display": "x"}]}},
        {"statusReason": {"text": "x"}},
        {"owner": {"reference": "Organization/harbor", "display": "x"}},
        {"for": {"reference": "Patient/p1", "identifier": {"value": "mrn"}}},
        {"performerType": []},
        {"requester": {"reference": "Practitioner/p1"}},
        {"owner": {"reference": "Organization/hc1"}},
        {"restriction": {"period": {}}},
        {"restriction": {"period": {"end": "2026-09-30T00:00:00Z"}}},
        {"identifier": []},
        {"code": {"coding": [{"system": "http://hl7.org/fhir/CodeSystem/task-code", "code": "abort"}]}},
    ],
)
def test_whatever_is_not_on_the_list_is_refused(part: Callable[[str], Payload], addition: Payload) -> None:
    """No narrative, no display, no person as requester, no other task code."""
    assert where({**part("Task"), **addition})


@pytest.mark.parametrize(
    "gone",
    [
        "identifier",
        "status",
        "intent",
        "code",
        "focus",
        "for",
        "authoredOn",
        "requester",
        "owner",
        "restriction",
        "resourceType",
    ],
)
def test_each_required_element_is_required(part: Callable[[str], Payload], gone: str) -> None:
    """Taking away any required element is noticed at its own place."""
    task = part("Task")
    del task[gone]
    assert where(task) == [f"{'Resource' if gone == 'resourceType' else 'Task'}.{gone}"]


def test_output_names_an_appointment_and_nothing_else(part: Callable[[str], Payload]) -> None:
    """What comes back names the visit; a story, a procedure or an address does not fit."""
    task = {**part("Task"), "output": [appointment_output("Appointment/a1")]}
    assert validate(task, PROFILE) == []
    task["output"][0]["valueReference"]["reference"] = "Procedure/1"
    assert where(task) == ["Task.output[0].value.reference"]
    task["output"][0].pop("valueReference")
    task["output"][0]["valueString"] = "x"
    assert where(task)


def test_a_program_may_name_the_public_parent_profile_and_type_its_number(part: Callable[[str], Payload]) -> None:
    """A system that follows Gravity and BSeR passes; any other profile address is refused."""
    task = part("Task")
    task["identifier"][0]["type"] = {
        "coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "PLAC"}]
    }
    task["meta"]["profile"].append(
        "http://hl7.org/fhir/us/sdoh-clinicalcare/StructureDefinition/SDOHCC-TaskForReferralManagement"
    )
    assert validate(task, PROFILE) == []
    task["meta"]["profile"][1] = "https://elsewhere.example/StructureDefinition/x"
    assert where(task) == ["Task.meta.profile[1]"]

"""Closing the loop without a program's data: the patient says how it went, alone, at a later visit."""

from __future__ import annotations

from datetime import datetime

from fhir_profiles.referral_task import business_status_of
from smart_app.errors import ConflictError, InvalidError, NothingToShowError
from smart_app.policy.access import Requester
from smart_app.policy.status_back import CLOSING
from smart_app.ports import Door, Payload

OUTCOMES: tuple[str, ...] = tuple(sorted(CLOSING))


def close(door: Door, requester: Requester, case_id: str, outcome: str, now: datetime) -> None:
    """Close one referral of ours with a word of OUTCOMES. "No information" is a full answer and is never asked again
    (R20). The program may see that the request is completed, never what the patient said.

    Raises ``InvalidError`` for any other word, ``NothingToShowError`` when this person has no such referral and
    ``ConflictError`` when it is closed already.
    """
    if outcome not in OUTCOMES:
        raise InvalidError("Choose how it went.")
    with door.open_for(requester, now) as work:
        requests, tasks = work.in_case(case_id, "ServiceRequest"), work.in_case(case_id, "Task")
        if not requests or not tasks:
            raise NothingToShowError
        if requests[0].payload["status"] == "completed":
            raise ConflictError("This was closed before.")
        work.amend(requests[0].reference, _completed)
        work.amend(tasks[0].reference, lambda task: {**task, "businessStatus": business_status_of(outcome)})
        work.facts.count("referral", outcome)
        work.close_case(case_id)


def _completed(service_request: Payload) -> Payload:
    return {**service_request, "status": "completed"}

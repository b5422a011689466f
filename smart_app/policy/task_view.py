"""A Task as the program that sent or was sent it may read it now. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, tzinfo
from typing import Any

from smart_app.policy import attestation, status_back
from smart_app.policy.task_states import Tier

Payload = dict[str, Any]


def tier_of(task: Payload, releases: Collection[Payload], *, now: datetime, zone: tzinfo) -> Tier:
    """Of the release by which the Task's owner may tell its requester about it: A where a program asked, else B."""
    return attestation.tier_in_force(
        releases,
        discloser=task["owner"]["reference"],
        recipient=task["requester"]["reference"],
        item=f"Task/{task['id']}",
        now=now,
        zone=zone,
    )


def shown_to(
    program: str,
    task: Payload,
    *,
    visits: Iterable[Payload] = (),
    releases: Collection[Payload] = (),
    now: datetime,
    zone: tzinfo,
) -> Payload:
    """For ``program`` ("Organization/<id>"): one we sent, whole; one it sent, "received" until release A says more
    (R21). ``visits`` and ``releases`` are those of the Task's case."""
    if task["requester"]["reference"] != program:
        return status_back.our_request_as_program_sees_it(task)
    return status_back.own_request_as_sender_sees_it(
        task,
        appointment_reference=status_back.appointment_to_name(visits),
        tier=tier_of(task, releases, now=now, zone=zone),
    )

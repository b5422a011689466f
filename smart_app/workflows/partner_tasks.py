"""The list of a program's own Tasks, and the moves it may make on one of them now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from smart_app.errors import NothingToShowError
from smart_app.policy import status_back, task_states, task_view
from smart_app.policy.access import Requester
from smart_app.policy.task_search import ShownTask, TaskPage, TaskQuery, page_of
from smart_app.policy.task_states import Party, Tier
from smart_app.ports import Door, Payload, Stored, UnitOfWork

LISTED = ("Task", "Appointment", "Consent")


@dataclass(frozen=True)
class Moves:
    """What may be set now. All empty without a release: nothing is offered that would be refused."""

    status: str
    tier: Tier
    statuses: frozenset[str]
    business_codes: frozenset[str]
    may_write_output: bool
    etag: str


def search(door: Door, requester: Requester, query: TaskQuery, now: datetime) -> TaskPage:
    """One page of the Tasks that this program sent or was sent, each as a read of it would show it."""
    with door.open_for(requester, now) as work:
        shown = {
            task.reference: (task.case_id, _shown(work, task, kinds))
            for kinds in work.in_cases_of(requester.program_id, LISTED).values()
            for task in kinds["Task"]
        }
        etags = {ref: (case_id, status_back.etag_of(one)) for ref, (case_id, one) in shown.items()}
        since = work.read_since(etags)
    return page_of([ShownTask(one, since[ref]) for ref, (_, one) in shown.items()], query)


def moves_now(door: Door, requester: Requester, task_id: str, now: datetime) -> Moves:
    """Which moves the state machine and the release allow this program on this Task now.

    Raises ``NothingToShowError`` for anything that is not this program's.
    """
    with door.open_for(requester, now) as work:
        stored = work.read(f"Task/{task_id}")
        kinds = {kind: work.in_case(stored.case_id, kind) for kind in ("Appointment", "Consent")}
        shown = _shown(work, stored, kinds)
        releases = [one.payload for one in kinds["Consent"]]
        tier = task_view.tier_of(stored.payload, releases, now=now, zone=work.zone)
    return _moves(stored.payload, shown, tier, requester.user_reference)


def _shown(work: UnitOfWork, task: Stored, kinds: Mapping[str, Sequence[Stored]]) -> Payload:
    """The Task as this program may read it; ``kinds``: what else of its case is there."""
    return task_view.shown_to(
        work.requester.user_reference,
        task.payload,
        visits=[one.payload for one in kinds["Appointment"]],
        releases=[one.payload for one in kinds["Consent"]],
        now=work.now,
        zone=work.zone,
    )


def _moves(task: Payload, shown: Payload, tier: Tier, program: str) -> Moves:
    status, etag = str(shown["status"]), status_back.etag_of(shown)
    if task["requester"]["reference"] == program:  # what its own request became stays here; it may only call it off
        off = task_states.allowed_moves(status, Party.REQUESTER) & {"cancelled"}
        return Moves(status, tier, off, frozenset(), False, etag)
    if task["owner"]["reference"] != program:
        raise NothingToShowError(rule="R19")
    return Moves(
        status,
        tier,
        task_states.moves_of_target(tier, status),
        task_states.business_codes(tier),
        task_states.may_write_output(tier),
        etag,
    )

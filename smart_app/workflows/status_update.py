"""A program writes back on a Task: only what the survivor's release names, or nothing (R20)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import NoReturn

from fhir_profiles.security_labels import label_problems
from fhir_profiles.validation import Issue, validate
from smart_app.errors import InvalidError, NothingToShowError, PreconditionError, RefusedError
from smart_app.policy import status_back, task_patch, task_states, task_view
from smart_app.policy.access import Requester
from smart_app.policy.task_states import Party, Tier
from smart_app.ports import Door, Payload, Stored, UnitOfWork

PROFILE = "referral-task"
BodyOf = Callable[[Payload], Payload]


@dataclass(frozen=True)
class Updated:
    """The Task as its sender may now read it, and the ETag of exactly that."""

    payload: Payload
    etag: str


def update_from_partner(
    door: Door, requester: Requester, task_id: str, body: Payload, if_match: str, now: datetime
) -> Updated:
    """Store what a program tells about Task ``task_id``, inside release B and its tier; anything else is refused with
    constant bytes, audited, and not stored. A program may also cancel its own request to us.

    Order of refusals: ``InvalidError`` from the body alone; ``NothingToShowError`` (not this program's Task);
    ``RefusedError`` without a release; ``PreconditionError``; ``RefusedError`` outside the release; ``InvalidError``
    with the allowed moves.
    """
    _require_valid(task_id, body)
    with door.open_for(requester, now) as work:
        stored = work.read(f"Task/{task_id}")
        if status_back.lowers_labels(stored.payload, body):
            _refuse(work, stored.reference, "R3")
        return _updated_by(work, stored, lambda shown: body, if_match)


def patch_from_partner(
    door: Door, requester: Requester, task_id: str, steps: list[task_patch.Step], if_match: str, now: datetime
) -> Updated:
    """The same for ``steps`` on what the program may read. The release is asked first, then the version: a patch is
    not even tried on what its sender may not change."""
    with door.open_for(requester, now) as work:
        stored = work.read(f"Task/{task_id}")

        def body_of(shown: Payload) -> Payload:
            try:
                body = task_patch.applied(shown, steps)
            except task_patch.PatchError as error:
                raise InvalidError(issues=[error.issue]) from None
            _require_valid(task_id, body)
            if status_back.lowers_labels(stored.payload, body):
                _refuse(work, stored.reference, "R3")
            return body

        return _updated_by(work, stored, body_of, if_match)


def _updated_by(work: UnitOfWork, stored: Stored, body_of: BodyOf, if_match: str) -> Updated:
    """``body_of`` gives the Task as its sender wants it, from the Task as it may read it."""
    reference, program = stored.reference, work.requester.user_reference
    if stored.payload["requester"]["reference"] == program:
        return _cancel_own_request(work, stored, body_of, if_match)
    if stored.payload["owner"]["reference"] != program:
        raise NothingToShowError(rule="R19")
    tier = _tier(work, stored)
    if tier is Tier.NONE:
        _refuse(work, reference, "R20")
    shown = status_back.our_request_as_program_sees_it(stored.payload)
    if if_match != status_back.etag_of(shown):
        raise PreconditionError
    body = body_of(shown)
    asked = status_back.asked_change(shown, body)
    if not status_back.is_inside(asked, tier):
        _refuse(work, reference, "R20")
    if asked.is_nothing:
        return _updated(shown)
    if asked.changes_status:
        _require_move(str(shown["status"]), asked.status, Party.TARGET)
    changed = work.amend(reference, lambda current: status_back.apply(current, body, asked), if_match=stored.etag)
    return _updated(status_back.our_request_as_program_sees_it(changed.payload))


def _cancel_own_request(work: UnitOfWork, stored: Stored, body_of: BodyOf, if_match: str) -> Updated:
    """The survivor changed their mind: the program that asked says "cancelled", nothing else. The answer is judged by
    what the program may see, so that it does not tell what became of the request here (R21); what is stored is judged
    by the Task as it stands: one that has ended stays ended."""
    tier = _tier(work, stored)
    named = status_back.appointment_to_name(one.payload for one in work.in_case(stored.case_id, "Appointment"))
    shown = status_back.own_request_as_sender_sees_it(stored.payload, appointment_reference=named, tier=tier)
    if if_match != status_back.etag_of(shown):
        raise PreconditionError
    body = body_of(shown)
    asked = status_back.asked_change(shown, body)
    if asked.is_nothing:
        return _updated(shown)
    if asked.is_outside or asked.business_code is not None or asked.has_output or asked.status != "cancelled":
        _refuse(work, stored.reference, "R20")
    _require_move(str(shown["status"]), asked.status, Party.REQUESTER)
    changed = work.amend(stored.reference, status_back.called_off_by_sender, if_match=stored.etag)
    return _updated(status_back.own_request_as_sender_sees_it(changed.payload, appointment_reference=None, tier=tier))


def _require_valid(task_id: str, body: Payload) -> None:
    """What the body alone can tell. Labels below ours are for later: their answer depends on who may read (R3)."""
    issues = validate(_without_labels(body), PROFILE)
    if not issues and body.get("id") != task_id:
        issues = [Issue("error", "invalid", "Task.id", "The id is not that of the address.")]
    if not issues:
        issues = [Issue("error", "business-rule", "Task.meta.security", text) for text in label_problems(body, ())]
    if issues:
        raise InvalidError(issues=issues)


def _without_labels(body: Payload) -> Payload:
    """A ``meta`` that held nothing but labels goes with them: an empty element is no FHIR."""
    meta = body.get("meta")
    if not isinstance(meta, dict) or "security" not in meta:
        return body
    rest = {key: value for key, value in meta.items() if key != "security"}
    return {**{key: value for key, value in body.items() if key != "meta"}, **({"meta": rest} if rest else {})}


def _tier(work: UnitOfWork, stored: Stored) -> Tier:
    releases = [consent.payload for consent in work.in_case(stored.case_id, "Consent")]
    return task_view.tier_of(stored.payload, releases, now=work.now, zone=work.zone)


def _require_move(status: str, new_status: str, party: Party) -> None:
    if not task_states.is_move_allowed(status, new_status, party):
        allowed = ", ".join(sorted(task_states.allowed_moves(status, party))) or "none"
        words = f"This move is not allowed now. Allowed from here: {allowed}."
        raise InvalidError(issues=[Issue("error", "business-rule", "Task.status", words)])


def _refuse(work: UnitOfWork, reference: str, rule: str) -> NoReturn:
    work.audit_refusal(rule, partner_id=work.requester.program_id, reference=reference)
    raise RefusedError(rule=rule)


def _updated(shown: Payload) -> Updated:
    return Updated(shown, status_back.etag_of(shown))

"""Releases after a referral was sent: a program posts the survivor's own (B), or the survivor takes ours (A) back."""

from __future__ import annotations

from datetime import datetime

from fhir_profiles import release_consent
from fhir_profiles.validation import Issue, validate
from smart_app.errors import ConflictError, InvalidError, NothingToShowError
from smart_app.policy import attestation, consent, status_back, task_states
from smart_app.policy.access import Requester
from smart_app.policy.task_states import Party
from smart_app.ports import Door, Payload, Stored, UnitOfWork

PROFILE = "release-consent"
_ONE_TASK = "A release posted alone names one Task that this clinic sent, and nothing else."
_ITS_PATIENT = "The patient is the one in Task.for."


def record_from_partner(
    door: Door, requester: Requester, payload: Payload, now: datetime, *, our_organization: str, public_base_url: str
) -> Stored:
    """Store release B of ``requester`` ("Organization/<partner>") for one Task that we sent it.

    ``our_organization`` is "Organization/<tenant id>". The Task may be named "Task/<id>" or by its full address under
    ``public_base_url``. The same release again gives the one already stored.

    Raises ``InvalidError`` (422, decided from the body alone), ``NothingToShowError`` (not this program's Task) and
    ``ConflictError`` (the same release number with other content).
    """
    posted = _with_relative_items(payload, f"{public_base_url}/fhir/")
    issues = validate(posted, PROFILE)
    task_reference = None if issues else _task_of(posted)
    if task_reference is None:
        return _refuse(door, requester, issues or [_issue("Consent.provision.data", _ONE_TASK)], now)
    with door.open_for(requester, now) as work:
        found = attestation.problems(
            posted,
            discloser=requester.user_reference,
            recipient=our_organization,
            items=[task_reference],
            now=now,
            zone=work.zone,
        )
        if found:
            work.audit_refusal("R20")
            issues = [_issue(expression, attestation.WORDS[expression]) for expression in found]
            raise InvalidError(issues=issues, rule="R20")
        return _store(work, posted, task_reference, our_organization)


def withdraw(door: Door, requester: Requester, case_id: str, now: datetime) -> None:
    """The survivor takes the release back, by voice: nothing more of this referral is sent from the commit on, and a
    program that may have it has to be told "cancelled", without a reason (R11). Our own record stays. Taken back twice
    is taken back once; a referral that never left is closed with it.

    Raises ``NothingToShowError`` when the launched patient has no such referral, or not for this person.
    """
    with door.open_for(requester, now) as work:
        tasks = work.in_case(case_id, "Task")
        if not tasks:
            raise NothingToShowError
        task = tasks[0].payload
        ours = task["requester"]["reference"]
        given = [
            one.reference
            for one in work.in_case(case_id, "Consent")
            if release_consent.discloser_of(one.payload) == ours and one.payload["status"] == "active"
        ]
        if not given:
            return
        for reference in given:
            work.amend(reference, consent.withdrawn)
        if task_states.is_move_allowed(task["status"], "cancelled", Party.REQUESTER):
            work.amend(tasks[0].reference, lambda current: status_back.moved(current, "cancelled", reason="closed"))
        partner_id = task["owner"]["reference"].removeprefix("Organization/")
        work.outbox.add(kind="cancel", case_id=case_id, reference=tasks[0].reference, partner_id=partner_id)
        work.facts.count("referral", "withdrawn")
        if work.outbox.state_of(case_id) != "recalled":
            work.close_case(case_id)


def _store(work: UnitOfWork, posted: Payload, task_reference: str, our_organization: str) -> Stored:
    task = work.read(task_reference)
    is_ours = task.payload["requester"]["reference"] == our_organization
    if not is_ours or posted["patient"]["reference"] != task.payload["for"]["reference"]:
        work.audit_refusal("R20", reference=task_reference)
        issue = _issue("Consent.patient", _ITS_PATIENT) if is_ours else _issue("Consent.provision.data", _ONE_TASK)
        raise InvalidError(issues=[issue], rule="R20")
    for known in work.in_case(task.case_id, "Consent"):
        if known.payload.get("sourceReference") == posted["sourceReference"]:
            return _same_or_conflict(known, posted)
    return work.create(_without_sender_s_own(posted), case_id=task.case_id)


def _without_sender_s_own(posted: Payload) -> Payload:
    """The release without the ids and version that its sender gave it: nothing a sender chose names a row here."""
    meta = {key: value for key, value in posted.get("meta", {}).items() if key in ("profile", "security")}
    fresh = {key: value for key, value in posted.items() if key not in ("id", "meta")}
    return {**fresh, "meta": meta} if meta else fresh


def _same_or_conflict(known: Stored, posted: Payload) -> Stored:
    """Posted again after a lost answer it is the same release; other content under its number is not."""
    apart = ("id", "meta")
    is_same = {key: value for key, value in known.payload.items() if key not in apart} == {
        key: value for key, value in posted.items() if key not in apart
    }
    if not is_same:
        raise ConflictError("This release number was used for another release.")
    return known


def _refuse(door: Door, requester: Requester, issues: list[Issue], now: datetime) -> Stored:
    with door.open_for(requester, now) as work:
        work.audit_refusal("R20")
        raise InvalidError(issues=issues, rule="R20")


def _with_relative_items(payload: Payload, base: str) -> Payload:
    """The same Consent with addresses under our own base written as "Type/<id>"."""
    provision = payload.get("provision")
    if not isinstance(provision, dict) or not isinstance(provision.get("data"), list):
        return payload
    data = [_with_relative_item(item, base) for item in provision["data"]]
    return {**payload, "provision": {**provision, "data": data}}


def _with_relative_item(item: object, base: str) -> object:
    target = item.get("reference") if isinstance(item, dict) else None
    reference = target.get("reference") if isinstance(target, dict) else None
    if not isinstance(item, dict) or not isinstance(target, dict) or not isinstance(reference, str):
        return item
    return {**item, "reference": {**target, "reference": reference.removeprefix(base)}}


def _task_of(posted: Payload) -> str | None:
    """The one Task that the release names, or None when it names anything else."""
    items = release_consent.items_of(posted)
    return items[0] if len(items) == 1 and items[0].startswith("Task/") else None


def _issue(expression: str, words: str) -> Issue:
    return Issue("error", "invalid", expression, words)

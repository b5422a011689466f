"""What comes back and how far: the Task as a program may see it, and what a program asks to change (R20, R21).

Pure. A program that referred somebody to us sees "received" and nothing more, until the survivor's release says that
it may know day and time; the ETag is made from what is shown, so that it cannot tell what is not shown.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from fhir_profiles import referral_task, security_labels
from smart_app.policy import task_states
from smart_app.policy.task_states import Party, Tier

Payload = dict[str, Any]

RECEIVED = referral_task.business_status_of("received-by-inbox")
# What the sender itself wrote about its own request is no news to it.
SENDERS_OWN = frozenset({"cancelled", "entered-in-error"})
# BSeR's "cancellation requested": its sender called the request off after it had ended here. The ending stays.
CALLED_OFF = "5.2"
CLOSING = frozenset({"handoff-made", "patient-reports-connected", "no-information"})
TIERS_WITH_TIME = frozenset({Tier.APPOINTMENT, Tier.OUTCOME})
REFUSAL_REASONS: tuple[str, ...] = tuple(code for code in referral_task.REASONS if code != "closed")

_WRITABLE = frozenset({"status", "statusReason", "businessStatus", "output"})
_OURS_TO_KEEP = frozenset({"meta", "lastModified"})
_REASONED = frozenset({"rejected", "cancelled", "failed", "on-hold"})


@dataclass(frozen=True)
class Asked:
    """What a submitted Task would change. ``business_code`` is None where nothing is asked;
    ``is_outside``: it touches something that no release opens."""

    status: str
    changes_status: bool
    business_code: str | None
    has_output: bool
    is_outside: bool

    @property
    def is_nothing(self) -> bool:
        """True when the body is what the caller already reads."""
        return not (self.changes_status or self.business_code or self.has_output or self.is_outside)


def etag_of(shown: Payload) -> str:
    """A weak ETag of exactly what is shown."""
    canonical = json.dumps(shown, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return f'W/"{hashlib.sha256(canonical.encode()).hexdigest()[:32]}"'


def without_history(payload: Payload) -> Payload:
    """The payload without version and time of its last change: both move when something hidden moves."""
    meta = {key: value for key, value in (payload.get("meta") or {}).items() if key in ("profile", "security")}
    return _as_payload({**{key: value for key, value in payload.items() if key not in _OURS_TO_KEEP}, "meta": meta})


def our_request_as_program_sees_it(task: Payload) -> Payload:
    """A referral that we sent to a program. What the patient told us about how it ended is not for the program."""
    shown = without_history(task)
    if business_code_of(task) in CLOSING:
        del shown["businessStatus"]
    return shown


def own_request_as_sender_sees_it(task: Payload, *, appointment_reference: str | None, tier: Tier) -> Payload:
    """A referral that a program sent to us. ``tier`` is that of release A in force now (we to the program)."""
    shown = without_history(task)
    shown.pop("output", None)
    if business_code_of(task) == CALLED_OFF:
        shown |= {"status": "cancelled", "statusReason": referral_task.status_reason("closed")}
    if is_called_off(task):
        if not task_states.may_write_business_status(tier, business_code_of(task) or ""):
            shown["businessStatus"] = RECEIVED
        return _as_payload(shown)
    if not task_states.may_write_status(tier, str(task.get("status"))):
        shown.pop("statusReason", None)
        shown |= {"status": "requested", "businessStatus": RECEIVED}
        return _as_payload(shown)
    if not task_states.may_write_business_status(tier, business_code_of(task) or ""):
        shown["businessStatus"] = RECEIVED
    if tier in TIERS_WITH_TIME and appointment_reference is not None:
        shown["output"] = [referral_task.appointment_output(appointment_reference)]
    return _as_payload(shown)


def appointment_to_name(appointments: Iterable[Payload]) -> str | None:
    """ "Appointment/<id>" of the visit that a Task may name, where the release allows it: one with a day and time. The
    same for who reads the Task and for who writes on it, or its ETag would never match."""
    named = [f"Appointment/{one['id']}" for one in appointments if one["status"] in ("booked", "fulfilled")]
    return named[0] if named else None


def appointment_as_sender_sees_it(appointment: Payload) -> Payload:
    """Day and time, and that it was cancelled where it was. The reason stays here."""
    shown = without_history(appointment)
    shown.pop("cancelationReason", None)
    return shown


def asked_change(shown: Payload, body: Payload) -> Asked:
    """Compare a submitted Task with what its sender may read. Leaving out what it may write changes nothing."""
    status = str(body.get("status"))
    changes_status = status != shown.get("status")
    business = body.get("businessStatus", shown.get("businessStatus"))
    reason = body.get("statusReason", shown.get("statusReason"))
    rest = _WRITABLE | _OURS_TO_KEEP
    return Asked(
        status=status,
        changes_status=changes_status,
        business_code=_business_code(business) if business != shown.get("businessStatus") else None,
        has_output=body.get("output", shown.get("output")) != shown.get("output"),
        is_outside=(reason != shown.get("statusReason") and not changes_status)
        or {key: value for key, value in body.items() if key not in rest}
        != {key: value for key, value in shown.items() if key not in rest},
    )


def is_inside(asked: Asked, tier: Tier) -> bool:
    """May a program under a release of ``tier`` tell us this? Tier none tells nothing, not even nothing new."""
    if tier is Tier.NONE or asked.is_outside:
        return False
    return (
        (not asked.changes_status or task_states.may_write_status(tier, asked.status))
        and (asked.business_code is None or task_states.may_write_business_status(tier, asked.business_code))
        and (not asked.has_output or task_states.may_write_output(tier))
    )


def apply(task: Payload, body: Payload, asked: Asked) -> Payload:
    """The next Task: only what was asked, reasons in our own words, labels raised and never lowered."""
    changed = dict(task)
    if asked.changes_status:
        changed["status"] = asked.status
        changed.pop("statusReason", None)
        if asked.status in _REASONED:
            changed["statusReason"] = _reason(body, asked.status)
    if asked.business_code is not None:
        changed["businessStatus"] = body["businessStatus"]
    if asked.has_output:
        changed["output"] = body["output"]
    return {**changed, "meta": {**task.get("meta", {}), "security": _raised(task, body)}}


def moved(task: Payload, status: str, *, reason: str | None = None, business_status: str | None = None) -> Payload:
    """The Task after a move of ours. ``reason`` and ``business_status`` are codes of the Task profile."""
    changed = {**task, "status": status}
    if reason is not None:
        changed["statusReason"] = referral_task.status_reason(reason)
    if business_status is not None:
        changed["businessStatus"] = referral_task.business_status_of(business_status)
    return changed


def called_off_by_sender(task: Payload) -> Payload:
    """The next Task once its sender called it off. What has ended here keeps its ending, with a mark beside it that its
    sender reads as "cancelled": an answer that said "too late" would tell that it had ended (R21)."""
    if task_states.is_move_allowed(str(task["status"]), "cancelled", Party.REQUESTER):
        return moved(task, "cancelled", reason="closed")
    return {**task, "businessStatus": referral_task.business_status_of(CALLED_OFF)}


def is_called_off(task: Payload) -> bool:
    """Did the program that asked take its request back?"""
    return task.get("status") in SENDERS_OWN or business_code_of(task) == CALLED_OFF


def lowers_labels(stored: Payload, body: Payload) -> bool:
    """True when the body carries labels but not all of ours. A body without any label takes ours (R3)."""
    sent = set(security_labels.labels_of(body))
    return bool(sent) and not set(security_labels.labels_of(stored)) <= sent


def business_code_of(task: Payload) -> str | None:
    """The code of ``businessStatus``, or None."""
    return _business_code(task.get("businessStatus"))


def _as_payload(shown: Payload) -> Payload:
    made: Payload = _ordered(shown)
    return made


def _ordered(value: Any) -> Any:
    """The same value with its keys in one order: the order in which elements were once added tells what moved."""
    if isinstance(value, list):
        return [_ordered(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {key: _ordered(value[key]) for key in sorted(value, key=lambda key: (key != "resourceType", key))}


def _raised(task: Payload, body: Payload) -> list[Payload]:
    ours = security_labels.labels_of(task)
    added = [label for label in security_labels.labels_of(body) if label not in ours]
    return [*task.get("meta", {}).get("security", []), *security_labels.as_security(added)]


def _business_code(value: object) -> str | None:
    """The single code of a businessStatus of the Task profile; any other shape is a code that nobody may write."""
    if not isinstance(value, dict):
        return None
    codings = value.get("coding")
    code = codings[0].get("code") if isinstance(codings, list) and codings and isinstance(codings[0], dict) else None
    try:
        is_of_profile = isinstance(code, str) and referral_task.business_status_of(code) == value
    except ValueError:
        is_of_profile = False
    return code if is_of_profile and isinstance(code, str) else "unknown"


def _reason(body: Payload, status: str) -> Payload:
    if status == "cancelled":
        return referral_task.status_reason("closed")
    return referral_task.imported_reason(body.get("statusReason") or {})

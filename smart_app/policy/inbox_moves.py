"""What a program's person may tell the clinic about an item now: the moves that release B opens, and no button more.

Pure. Without a release that is nothing at all (R20); the inbox then offers Open, "We are full today" and the telephone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from smart_app.policy import status_back, task_states
from smart_app.policy.task_states import ENDED, Tier

Payload = dict[str, Any]

STATUSES = ("accepted", "in-progress", "on-hold", "completed", "failed", "rejected", "cancelled")
CONTACT_CODES = ("contact-made", "5.1.1", "5.1.3", "5.1.4", "5.1.2")
REASONED = frozenset({"rejected", "on-hold", "failed"})


@dataclass(frozen=True)
class Move:
    """One button. ``code`` is a Task status, or a businessStatus code where ``is_contact``. ``reasons``: codes to
    choose from, nothing about the person among them."""

    code: str
    is_contact: bool = False
    reasons: tuple[str, ...] = ()


def moves(task: Payload, tier: Tier) -> tuple[Move, ...]:
    """The buttons of an item, in the order in which things happen. ``task`` is as the program sees it."""
    status = str(task.get("status"))
    if tier is Tier.NONE or status in ENDED:
        return ()
    allowed = task_states.moves_of_target(tier, status)
    offered = [
        Move(code, reasons=status_back.REFUSAL_REASONS if code in REASONED else ())
        for code in STATUSES
        if code in allowed
    ]
    told = status_back.business_code_of(task)
    offered += [
        Move(code, is_contact=True)
        for code in CONTACT_CODES
        if code != told and task_states.may_write_business_status(tier, code)
    ]
    return tuple(offered)


def moved(task: Payload, move: Move, reason: str | None) -> Payload:
    """The Task that a program's system would put to say the same. ``reason`` is one of the move's, else None."""
    if move.is_contact:
        return status_back.moved(task, str(task["status"]), business_status=move.code)
    if move.code == "cancelled":
        return status_back.moved(task, move.code, reason="closed")
    changed = {key: value for key, value in task.items() if key != "statusReason"}
    return status_back.moved(changed, move.code, reason=reason if reason in move.reasons else None)

"""The life of a referral Task: which move is allowed to whom, and what a release lets a program write.

The ten statuses are R4's without ``ready`` and ``received``, as in Gravity's ``SDOHCCValueSetReferralTaskStatus``.
``rejected`` after ``accepted`` is allowed to the target, as in BSeR: a program may find out later that it cannot help.
Source: https://hl7.org/fhir/us/sdoh-clinicalcare/ (ReferralTaskStateDiagram), https://hl7.org/fhir/us/bser/
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from itertools import product

STATUSES: tuple[str, ...] = (
    "draft",
    "requested",
    "accepted",
    "rejected",
    "in-progress",
    "on-hold",
    "completed",
    "failed",
    "cancelled",
    "entered-in-error",
)
ENDED: frozenset[str] = frozenset({"rejected", "completed", "failed", "cancelled", "entered-in-error"})


class Party(StrEnum):
    """Who moves a Task: ``Task.requester`` asked, ``Task.owner`` is the target."""

    REQUESTER = "requester"
    TARGET = "target"


class Tier(StrEnum):
    """How much the survivor's release lets come back. Each tier holds the ones before it."""

    NONE = "none"
    CONTACT = "contact"
    APPOINTMENT = "appointment"
    OUTCOME = "outcome"


_TARGET_MOVES: Mapping[str, frozenset[str]] = {
    "requested": frozenset({"accepted", "rejected"}),
    "accepted": frozenset({"in-progress", "on-hold", "completed", "failed", "rejected"}),
    "in-progress": frozenset({"on-hold", "completed", "failed"}),
    "on-hold": frozenset({"in-progress", "completed", "failed"}),
}
_EITHER_MOVES: Mapping[str, frozenset[str]] = {
    status: frozenset({"cancelled"}) for status in ("requested", "accepted", "in-progress", "on-hold")
}

_STATUSES_BY_TIER: Mapping[Tier, frozenset[str]] = {
    Tier.CONTACT: frozenset({"accepted", "rejected", "cancelled", "in-progress", "on-hold"}),
    Tier.OUTCOME: frozenset({"completed", "failed"}),
}
_BUSINESS_CODES_BY_TIER: Mapping[Tier, frozenset[str]] = {
    Tier.CONTACT: frozenset({"contact-made"}),
    Tier.APPOINTMENT: frozenset({"5.1.1", "5.1.3"}),
    Tier.OUTCOME: frozenset({"5.1.2", "5.1.4"}),
}


def allowed_moves(status: str, party: Party) -> frozenset[str]:
    """The statuses ``party`` may set while the Task is in ``status``. Empty for a status that is not in the table."""
    if status not in STATUSES:
        return frozenset()
    if party is Party.TARGET:
        return _TARGET_MOVES.get(status, frozenset()) | _EITHER_MOVES.get(status, frozenset())
    corrections = frozenset() if status == "entered-in-error" else frozenset({"entered-in-error"})
    first = frozenset({"requested"}) if status == "draft" else frozenset()
    return first | _EITHER_MOVES.get(status, frozenset()) | corrections


def is_move_allowed(status: str, new_status: str, party: Party) -> bool:
    """True for a move of the table. Staying in a status is no move."""
    return new_status in allowed_moves(status, party)


def may_write_status(tier: Tier, status: str) -> bool:
    """May a program under a release of this tier tell us this status?"""
    return status in _reached(tier, _STATUSES_BY_TIER)


def moves_of_target(tier: Tier, status: str) -> frozenset[str]:
    """The statuses that a program may tell us now: the moves of the table that its release lets through."""
    return frozenset(new for new in allowed_moves(status, Party.TARGET) if may_write_status(tier, new))


def may_write_business_status(tier: Tier, code: str) -> bool:
    """May a program under a release of this tier tell us this ``businessStatus`` code?"""
    return code in business_codes(tier)


def business_codes(tier: Tier) -> frozenset[str]:
    """The ``businessStatus`` codes that a program under a release of this tier may tell us."""
    return _reached(tier, _BUSINESS_CODES_BY_TIER)


def may_write_output(tier: Tier) -> bool:
    """Only a release of the whole outcome lets ``Task.output`` come back."""
    return tier is Tier.OUTCOME


def all_pairs() -> list[tuple[str, str]]:
    """Every (from, to), for tables and tests."""
    return list(product(STATUSES, STATUSES))


def _reached(tier: Tier, by_tier: Mapping[Tier, frozenset[str]]) -> frozenset[str]:
    order = list(Tier)
    return frozenset().union(*(by_tier.get(lower, frozenset()) for lower in order[: order.index(tier) + 1]))

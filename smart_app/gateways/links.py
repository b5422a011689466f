"""How a requester is tied to a case, and what a tie may create. Pure: the store's answers come in as booleans.

A person may be tied in several ways at once; the door asks the table for each and takes the one that opens most.
The role handed in never counts for more than the tie proves: "author" is who opened this very case, "care team" is
who was launched with this patient's encounter now and whom configuration lists as treating.
"""

from __future__ import annotations

from dataclasses import dataclass

from smart_app.policy.access import Link, Origin, Requester, Result, Role
from smart_app.ports import CaseKind

CLINICAL = frozenset({Role.CLINICIAN, Role.AUTHOR, Role.CARE_TEAM})
# What the health center makes inside a program's case: the program sees it only inside release A (R21).
MADE_BY_US = frozenset({"Appointment"})
CREATES: dict[tuple[Role, Link], frozenset[str]] = {
    (Role.AUTHOR, Link.AUTHOR): frozenset({"Observation", "Patient", "ServiceRequest", "Task", "Consent"}),
    (Role.CARE_TEAM, Link.CARE_TEAM): frozenset({"Observation", "Patient", "ServiceRequest", "Task", "Consent"}),
    (Role.ADVOCATE, Link.AUTHOR): frozenset({"Patient", "ServiceRequest", "Task", "Consent", "Appointment"}),
    (Role.ADVOCATE, Link.REFERRAL_PARTY): frozenset({"Consent"}),
}


@dataclass(frozen=True)
class Tie:
    """One way in: the role and link to ask the table about."""

    role: Role
    link: Link


@dataclass(frozen=True)
class Facts:
    """What the store says about a requester and a case."""

    is_author: bool
    is_partner: bool
    is_launched_patient: bool
    kind: CaseKind
    is_excluded: bool = False

    @property
    def origin(self) -> Origin:
        """Whose record: what a program sent us is the program's."""
        return Origin.DSV_PROGRAM if self.kind is CaseKind.INBOUND else Origin.HEALTH_CENTER


def ties(requester: Requester, facts: Facts, resource_type: str, *, is_new: bool = False) -> list[Tie]:
    """All ties, at least one. ``is_new``: the resource is being created now."""
    if requester.role in CLINICAL:
        return _clinical(requester, facts)
    if requester.role is Role.ADVOCATE:
        return [Tie(Role.ADVOCATE, _of_partner(facts, resource_type, is_new))]
    if requester.role is Role.SCHEDULER:
        is_inbound = facts.kind is CaseKind.INBOUND
        return [Tie(Role.SCHEDULER, Link.REFERRAL_PARTY if is_inbound else Link.NONE)]
    is_copy = requester.role is Role.PATIENT and requester.copy_id is not None and facts.is_launched_patient
    return [Tie(requester.role, Link.SUBJECT if is_copy else Link.NONE)]


def may_create(tie: Tie, result: Result, resource_type: str) -> bool:
    """May this tie add a resource of this type to the case?"""
    return result is Result.PERMIT and resource_type in CREATES.get((tie.role, tie.link), frozenset())


def may_open(requester: Requester, kind: CaseKind, *, is_own_patient: bool, is_own_program: bool) -> bool:
    """Clinicians open disclosures and referrals of the launched patient, a program's system what it refers itself."""
    if kind is CaseKind.INBOUND:
        return requester.role is Role.ADVOCATE and is_own_program
    return requester.role in CLINICAL and is_own_patient


def _clinical(requester: Requester, facts: Facts) -> list[Tie]:
    is_here = facts.is_launched_patient and requester.encounter_id is not None
    found = []
    if facts.is_author:
        found.append(Tie(Role.AUTHOR, Link.AUTHOR))
    if is_here and requester.is_treating:
        found.append(Tie(Role.CARE_TEAM, Link.CARE_TEAM))
    if is_here:
        found.append(Tie(Role.CLINICIAN, Link.ENCOUNTER_NOW))
    return found or [Tie(Role.CLINICIAN, Link.NONE)]


def _of_partner(facts: Facts, resource_type: str, is_new: bool) -> Link:
    if not facts.is_partner:
        return Link.NONE
    if facts.is_author and (is_new or resource_type not in MADE_BY_US):
        return Link.AUTHOR
    return Link.REFERRAL_PARTY

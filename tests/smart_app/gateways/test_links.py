"""How people are tied to a case: a role alone is never enough."""

from __future__ import annotations

import itertools

from smart_app.gateways import links
from smart_app.gateways.links import Facts, Tie
from smart_app.policy.access import Link, Purpose, Requester, Result, Role
from smart_app.ports import CaseKind

EVERY = [Facts(*known, kind) for known in itertools.product((True, False), repeat=3) for kind in CaseKind]


def asks(role: Role, **more) -> Requester:
    return Requester(role, "Practitioner/x", Purpose.TREAT, **more)


def test_a_tie_says_no_more_than_the_facts_prove():
    """Who says "author" without being it, or "care team" without the visit, is neither."""
    for facts, role, encounter, is_treating in itertools.product(EVERY, Role, (None, "enc-1"), (True, False)):
        check(facts, role, encounter, is_treating)


def check(facts: Facts, role: Role, encounter: str | None, is_treating: bool) -> None:
    found = links.ties(asks(role, encounter_id=encounter, is_treating=is_treating), facts, "Task")
    assert found
    for tie in found:
        is_clinical = role in links.CLINICAL
        if tie.role is Role.AUTHOR or tie.link is Link.AUTHOR:
            assert facts.is_author
        if tie.role is Role.CARE_TEAM or tie.link is Link.CARE_TEAM:
            assert is_clinical
            assert facts.is_launched_patient
            assert encounter
            assert is_treating
        if tie.link is Link.ENCOUNTER_NOW:
            assert is_clinical
            assert facts.is_launched_patient
            assert encounter
        if tie.link is Link.REFERRAL_PARTY:
            assert (role is Role.ADVOCATE and facts.is_partner) or (
                role is Role.SCHEDULER and facts.kind is CaseKind.INBOUND
            )
        assert tie.link is not Link.SUBJECT
        if not is_clinical:
            assert tie.role is role


def test_only_four_ties_may_add_something():
    """A scheduler, an officer, a patient's app and a stranger add nothing to any case."""
    may = {
        (tie.role, tie.link, kind)
        for tie in (Tie(role, link) for role in Role for link in Link)
        for kind in ("Observation", "Patient", "ServiceRequest", "Task", "Consent", "Appointment")
        if links.may_create(tie, Result.PERMIT, kind)
    }
    assert {(role, link) for role, link, _ in may} == {
        (Role.AUTHOR, Link.AUTHOR),
        (Role.CARE_TEAM, Link.CARE_TEAM),
        (Role.ADVOCATE, Link.AUTHOR),
        (Role.ADVOCATE, Link.REFERRAL_PARTY),
    }
    assert {kind for role, link, kind in may if link is Link.REFERRAL_PARTY} == {"Consent"}
    assert not any(
        links.may_create(Tie(Role.AUTHOR, Link.AUTHOR), result, "Task")
        for result in Result
        if result is not Result.PERMIT
    )

"""How people are tied to a case: a role alone is never enough."""

from __future__ import annotations

import itertools
from dataclasses import FrozenInstanceError

import pytest

from smart_app.gateways import links
from smart_app.gateways.links import Facts, Tie
from smart_app.policy.access import Link, Origin, Purpose, Requester, Result, Role
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


def test_who_may_open_a_case_of_which_kind():
    """A program opens its own inbound requests, clinicians what belongs to the launched patient, nobody else
    anything. Fails when ``may_open`` forgets the role, the patient or the program."""
    for role, kind, is_patient, is_program in itertools.product(Role, CaseKind, (True, False), (True, False)):
        found = links.may_open(asks(role), kind, is_own_patient=is_patient, is_own_program=is_program)
        inbound = kind is CaseKind.INBOUND
        assert found is ((role is Role.ADVOCATE and is_program) if inbound else (role in links.CLINICAL and is_patient))


def test_each_tie_that_the_facts_prove_is_found():
    """An author with the visit is also care team; each fact opens its own way in and no other. Fails when ``ties``
    leaves one out."""
    facts = Facts(True, True, True, CaseKind.REFERRAL)
    clinician = asks(Role.CLINICIAN, encounter_id="enc-1", is_treating=True)
    assert links.ties(clinician, facts, "Task") == [
        Tie(Role.AUTHOR, Link.AUTHOR),
        Tie(Role.CARE_TEAM, Link.CARE_TEAM),
        Tie(Role.CLINICIAN, Link.ENCOUNTER_NOW),
    ]
    stranger = Facts(False, False, False, CaseKind.REFERRAL)
    for role in (Role.CLINICIAN, Role.AUTHOR, Role.CARE_TEAM):
        assert links.ties(asks(role), stranger, "Task") == [Tie(Role.CLINICIAN, Link.NONE)]


def test_a_program_is_author_of_what_it_made_and_party_to_our_visit():
    """A visit that we made in a program's case is no record of the program's, unless it adds one itself now. Fails
    when ``_of_partner`` forgets ``MADE_BY_US`` or ``is_new``."""
    facts = Facts(True, True, False, CaseKind.INBOUND)
    assert links.ties(asks(Role.ADVOCATE), facts, "Task") == [Tie(Role.ADVOCATE, Link.AUTHOR)]
    assert links.ties(asks(Role.ADVOCATE), facts, "Appointment") == [Tie(Role.ADVOCATE, Link.REFERRAL_PARTY)]
    assert links.ties(asks(Role.ADVOCATE), facts, "Appointment", is_new=True) == [Tie(Role.ADVOCATE, Link.AUTHOR)]
    party = Facts(False, True, False, CaseKind.REFERRAL)
    for is_new in (True, False):
        found = links.ties(asks(Role.ADVOCATE), party, "Task", is_new=is_new)
        assert found == [Tie(Role.ADVOCATE, Link.REFERRAL_PARTY)]
    nobody = Facts(True, False, False, CaseKind.INBOUND)
    assert links.ties(asks(Role.ADVOCATE), nobody, "Task") == [Tie(Role.ADVOCATE, Link.NONE)]


def test_a_scheduler_is_party_to_inbound_requests_only():
    """Requests that programs sent are the scheduler's work; what we sent is not. Fails when ``ties`` swaps the two."""
    for kind in CaseKind:
        (tie,) = links.ties(asks(Role.SCHEDULER), Facts(True, True, True, kind), "Task")
        assert tie.link is (Link.REFERRAL_PARTY if kind is CaseKind.INBOUND else Link.NONE)


def test_what_each_tie_may_add_is_written_down():
    """Author and care team add the parts of a referral, a program those of its request. Fails when a type leaves or
    joins the table."""
    parts = {"Patient", "ServiceRequest", "Task", "Consent"}
    expected = {
        Tie(Role.AUTHOR, Link.AUTHOR): parts | {"Observation"},
        Tie(Role.CARE_TEAM, Link.CARE_TEAM): parts | {"Observation"},
        Tie(Role.ADVOCATE, Link.AUTHOR): parts | {"Appointment"},
        Tie(Role.ADVOCATE, Link.REFERRAL_PARTY): {"Consent"},
    }
    for tie, kinds in expected.items():
        every = parts | {"Observation", "Appointment", "Communication"}
        assert {kind for kind in every if links.may_create(tie, Result.PERMIT, kind)} == kinds
    assert {role for role in Role if role in links.CLINICAL} == {Role.CLINICIAN, Role.AUTHOR, Role.CARE_TEAM}


def test_facts_and_ties_cannot_be_changed_afterwards():
    """What the store said stays as it was said; whose record it is follows from the kind. Fails without ``frozen``."""
    facts = Facts(False, False, False, CaseKind.INBOUND)
    assert facts.origin is Origin.DSV_PROGRAM
    assert Facts(False, False, False, CaseKind.REFERRAL).origin is Origin.HEALTH_CENTER
    with pytest.raises(FrozenInstanceError):
        facts.is_author = True
    with pytest.raises(FrozenInstanceError):
        Tie(Role.CLINICIAN, Link.NONE).link = Link.AUTHOR

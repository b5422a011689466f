"""What the releases of a case say, and what they never say."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from fhir_profiles.security_labels import enforced_labels
from smart_app.gateways.consent_register import ConsentRegister
from smart_app.gateways.vault import Head, label_text
from smart_app.policy.access import ConsentState
from smart_app.policy.consent import withdrawn

US, HARBOR = "Organization/hc1", "Organization/harbor"


@pytest.fixture
def case(world):
    """Heads of one referral, and its release."""
    patient, consent, request, task = world.parts()
    heads = [
        Head("case", one["resourceType"], one["id"], 1, number, label_text(enforced_labels(one)))
        for number, one in enumerate((patient, consent, request, task))
    ]
    return heads, consent


@pytest.fixture
def register():
    return ConsentRegister(US, ZoneInfo("America/Chicago"))


def deny(consent, **changes):
    return {**consent, "id": "no", "provision": {**consent["provision"], "type": "deny", **changes}}


def test_one_release_for_all_items_is_named(world, register, case):
    """The log can say by which signed form the referral left."""
    heads, consent = case
    for order in ([consent], [withdrawn(consent), consent], [consent, {**consent, "id": "second"}]):
        assert register.release_of(order, HARBOR, heads, heads, world.now) == f"Consent/{consent['id']}"


@pytest.mark.rule("R9")
def test_rule_R09_two_halves_do_not_make_a_release(world, register, case):
    """Two forms that each name a half are no release of the whole. Break: union the items in release_of."""
    heads, consent = case
    data = consent["provision"]["data"]
    halves = [{**consent, "id": str(n), "provision": {**consent["provision"], "data": [data[n]]}} for n in (0, 1)]
    assert register.release_of(halves, HARBOR, heads, heads, world.now) is None


@pytest.mark.rule("R9")
def test_rule_R09_somebody_elses_release_is_none(world, register, case):
    """Another person's signature does not count, and nobody can release something to itself.

    Break: drop the patient comparison in ConsentRegister._standing.
    """
    heads, consent = case
    foreign = {**consent, "patient": {"reference": "Patient/other"}}
    to_itself = {**consent, "organization": [{"reference": HARBOR}]}
    for one in (foreign, to_itself, {**consent, "patient": None}, {}):
        assert register.release_of([one], HARBOR, heads, heads, world.now) is None


def test_a_no_beats_every_yes_whoever_wrote_it(world, register, case):
    """An active "no" wins, even one that is written carelessly."""
    heads, consent = case
    for no in (
        deny(consent),
        deny(consent, actor=[]),
        {**deny(consent), "patient": {}},
        {**deny(consent), "organization": []},
    ):
        for order in ([consent, no], [no, consent]):
            assert register.release_of(order, HARBOR, heads, heads, world.now) is None
            standing = register.standing(order, world.program(), heads[3], heads, world.now)
            assert standing.state is ConsentState.DENY


def test_a_disclosure_is_released_only_when_it_is_named(world, register, case):
    """A referral's release does not open what the patient told."""
    heads, consent = case
    told = Head("case", "Observation", "o-1", 1, 9, heads[3].labels)
    assert register.standing([consent], world.program(), told, [*heads, told], world.now).state is ConsentState.NONE
    assert register.release_of([consent], HARBOR, [told], [*heads, told], world.now) is None


def test_the_last_day_of_a_release_is_the_clinics_own_day(world, register, case):
    """A release that ends on the 24th holds until midnight where the clinic is."""
    from datetime import UTC, datetime

    heads, consent = case
    last = {**consent, "provision": {**consent["provision"], "period": {"start": "2026-11-20", "end": "2026-11-24"}}}
    last["dateTime"] = "2026-11-20"
    evening, next_day = datetime(2026, 11, 25, 5, 59, tzinfo=UTC), datetime(2026, 11, 25, 6, 1, tzinfo=UTC)
    assert register.release_of([last], HARBOR, heads, heads, evening)
    assert register.release_of([last], HARBOR, heads, heads, next_day) is None

"""Partners and their agreements."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from smart_app.gateways.directory import DatedMouGate


def test_a_partner_comes_back_as_it_was_added(world, make_partner):
    """What the program lead enters is what the clinician's card shows."""
    new = make_partner("lakeside", says=("One.", "Zwei.", "Três."), fhir_address=None, client_id=None)
    world.directory.add_partner(new)
    assert world.directory.partner("lakeside") == new
    assert [one.partner_id for one in world.directory.partners()] == ["harbor", "lakeside", "northside"]
    world.directory.add_partner(make_partner("lakeside", phone="555-0999"))
    assert world.directory.partner("lakeside").phone == "555-0999"


def test_a_client_id_leads_to_its_partner_and_an_unknown_one_to_nobody(world):
    """A program's key says which program it is."""
    assert world.directory.partner_of_client("northside-system").partner_id == "northside"
    assert world.directory.partner_of_client("nobody") is None
    assert world.directory.partner("nobody") is None


def test_another_health_centers_partners_are_not_ours(world):
    """Each health center has its own agreements."""
    from smart_app.gateways.directory import SqlDirectory

    assert SqlDirectory(world.engine, "hc2").partners() == []


@pytest.mark.rule("R19")
@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        (datetime(2026, 1, 1, 5, 59, tzinfo=UTC), False),  # still New Year's Eve in Chicago
        (datetime(2026, 1, 1, 6, 0, tzinfo=UTC), True),
        (datetime(2027, 1, 2, 5, 59, tzinfo=UTC), True),  # the last evening of the last day
        (datetime(2027, 1, 2, 6, 0, tzinfo=UTC), False),
    ],
)
def test_rule_R19_an_agreement_counts_by_the_clinics_own_days(world, moment, is_open):
    """An agreement begins and ends at the clinic's midnight. Break: compare with now.date()."""
    gate = DatedMouGate(world.directory, "America/Chicago")
    assert gate.is_open("harbor", moment) is is_open


@pytest.mark.rule("R19")
def test_rule_R19_a_suspension_holds_from_the_next_request_on(world, make_partner):
    """A suspended program is shut out at once, on every worker, and an unknown one was never in.

    Break: drop is_suspended in DatedMouGate.
    """
    gate = DatedMouGate(world.directory, "America/Chicago")
    assert gate.is_open("harbor", world.now)
    world.directory.set_suspended("harbor", True)
    assert not gate.is_open("harbor", world.now)
    world.directory.set_suspended("harbor", False)
    assert gate.is_open("harbor", world.now)
    assert not gate.is_open("nobody", world.now)
    world.directory.add_partner(make_partner("old", mou_starts_on=date(2020, 1, 1), mou_ends_on=date(2020, 12, 31)))
    assert not gate.is_open("old", world.now)

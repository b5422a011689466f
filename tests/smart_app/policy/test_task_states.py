"""The states of a referral Task and what each release lets a program write."""

from __future__ import annotations

import pytest

from smart_app.policy import task_states
from smart_app.policy.task_states import ENDED, STATUSES, Party, Tier

OPEN = ("requested", "accepted", "in-progress", "on-hold")

# Written out by hand from the table, so that an edit of the code alone cannot agree with itself.
TARGET_MOVES = {
    ("requested", "accepted"),
    ("requested", "rejected"),
    ("requested", "cancelled"),
    ("accepted", "in-progress"),
    ("accepted", "on-hold"),
    ("accepted", "completed"),
    ("accepted", "failed"),
    ("accepted", "rejected"),
    ("accepted", "cancelled"),
    ("in-progress", "on-hold"),
    ("in-progress", "completed"),
    ("in-progress", "failed"),
    ("in-progress", "cancelled"),
    ("on-hold", "in-progress"),
    ("on-hold", "completed"),
    ("on-hold", "failed"),
    ("on-hold", "cancelled"),
}
REQUESTER_MOVES = {
    ("draft", "requested"),
    *((status, "cancelled") for status in OPEN),
    *((status, "entered-in-error") for status in STATUSES if status != "entered-in-error"),
}


def test_every_pair_of_statuses_for_both_parties() -> None:
    """All 10 x 10 x 2 moves are either in the table or refused."""
    assert len(task_states.all_pairs()) * len(Party) == 200
    for party, moves in ((Party.TARGET, TARGET_MOVES), (Party.REQUESTER, REQUESTER_MOVES)):
        for before, after in task_states.all_pairs():
            assert task_states.is_move_allowed(before, after, party) == ((before, after) in moves), (
                party,
                before,
                after,
            )


@pytest.mark.parametrize("status", sorted(ENDED))
def test_an_ended_referral_cannot_be_moved_by_the_program(status: str) -> None:
    """What is closed stays closed for the program."""
    assert task_states.allowed_moves(status, Party.TARGET) == frozenset()


@pytest.mark.parametrize("status", ["banana", "", "ready", "received"])
def test_a_status_outside_the_table_allows_nothing(status: str) -> None:
    """A word that is no status of ours opens no move."""
    assert not any(task_states.allowed_moves(status, party) for party in Party)
    assert not any(task_states.is_move_allowed(before, status, party) for before in STATUSES for party in Party)


@pytest.mark.rule("R20")
def test_rule_R20_each_tier_lets_exactly_its_words_through() -> None:
    """A program may write only what the survivor's tier names. Break: return True from ``may_write_status``."""
    statuses = {tier: {status for status in STATUSES if task_states.may_write_status(tier, status)} for tier in Tier}
    contact = {"accepted", "rejected", "cancelled", "in-progress", "on-hold"}
    assert statuses == {
        Tier.NONE: set(),
        Tier.CONTACT: contact,
        Tier.APPOINTMENT: contact,
        Tier.OUTCOME: contact | {"completed", "failed"},
    }
    codes = ("contact-made", "5.1.1", "5.1.2", "5.1.3", "5.1.4", "5.2", "received-by-inbox", "opened-by-person")
    written = {tier: {code for code in codes if task_states.may_write_business_status(tier, code)} for tier in Tier}
    assert written == {
        Tier.NONE: set(),
        Tier.CONTACT: {"contact-made"},
        Tier.APPOINTMENT: {"contact-made", "5.1.1", "5.1.3"},
        Tier.OUTCOME: {"contact-made", "5.1.1", "5.1.2", "5.1.3", "5.1.4"},
    }
    assert [tier for tier in Tier if task_states.may_write_output(tier)] == [Tier.OUTCOME]

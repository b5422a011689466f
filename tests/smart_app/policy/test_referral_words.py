"""What the clinician reads about a referral."""

from __future__ import annotations

from itertools import product

import pytest

from smart_app.policy.referral_words import state_words
from smart_app.policy.task_states import STATUSES, Tier

TRANSPORTS = (None, "queued", "trying", "delivered", "stopped", "recalled", "told", "failed")
CODES = (None, "received-by-inbox", "contact-made", "5.1.1", "5.1.2", "5.1.3", "5.1.4")


@pytest.mark.rule("R20")
def test_rule_R20_without_a_release_only_our_own_facts_are_shown() -> None:
    """Whatever a program may once have told, without a release the words depend on our delivery alone. Break: return
    ``_OF_PROGRAM[status]`` without asking the tier."""
    for transport in TRANSPORTS:
        shown = {
            state_words(tier=Tier.NONE, status=status, business_code=code, transport=transport)
            for status, code in product(STATUSES, CODES)
        }
        assert len(shown) == 1


def test_every_combination_has_words_and_silence_is_no_no_show() -> None:
    """There is a sentence for each case; "did not meet" is said only when the widest release lets a program say so."""
    for tier, status, code, transport in product(Tier, STATUSES, CODES, TRANSPORTS):
        shown = state_words(tier=tier, status=status, business_code=code, transport=transport)
        assert shown.words
        is_told = tier is Tier.OUTCOME and code == "5.1.2" and transport not in ("stopped", "recalled", "told")
        assert ("did not meet" in shown.words) == is_told


@pytest.mark.parametrize(
    ("transport", "word", "needs_call"),
    [
        ("queued", "Sent", False),
        ("trying", "does not answer", True),
        ("delivered", "Received", False),
        ("failed", "Not delivered", True),
        ("stopped", "Stopped", False),
        ("recalled", "Stopped", True),
        ("told", "was told", False),
    ],
)
def test_a_program_that_is_down_means_call_now(transport: str, word: str, needs_call: bool) -> None:
    """When their system does not answer, the page says so at once and offers the phone."""
    shown = state_words(tier=Tier.NONE, status="requested", business_code=None, transport=transport)
    assert word in shown.words
    assert shown.needs_call is needs_call

"""The extension that says what may come back under a release."""

from __future__ import annotations

import pytest

from fhir_profiles.release_tier import TIERS, release_tier


def test_the_tiers_go_from_nothing_to_the_outcome() -> None:
    """The first opens nothing, and it is what silence means."""
    assert TIERS == ("none", "contact", "appointment", "outcome")
    for tier in TIERS:
        assert release_tier(tier=tier)["valueCode"] == tier


@pytest.mark.parametrize("tier", ["all", "", "Outcome"])
def test_a_tier_outside_the_list_is_refused(tier: str) -> None:
    """A tier we do not know opens nothing."""
    with pytest.raises(ValueError, match="tier"):
        release_tier(tier=tier)

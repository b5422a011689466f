"""The extension that says who signed a release."""

from __future__ import annotations

import pytest

from fhir_profiles.release_signer import SIGNERS, release_signer


def test_the_survivor_or_a_representative_who_is_not_the_abuser_signs() -> None:
    """The alleged abuser may never sign (28 CFR 94.115), so there is no code for it."""
    assert SIGNERS == ("self", "representative-not-abuser")
    for signer in SIGNERS:
        assert release_signer(signer=signer)["valueCode"] == signer


@pytest.mark.parametrize("signer", ["abuser", "spouse", "", "Self"])
def test_nobody_else_signs(signer: str) -> None:
    """Any other word is refused."""
    with pytest.raises(ValueError, match="signer"):
        release_signer(signer=signer)
